//! Registers a descriptor with the runtime, for what is asked and nothing else.

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The descriptor, watched for `interest`.
#[expect(
    deprecated,
    reason = "the new function is unsafe because a type may change its descriptor; OwnedFd never does"
)]
pub(crate) fn register(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, interest)
}
