//! Decides that a file of compiled code may be executed: the one place where bytes become native code.
//!
//! Compiled code cannot be validated; running what somebody else made is running what somebody else likes. What can be
//! known is who was able to write it. [`OwnFile::check`] is the only way to an [`OwnFile`] and asks the kernel, by the
//! open descriptor: a regular file, owned by this process's user, on which nobody else has any permission. Whoever can
//! write such a file can already run code as this user, so mapping it gives nobody anything. That it holds what the
//! compiler wrote, and not what a failing disk made of it, is the compile cache's duty (a checksum), and that it is
//! meant for this engine is checked by the engine when it loads it.
//!
//! The file must not change while it is mapped. The cache only ever creates files and renames them into place.
#![expect(unsafe_code, reason = "loading compiled code is trusting it; the precondition is the type OwnFile")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wasmtime::Module;
use wasmtime::component::Component;

use crate::engine::Engine;

/// Any permission of somebody else than the owner.
const FOREIGN_PERMISSIONS: u32 = 0o077;

/// An open file that only this process's user could have written.
#[derive(Debug)]
pub struct OwnFile {
    /// Keeps the descriptor that `path` names open.
    _file: File,
    /// The same file by its descriptor, so that nobody can exchange it between check and use.
    path: PathBuf,
}

/// A file that this user alone could have written was expected.
#[derive(Debug, thiserror::Error)]
pub enum ForeignFileError {
    /// A directory, device or pipe.
    #[error("not a regular file")]
    NotRegular,
    /// The file belongs to somebody else.
    #[error("the file belongs to user {owner}")]
    Owner {
        /// The owner's number.
        owner: u32,
    },
    /// Others than the owner may do something with it.
    #[error("the file's permissions {mode:03o} allow others to use it")]
    Permissions {
        /// The permission bits.
        mode: u32,
    },
    /// The kernel did not tell.
    #[error("cannot examine the file")]
    Io(#[from] io::Error),
}

impl OwnFile {
    /// Checks that only this process's user could have written `file`.
    ///
    /// # Errors
    ///
    /// It is not a regular file, somebody else owns it, or somebody else has a permission on it.
    ///
    /// # Authority
    ///
    /// The value is the permission to execute what the file holds.
    pub fn check(file: File) -> Result<OwnFile, ForeignFileError> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(ForeignFileError::NotRegular);
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(ForeignFileError::Owner { owner: meta.uid() });
        }
        if meta.mode() & FOREIGN_PERMISSIONS != 0 {
            return Err(ForeignFileError::Permissions { mode: meta.mode() & 0o777 });
        }
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(OwnFile { _file: file, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Loads a module.
pub(crate) fn load_module(engine: &Engine, file: &OwnFile) -> wasmtime::Result<Module> {
    // SAFETY: `deserialize_file` asks for an unchanging file that the engine's own compiler wrote. `OwnFile` is a file
    // that this user alone could write, and all that writes there is the compile cache, which never writes in place.
    unsafe { Module::deserialize_file(engine.wasmtime(), file.path()) }
}

/// Loads a component.
pub(crate) fn load_component(engine: &Engine, file: &OwnFile) -> wasmtime::Result<Component> {
    // SAFETY: as in `load_module`.
    unsafe { Component::deserialize_file(engine.wasmtime(), file.path()) }
}
