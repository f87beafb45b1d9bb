//! Waits for the next one to connect to a path.

use crate::watch;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::coop;

/// A listening socket ([`fdpass::listen`]); each connection to it becomes the socket of a [`Channel`](crate::Channel).
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<OwnedFd>,
}

impl Listener {
    /// The listener over `socket`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it is no seqpacket socket; otherwise as the system says.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: watch::register(fdpass::adopt(socket)?, Interest::READABLE)? })
    }

    /// Our end of the next connection. Dropping the future loses none.
    ///
    /// # Errors
    /// As the system says; out of descriptors (`EMFILE`) is one that passes, and the connection still waits then.
    pub async fn accept(&self) -> io::Result<OwnedFd> {
        coop::consume_budget().await;
        loop {
            let mut readable = self.socket.readable().await?;
            match fdpass::accept(self.socket.get_ref().as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable.clear_ready(),
                outcome => return outcome,
            }
        }
    }
}
