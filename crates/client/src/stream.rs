//! What goes on after the request that opened it: connections, servers, decisions.

use capability::Labels;
use channel::{Channel, ReceiveError};
use protocol::message::{Call, Decision, Reply};
use std::convert::Infallible;
use std::os::fd::OwnedFd;

/// A connected socket, and the labels by which both ends know each other.
#[derive(Debug)]
pub struct Connection {
    /// The socket. Nobody stands in the middle: it goes on when the switchboard is gone.
    pub socket: OwnedFd,
    /// The union of the labels of both ends. The other end's handle could not lie about them.
    pub labels: Labels,
    /// What came for the socket before it existed, oldest first: nothing else will deliver it. Only a UDP socket that an
    /// ingress pushed has any.
    pub datagrams: Vec<Vec<u8>>,
}

/// A registered server: where its connections arrive. Dropping it takes the server out of the switchboard.
#[derive(Debug)]
pub struct Server {
    channel: Channel<Call, Reply>,
}

impl Server {
    pub(crate) fn new(channel: Channel<Call, Reply>) -> Self {
        Self { channel }
    }

    /// The next connection, or `None` when none will come any more: the switchboard is gone, or broke the protocol.
    ///
    /// Dropping the future loses no connection. A connection for which this process has no descriptor left is closed,
    /// and its client sees that.
    pub async fn accept(&self) -> Option<Connection> {
        loop {
            match self.channel.receive().await {
                Ok(Some((Call::Connection { labels, datagrams }, Some(socket)))) => {
                    return Some(Connection { socket, labels, datagrams });
                }
                Ok(Some((Call::Cancel { .. }, _))) | Err(ReceiveError::OutOfDescriptors { .. }) => {}
                // Nobody asks a server to dial or to look up.
                Ok(Some(_) | None) | Err(_) => return None,
            }
        }
    }
}

/// The decisions of the switchboard as they are made. Dropping it ends the watch.
#[derive(Debug)]
pub struct Decisions {
    channel: Channel<Decision, Infallible>,
}

impl Decisions {
    pub(crate) fn new(channel: Channel<Decision, Infallible>) -> Self {
        Self { channel }
    }

    /// The next decision, or `None` when none will come any more: the switchboard is gone, or broke the protocol.
    ///
    /// Dropping the future loses no decision.
    pub async fn next(&self) -> Option<Decision> {
        let (decision, _) = self.channel.receive().await.ok()??;
        Some(decision)
    }
}
