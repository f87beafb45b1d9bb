//! Decides how a run ended: with the guest's own code, by a trap, by its deadline, or not at all.

use std::path::PathBuf;

use sandbox::{MemoryRefusal, TrapReport};
use wasmtime_wasi::I32Exit;

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned or called `exit`. Zero is success.
    Code(i32),
    /// It did what WebAssembly forbids, or aborted.
    Trap(TrapReport),
    /// It was still running at its deadline.
    TimedOut,
}

impl Exit {
    /// Judges what the engine returned from running a guest.
    pub(crate) fn of(error: &wasmtime::Error) -> Exit {
        match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Exit::Code(*code),
            None => Exit::Trap(TrapReport::of(error)),
        }
    }
}

/// Why a guest could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A volume cannot be opened any more.
    #[error("cannot open the volume {guest_path}: {reason}")]
    Volume {
        /// Where the guest would have seen it.
        guest_path: String,
        /// What the system said.
        reason: String,
    },
    /// The working directory is not in any volume.
    #[error("the working directory {} is in no volume", path.display())]
    WorkdirOutside {
        /// As it was given.
        path: PathBuf,
    },
    /// The working directory is in a volume but cannot be opened.
    #[error("cannot open the working directory {}", path.display())]
    Workdir {
        /// As it was given.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// A port that the guest is to find open is not to be had.
    #[error("cannot open the port {port} for the guest ({name}): {reason}")]
    Listen {
        /// What the guest would have known it by.
        name: String,
        /// The port inside.
        port: u16,
        /// The error that a guest would have got.
        reason: String,
    },
    /// A connection that the guest is to find cannot be given to it.
    #[error("cannot give the guest its connection {name}: {reason}")]
    Connection {
        /// What the guest would have known it by.
        name: String,
        /// The error that a guest would have got.
        reason: String,
    },
    /// Sockets to find open for a guest that has no way to find them.
    #[error("only a module of preview 1 can be given open sockets")]
    NoDescriptors,
    /// What the guest needs at its start is over its memory limit.
    #[error("the guest starts with {} bytes of memory, over its limit of {} bytes", .0.wanted_bytes, .0.limit_bytes)]
    Memory(MemoryRefusal),
    /// The deadline cannot be watched.
    #[error("cannot watch the deadline")]
    Ticker(#[source] std::io::Error),
}
