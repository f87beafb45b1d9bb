//! Decides how a request is told to have failed: by what its guest did.

use sandbox::{GuestLimiter, MemoryRefusal, TrapReport};
use wasmtime_wasi::I32Exit;

use crate::exit;
use crate::http::body::{End, HttpBodyError};

/// Why a guest did not see a request to its end. The instance is gone.
///
/// All of it is for the log: it tells what is inside, which is not for the client.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    /// The guest did what WebAssembly forbids, or aborted.
    #[error("the guest trapped: {0}")]
    Trapped(TrapReport),
    /// The guest trapped after it had been refused memory.
    #[error("the guest trapped: {report}\nit had asked for {} bytes of memory, over its limit of {} bytes", refusal.wanted_bytes, refusal.limit_bytes)]
    OutOfMemory {
        /// What it was refused last.
        refusal: MemoryRefusal,
        /// How it ended.
        report: TrapReport,
    },
    /// The guest ended over an answer that nobody took any more: most guests see that as an error.
    #[error("the client was gone, and the guest trapped over it: {0}")]
    Abandoned(TrapReport),
    /// The guest called `exit`.
    #[error("the guest exited with code {0} instead of seeing its request to the end")]
    Exited(i32),
    /// The guest said that it cannot answer.
    #[error("the guest answered with an error: {code}")]
    Refused {
        /// `wasi:http`'s error code, as the guest gave it.
        code: String,
    },
    /// The guest returned without having answered.
    #[error("the guest returned without an answer")]
    NoAnswer,
    /// The head of the answer went out, and the body behind it is not whole. Whoever takes it gets the same error.
    #[error("the answer is not whole: {0}")]
    Incomplete(HttpBodyError),
    /// The guest needs more room for its calls than there is: too many instances live. Later there may be room again.
    #[error("there is no room for the guest to go on")]
    NoRoom,
}

impl HttpFailure {
    /// Judges an error that came out of a guest. `limiter` knows the memory that it was refused last, `end` is what became
    /// of its answer's body.
    pub(super) fn of(error: &wasmtime::Error, limiter: &GuestLimiter, end: Option<&End>) -> HttpFailure {
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return HttpFailure::Exited(*code);
        }
        if exit::is_no_room(error) {
            return HttpFailure::NoRoom;
        }
        let report = exit::trap(error, limiter);
        match (end, limiter.refusal()) {
            (Some(End::Unwanted), _) => HttpFailure::Abandoned(report),
            (_, Some(refusal)) => HttpFailure::OutOfMemory { refusal, report },
            (_, None) => HttpFailure::Trapped(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::Limits;
    use wasmtime::{ResourceLimiter, Trap};

    #[test]
    fn a_failure_tells_what_the_guest_did() {
        let trap = || wasmtime::Error::from(Trap::UnreachableCodeReached);
        let fresh = || GuestLimiter::new(Limits { memory_bytes: Some(1), ..Limits::default() });
        let limiter = fresh();
        let mut refused = fresh();
        assert!(!refused.memory_growing(0, 2, None).unwrap());
        let told = |failure: HttpFailure| failure.to_string();
        assert!(matches!(HttpFailure::of(&I32Exit(3).into(), &refused, None), HttpFailure::Exited(3)));
        assert!(matches!(HttpFailure::of(&trap(), &limiter, Some(&End::Complete)), HttpFailure::Trapped(_)));
        assert!(matches!(HttpFailure::of(&trap(), &limiter, Some(&End::Unwanted)), HttpFailure::Abandoned(_)));
        let full = HttpFailure::of(&trap(), &refused, None);
        assert!(told(full).ends_with("\nit had asked for 2 bytes of memory, over its limit of 1 bytes"));
        let errno = wasmtime::Error::from(rustix::io::Errno::NOMEM).context("mapping");
        assert!(matches!(HttpFailure::of(&errno, &limiter, None), HttpFailure::NoRoom));
    }
}
