//! Decides whether a component may open one more file.
//!
//! wasmtime-wasi opens files as often as it is asked, and a file stays open as long as the descriptor or any stream of it
//! is there. So each one that was opened is watched for as long as it lives. The calls that open are linked here over
//! the engine library's, which they use; only the list of a folder that 0.3 has is our own ([`listing`]).

mod listing;

use std::sync::{Arc, Weak};

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::ReaddirIterator;
use wasmtime_wasi::p2::bindings::filesystem::types as p2;
use wasmtime_wasi::p3::bindings::filesystem::types as p3;

use crate::descriptors::{Right, Share};
use crate::files::listing::{Listed, Listing};
use crate::limits::HostLimits;
use crate::state::ComponentState;

/// The interfaces, with the versions that the engine's library links.
const TYPES_0_2: &str = "wasi:filesystem/types@0.2.12";
const TYPES_0_3: &str = "wasi:filesystem/types@0.3.0";

/// So many files are looked through at least before another look is worth its time.
const MIN_LOOK: usize = 16;

/// What a component has open.
pub(crate) struct Files {
    max: usize,
    share: Share,
    /// Some of them may be closed.
    open: Vec<(Weak<std::fs::File>, Right)>,
    /// As soon as there are so many, the closed ones are taken out.
    look_at: usize,
    max_listings: usize,
    /// Counts the lists of 0.3.
    listed: Arc<()>,
}

impl Files {
    pub(crate) fn new(limits: &HostLimits, share: Share) -> Files {
        let max_listings = limits.listings;
        Files { max: limits.files, share, open: Vec::new(), look_at: MIN_LOOK, max_listings, listed: Arc::default() }
    }

    /// Room for one more. `None`: there is none.
    fn room(&mut self) -> Option<Right> {
        if self.open.len() >= self.look_at.min(self.max) {
            self.look();
        }
        if self.open.len() >= self.max {
            return None;
        }
        self.share.take().or_else(|| {
            self.look();
            self.share.take()
        })
    }

    /// Takes out what is closed.
    fn look(&mut self) {
        self.open.retain(|(file, _)| file.strong_count() > 0);
        self.look_at = (2 * self.open.len()).max(MIN_LOOK);
    }

    /// Room for one more list of 0.3, which has its folder open.
    fn room_for_listing(&self) -> Option<(Right, Arc<()>)> {
        let right = self.share.take()?;
        (Arc::strong_count(&self.listed) <= self.max_listings).then(|| (right, Arc::clone(&self.listed)))
    }

    fn keep(&mut self, opened: &Descriptor, right: Right) {
        let file = match opened {
            Descriptor::File(file) => &file.file,
            Descriptor::Dir(dir) => &dir.dir,
        };
        self.open.push((Arc::downgrade(file), right));
    }
}

/// Links the calls that open over those of the engine's library, for 0.2.
pub(crate) fn add_0_2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES_0_2)?;
    type Opening = (Resource<Descriptor>, p2::PathFlags, String, p2::OpenFlags, p2::DescriptorFlags);
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, ComponentState>, (folder, follow, path, how, flags): Opening| {
            Box::new(async move {
                let state = store.data_mut();
                let Some(right) = state.files.room() else { return Ok((Err(p2::ErrorCode::InsufficientMemory),)) };
                let mut files = state.filesystem();
                let opened = p2::HostDescriptor::open_at(&mut files, folder, follow, path, how, flags).await;
                match opened {
                    Ok(opened) => {
                        state.files.keep(state.table.get(&opened)?, right);
                        Ok((Ok(opened),))
                    }
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, ComponentState>, (folder,): (Resource<Descriptor>,)| {
            Box::new(async move {
                let state = store.data_mut();
                if listings(&mut state.table) >= state.files.max_listings {
                    return Ok((Err(p2::ErrorCode::InsufficientMemory),));
                }
                match p2::HostDescriptor::read_directory(&mut state.filesystem(), folder).await {
                    Ok(listing) => Ok((Ok(listing),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}

/// The lists of 0.2 that a guest has.
fn listings(table: &mut ResourceTable) -> usize {
    table.iter_mut().filter(|resource| resource.is::<ReaddirIterator>()).count()
}

/// The same for 0.3.
pub(crate) fn add_0_3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES_0_3)?;
    type Opening = (Resource<Descriptor>, p3::PathFlags, String, p3::OpenFlags, p3::DescriptorFlags);
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |accessor: &Accessor<ComponentState>, (folder, follow, path, how, flags): Opening| {
            Box::pin(async move {
                let Some(right) = accessor.with(|mut store| store.data_mut().files.room()) else {
                    return Ok((Err(p3::ErrorCode::InsufficientMemory),));
                };
                let files = accessor.with_getter::<WasiFilesystem>(ComponentState::filesystem);
                match p3::HostDescriptorWithStore::open_at(&files, folder, follow, path, how, flags).await {
                    Ok(opened) => accessor.with(|mut store| {
                        let state = store.data_mut();
                        state.files.keep(state.table.get(&opened)?, right);
                        Ok((Ok(opened),))
                    }),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )?;
    types.func_wrap(
        "[method]descriptor.read-directory",
        |store: StoreContextMut<'_, ComponentState>, (folder,): (Resource<Descriptor>,)| Ok((list(store, &folder)?,)),
    )
}

fn list(mut store: StoreContextMut<'_, ComponentState>, folder: &Resource<Descriptor>) -> wasmtime::Result<Listed> {
    let state = store.data_mut();
    let listing = match state.table.get(folder)? {
        Descriptor::File(_) => Err(p3::ErrorCode::NotDirectory),
        Descriptor::Dir(dir) => match state.files.room_for_listing() {
            Some(room) => Listing::open(&dir.dir, room),
            None => Err(p3::ErrorCode::InsufficientMemory),
        },
    };
    listing::give(store, listing)
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::FsPerms;
    use wasmtime_wasi::filesystem::{File, OpenMode};

    use super::*;
    use crate::descriptors::Descriptors;

    fn opened() -> Descriptor {
        let file = File::new(tempfile::tempfile().unwrap(), FsPerms::ReadOnly, OpenMode::READ, true);
        Descriptor::File(file)
    }

    #[test]
    fn a_file_counts_as_long_as_it_is_open() {
        let limits = HostLimits { files: 40, ..HostLimits::default() };
        let all = Descriptors::new(1000);
        let mut files = Files::new(&limits, all.share());
        let mut open = Vec::new();
        while let Some(right) = files.room() {
            open.push(opened());
            files.keep(&open[open.len() - 1], right);
        }
        assert_eq!(open.len(), 40);
        // What a stream still has is open, whatever became of the descriptor.
        let Descriptor::File(streamed) = open.remove(0) else { unreachable!() };
        let held = Arc::clone(&streamed.file);
        drop(streamed);
        assert!(files.room().is_none());
        drop(held);
        assert!(files.room().is_some());
    }

    #[test]
    fn closed_files_are_not_counted_for_long() {
        let all = Descriptors::new(100);
        let mut files = Files::new(&HostLimits::default(), all.share());
        for _ in 0..1000 {
            let right = files.room().unwrap();
            files.keep(&opened(), right);
            assert!(files.open.len() <= MIN_LOOK);
        }
        // Others have had all but few: the closed ones make room.
        let other = all.share();
        let hoard: Vec<_> = std::iter::from_fn(|| other.take()).collect();
        assert!(files.room().is_some(), "{} of others", hoard.len());
    }
}
