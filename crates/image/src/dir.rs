//! The cache's directory: decides that it and every file in it belong to this user alone.
//!
//! Everything is opened relative to the directory's descriptor and never through a symbolic link. Files are made
//! nameless or under a name of their own and renamed into place, so a reader sees the whole of one or the whole of
//! another.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};

/// Permission bits of everybody but the owner.
const FOREIGN_PERMISSIONS: u32 = 0o077;

/// Tells apart the files that one process is writing at the same time.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// Why compiled code cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Somebody else could write into the directory, or owns it.
    #[error("{} is not private to this user (owner {owner}, permissions {mode:03o})", path.display())]
    NotPrivate {
        /// The directory.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// The directory cannot be made, opened, read or written.
    #[error("{}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// A directory that only this user can use.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl PrivateDir {
    /// Opens the directory, making it (and those above it) if it is missing.
    pub(crate) fn open(path: &Path) -> Result<PrivateDir, KeepError> {
        let fail = |error: io::Error| KeepError::Io { path: path.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty()).map_err(|errno| fail(errno.into()))?;
        let file = File::from(fd);
        let meta = file.metadata().map_err(fail)?;
        if !is_own(&meta) {
            let (owner, mode) = (meta.uid(), meta.mode() & 0o777);
            return Err(KeepError::NotPrivate { path: path.to_owned(), owner, mode });
        }
        Ok(PrivateDir { fd: file.into(), path: path.to_owned() })
    }

    /// Opens a file for reading. `None`: there is none that this user alone could have written.
    pub(crate) fn open_file(&self, name: &str) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.fd, name, flags, Mode::empty()).ok()?);
        let meta = file.metadata().ok()?;
        (meta.is_file() && is_own(&meta)).then_some(file)
    }

    /// Reads a small text file, up to `max` bytes. `None`: there is none to be trusted.
    pub(crate) fn read_small(&self, name: &str, max: usize) -> Option<String> {
        let mut text = String::new();
        self.open_file(name)?.take(max as u64).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Writes a file under `name` in one step, as seen by everybody else, and returns it open for reading and writing.
    pub(crate) fn put(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<File, KeepError> {
        self.put_inner(name, write).map_err(|error| KeepError::Io { path: self.path.clone(), error })
    }

    fn put_inner(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<File> {
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{name}.{}-{number}.tmp", std::process::id());
        // A file of this name is what a process with our number left behind when it was killed.
        let _ = unlinkat(&self.fd, &*temporary, AtFlags::empty());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.fd, &*temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let written = write(&mut file).and_then(|()| file.flush());
        match written.and_then(|()| Ok(renameat(&self.fd, &*temporary, &self.fd, name)?)) {
            Ok(()) => Ok(file),
            Err(error) => {
                // The disk is full or the directory is gone; leaving a file behind is the lesser trouble.
                let _ = unlinkat(self.fd.as_fd(), &*temporary, AtFlags::empty());
                Err(error)
            }
        }
    }
}

fn is_own(meta: &std::fs::Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & FOREIGN_PERMISSIONS == 0
}
