//! Where a target hears calls and sends replies, be the switchboard behind a socket or in the same process.

use crate::{Channel, ReceiveError, SendError};
use protocol::message::{Call, Reply};
use std::os::fd::{AsFd, OwnedFd};

/// A target's end of the line to the switchboard. One task hears; any number reply.
pub trait Calls: Send + Sync + 'static {
    /// The next call, or `None` when the switchboard has closed the line. What a call carries is closed: an egress and a
    /// resolver are called with nothing.
    ///
    /// # Errors
    /// See [`ReceiveError`].
    fn next(&self) -> impl Future<Output = Result<Option<Call>, ReceiveError>> + Send;

    /// Sends a reply and gives `socket` away with it.
    ///
    /// # Authority
    /// Whoever asked the switchboard can do with `socket` all that the caller could.
    ///
    /// # Errors
    /// See [`SendError`].
    fn reply(&self, reply: Reply, socket: Option<OwnedFd>) -> impl Future<Output = Result<(), SendError>> + Send;
}

impl Calls for Channel<Call, Reply> {
    async fn next(&self) -> Result<Option<Call>, ReceiveError> {
        Ok(self.receive().await?.map(|(call, _descriptor)| call))
    }

    async fn reply(&self, reply: Reply, socket: Option<OwnedFd>) -> Result<(), SendError> {
        self.send(&reply, socket.as_ref().map(AsFd::as_fd)).await
    }
}
