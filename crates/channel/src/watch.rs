//! Registers a descriptor with the runtime, for what is asked and nothing else.

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The descriptor, watched for `interest`. For other drivers that wait for a descriptor which no tokio type stands for.
///
/// # Errors
/// If it cannot be watched: it is a file, or the system has no room.
#[expect(
    deprecated,
    reason = "the new function is unsafe because a type may change its descriptor; OwnedFd never does"
)]
pub fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, interest)
}
