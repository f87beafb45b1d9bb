//! Decides how a run ended: with the guest's own code, by a trap, by its deadline, or not at all.

use std::path::PathBuf;

use rustix::io::Errno;
use sandbox::{GuestLimiter, MemoryRefusal, TrapReport};
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi::I32Exit;

use crate::limits::LimitReached;

/// How the engine's message begins when a guest's first memory is refused; it has no type of its own.
const MEMORY_MINIMUM: &str = "memory minimum size";

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
    pub(crate) fn of(error: &wasmtime::Error, limiter: &GuestLimiter) -> Exit {
        match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Exit::Code(*code),
            None => Exit::Trap(trap(error, limiter)),
        }
    }
}

/// What is told of an error that ended a guest.
pub(crate) fn trap(error: &wasmtime::Error, limiter: &GuestLimiter) -> TrapReport {
    let mut report = TrapReport::of(error, limiter.limits());
    if let Some(bytes) = max_random_bytes(&report.cause) {
        report.cause = LimitReached::Random(bytes).to_string();
    }
    report
}

/// The limit that a guest was over that asked for random bytes: `requested len 9 exceeds limit 8`. The message has no type
/// of its own.
fn max_random_bytes(cause: &str) -> Option<u64> {
    let (_, limit) = cause.strip_prefix("requested len ")?.split_once(" exceeds limit ")?;
    limit.parse().ok()
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
    /// As many instances live as there is room for. Later there may be room again.
    #[error("there is no room for a further instance")]
    NoRoom,
    /// The guest did something before it was asked anything, and did not survive it.
    #[error("the guest failed when it was started: {0}")]
    Failed(TrapReport),
    /// The deadline cannot be watched.
    #[error("cannot watch the deadline")]
    Ticker(#[source] std::io::Error),
}

impl RunError {
    /// Tells a guest that there was no memory or no room for from one that failed by itself, which is `None`.
    pub(crate) fn of(error: &wasmtime::Error, limiter: &GuestLimiter) -> Option<RunError> {
        if let Some(refusal) = limiter.refusal()
            && error.to_string().contains(MEMORY_MINIMUM)
        {
            return Some(RunError::Memory(refusal));
        }
        is_no_room(error).then_some(RunError::NoRoom)
    }
}

/// Whether the pool is full, or the kernel gives the process no more memory or mappings.
pub(crate) fn is_no_room(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<PoolConcurrencyLimitError>()
            || cause.downcast_ref::<Errno>().is_some_and(|errno| *errno == Errno::NOMEM)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_on_random_bytes_is_told_as_one() {
        let limiter = GuestLimiter::new(sandbox::Limits::default());
        let told = |message: &'static str| trap(&wasmtime::Error::msg(message).context("calling"), &limiter).cause;
        assert_eq!(told("requested len 4294967296 exceeds limit 8"), "limit reached: 8 random bytes in one call");
        assert_eq!(told("requested len is odd"), "requested len is odd");
    }
}
