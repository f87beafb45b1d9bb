//! The entries of a folder as 0.3 has them: a stream that reads them while the guest does.
//!
//! The engine library's own stream would keep a descriptor open that nobody counts.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, FutureReader, StreamProducer, StreamReader, StreamResult, VecBuffer};
use wasmtime_wasi::p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use crate::descriptors::Right;
use crate::state::ComponentState;

/// So many entries are told at once, however many more the guest would take.
const MAX_AT_ONCE: usize = 64;

/// What a guest gets for a folder: its entries, and how their reading ended.
pub(super) type Listed = (StreamReader<DirectoryEntry>, FutureReader<Result<(), ErrorCode>>);

/// A folder that is being listed.
pub(super) struct Listing {
    folder: Dir,
    /// Given back with the folder's descriptor.
    _room: (Right, Arc<()>),
}

impl Listing {
    /// Opens the folder anew, because the descriptor of a guest has one place where reading goes on.
    pub(super) fn open(folder: &impl AsFd, room: (Right, Arc<()>)) -> Result<Listing, ErrorCode> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(folder, c".", flags, Mode::empty()).and_then(Dir::new);
        folder.map(|folder| Listing { folder, _room: room }).map_err(|errno| io::Error::from(errno).into())
    }

    /// The next entry. None: that was all.
    fn next(&mut self) -> Option<Result<DirectoryEntry, ErrorCode>> {
        loop {
            let entry = match self.folder.read()? {
                Ok(entry) => entry,
                Err(errno) => return Some(Err(io::Error::from(errno).into())),
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(text) = name.to_str() else { return Some(Err(ErrorCode::IllegalByteSequence)) };
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind(name),
                kind => Ok(kind),
            };
            let told = kind.map(|kind| DirectoryEntry { type_: kind_of(kind), name: text.to_owned() });
            return Some(told.map_err(Into::into));
        }
    }

    /// What an entry is, where the file system does not say so with its name.
    fn kind(&self, name: &CStr) -> io::Result<FileType> {
        let stat = statat(self.folder.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }
}

fn kind_of(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Other(None),
    }
}

/// A folder for as long as it is read, and who is told how that ended.
struct Entries(Option<(Listing, oneshot::Sender<Result<(), ErrorCode>>)>);

impl Entries {
    fn end(&mut self, outcome: Result<(), ErrorCode>) -> StreamResult {
        if let Some((_, told)) = self.0.take() {
            // The guest may have dropped the future.
            let _ = told.send(outcome);
        }
        StreamResult::Dropped
    }
}

impl Drop for Entries {
    /// The guest has read enough.
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<D> StreamProducer<D> for Entries {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, DirectoryEntry, Self::Buffer>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wanted = destination.remaining(&mut store).unwrap_or(MAX_AT_ONCE).min(MAX_AT_ONCE);
        let mut entries = Vec::with_capacity(wanted);
        let mut result = StreamResult::Completed;
        while entries.len() < wanted {
            let Some((listing, _)) = &mut self.0 else { break };
            result = match listing.next() {
                Some(Ok(entry)) => {
                    entries.push(entry);
                    StreamResult::Completed
                }
                Some(Err(code)) => self.end(Err(code)),
                None => self.end(Ok(())),
            };
        }
        destination.set_buffer(entries.into());
        Poll::Ready(Ok(result))
    }
}

/// Gives a guest what it asked for: the entries, or why there are none.
pub(super) fn give(
    mut store: StoreContextMut<'_, ComponentState>,
    listing: Result<Listing, ErrorCode>,
) -> wasmtime::Result<Listed> {
    let (telling, told) = oneshot::channel();
    let entries = match listing {
        Ok(listing) => Entries(Some((listing, telling))),
        Err(code) => {
            // Its other end is here.
            let _ = telling.send(Err(code));
            Entries(None)
        }
    };
    let entries = match &entries.0 {
        Some(_) => StreamReader::new(&mut store, entries)?,
        None => StreamReader::new(&mut store, std::iter::empty())?,
    };
    Ok((entries, FutureReader::new(&mut store, told)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::descriptors::Descriptors;

    fn room() -> (Right, Arc<()>) {
        (Descriptors::new(2).share().take().unwrap(), Arc::default())
    }

    #[test]
    fn every_entry_is_told_once_with_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        let opened = fs::File::open(folder.path()).unwrap();
        for _ in 0..2 {
            let mut listing = Listing::open(&opened, room()).unwrap();
            let mut told = BTreeMap::new();
            while let Some(entry) = listing.next() {
                let DirectoryEntry { name, type_ } = entry.unwrap();
                assert!(told.insert(name, format!("{type_:?}")).is_none());
            }
            let expected = [
                ("file", "DescriptorType::RegularFile"),
                ("folder", "DescriptorType::Directory"),
                ("link", "DescriptorType::SymbolicLink"),
            ];
            assert!(told.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).eq(expected), "{told:?}");
        }
        let file = fs::File::open(folder.path().join("file")).unwrap();
        assert!(matches!(Listing::open(&file, room()), Err(ErrorCode::NotDirectory)));
    }
}
