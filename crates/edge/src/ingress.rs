//! Accepts connections from outside and pushes each socket, with labels that say who it is, into the switchboard.
//!
//! An ingress decides nothing about a connection: the switchboard picks the server, and a push that is refused closes
//! the socket. What it does decide is how much it takes on. No more than [`IngressLimits::pushes`] sockets are on their
//! way at once; then it stops accepting, and the kernel keeps the connections that come until there is room.
//!
//! It never connects, never reads a byte of a connection, and knows nothing of the other edges.

mod complaints;

use capability::{LabelError, Labels, MergeError, keys};
use client::{Handle, RequestError};
use complaints::Complaints;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// Connections that the kernel keeps for an ingress which is busy. The kernel's own limit (`net.core.somaxconn`, 4096
/// unless the administrator says otherwise) bounds it too.
const BACKLOG: i32 = 4096;

/// How long to wait before the next accept when this process, or the system, has run out of descriptors or memory.
const SCARCITY_PAUSE: Duration = Duration::from_millis(100);

/// What bounds an ingress.
#[derive(Clone, Copy, Debug)]
pub struct IngressLimits {
    /// Most accepted sockets that the switchboard has not answered for. Further connections wait in the kernel.
    pub pushes: usize,
    /// How long the switchboard may take over a socket before it is closed.
    pub push_time: Duration,
}

impl Default for IngressLimits {
    fn default() -> Self {
        Self { pushes: 64, push_time: Duration::from_secs(30) }
    }
}

/// Why an ingress stopped.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// The listening socket is of no use.
    #[error("cannot accept connections")]
    Accept(#[source] io::Error),
    /// The switchboard closed the handle, or the handle broke.
    #[error("cannot push connections into the switchboard")]
    Switchboard(#[source] RequestError),
}

/// Listens on `address`.
///
/// # Authority
/// Whoever reaches that address reaches the caller of [`run`].
///
/// # Errors
/// As the system says: the address is taken, is not ours, or needs a privilege.
#[expect(
    clippy::disallowed_methods,
    reason = "the ingress listens: the one place where connections from outside are taken"
)]
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    // The standard library asks for 128. Too few: what the backlog cannot hold waits for a second or more.
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Accepts connections from `listener` and pushes each through `handle`, until the switchboard is gone. That an idle
/// ingress learns by the next connection. Sockets on their way are closed then, and when the future is dropped.
///
/// Every push carries `labels`, `transport=tcp`, and the addresses and ports of both ends of the socket. A connection
/// whose own labels contradict `labels` is closed.
///
/// # Authority
/// Gives whoever reaches the listener what the handle may reach.
///
/// # Errors
/// See [`IngressError`].
pub async fn run(
    listener: std::net::TcpListener,
    handle: Handle,
    labels: Labels,
    limits: IngressLimits,
) -> Result<(), IngressError> {
    let mut ingress = Ingress {
        listener: open(listener).map_err(IngressError::Accept)?,
        handle,
        labels,
        limits,
        pushes: JoinSet::new(),
        complaints: Complaints::default(),
    };
    let ended = ingress.run().await;
    ingress.pushes.shutdown().await;
    ended
}

fn open(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// One listener at work. Owned by the task that runs it.
struct Ingress {
    listener: TcpListener,
    handle: Handle,
    /// What every push carries besides the labels of the socket.
    labels: Labels,
    limits: IngressLimits,
    /// One for each accepted socket that the switchboard has not answered for.
    pushes: JoinSet<Result<(), PushError>>,
    complaints: Complaints,
}

/// Why one connection was closed.
#[derive(Debug, thiserror::Error)]
enum PushError {
    #[error("no labels for a connection")]
    Address(#[from] io::Error),
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the switchboard did not answer in time")]
    TimedOut,
}

impl Ingress {
    async fn run(&mut self) -> Result<(), IngressError> {
        loop {
            let has_room = self.pushes.len() < self.limits.pushes.max(1);
            tokio::select! {
                biased;
                Some(ended) = self.pushes.join_next() => self.note_end(ended)?,
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((stream, client)) => self.push(stream, client),
                    Err(error) => self.note_failed_accept(error).await?,
                },
            }
        }
    }

    /// Sends an accepted socket on its way.
    fn push(&mut self, stream: TcpStream, client: SocketAddr) {
        let (handle, labels, push_time) = (self.handle.clone(), self.labels.clone(), self.limits.push_time);
        self.pushes.spawn(async move {
            let server = stream.local_addr()?;
            let labels = labels.merge(&socket_labels(client, server)?)?;
            // Taken out of this runtime, as the socket is the server's from now on.
            let socket = OwnedFd::from(stream.into_std()?);
            match timeout(push_time, handle.push(&labels, socket.as_fd(), Vec::new())).await {
                Ok(outcome) => Ok(outcome.map(drop)?),
                Err(_elapsed) => Err(PushError::TimedOut),
            }
        });
    }

    fn note_end(&mut self, ended: Result<Result<(), PushError>, JoinError>) -> Result<(), IngressError> {
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(PushError::Request(error))) if !is_about_one_push(&error) => Err(IngressError::Switchboard(error)),
            Ok(Err(error)) => {
                self.complain(&error.to_string());
                Ok(())
            }
            Err(error) => {
                self.complain(&error.to_string());
                Ok(())
            }
        }
    }

    async fn note_failed_accept(&mut self, error: io::Error) -> Result<(), IngressError> {
        match AcceptTrouble::of(&error) {
            AcceptTrouble::Connection => Ok(()),
            AcceptTrouble::Scarcity => {
                self.complain(&error.to_string());
                sleep(SCARCITY_PAUSE).await;
                Ok(())
            }
            AcceptTrouble::Listener => Err(IngressError::Accept(error)),
        }
    }

    fn complain(&mut self, reason: &str) {
        if let Some(kept_back) = self.complaints.admit(reason, Instant::now()) {
            tracing::warn!(reason, kept_back, "connection not taken");
        }
    }
}

/// Whether the handle is still of use after a push failed so.
fn is_about_one_push(error: &RequestError) -> bool {
    match error {
        RequestError::Refused(_)
        | RequestError::Fault
        | RequestError::Unsendable(_)
        | RequestError::OutOfDescriptors => true,
        RequestError::Io(cause) => is_scarcity(cause),
        RequestError::Gone | RequestError::Protocol(_) => false,
    }
}

/// What a failed accept is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptTrouble {
    /// The connection was gone before it was taken, or the network ate it.
    Connection,
    /// Out of descriptors or memory: the connection stays where it is until there are some.
    Scarcity,
    /// The listener is of no use.
    Listener,
}

impl AcceptTrouble {
    fn of(error: &io::Error) -> Self {
        if is_scarcity(error) {
            return Self::Scarcity;
        }
        match Errno::from_io_error(error) {
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT) | None => Self::Listener,
            Some(_) => Self::Connection,
        }
    }
}

fn is_scarcity(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// The labels that say which connection a socket is. An IPv4 address that came through an IPv6 listener is written as
/// the IPv4 address it is.
fn socket_labels(client: SocketAddr, server: SocketAddr) -> Result<Labels, LabelError> {
    let address = |end: SocketAddr| end.ip().to_canonical().to_string();
    let port = |end: SocketAddr| end.port().to_string();
    Labels::try_from_pairs([
        (keys::TRANSPORT, "tcp"),
        (keys::CLIENT_ADDRESS, &address(client)),
        (keys::CLIENT_PORT, &port(client)),
        (keys::SERVER_ADDRESS, &address(server)),
        (keys::SERVER_PORT, &port(server)),
    ])
}

#[cfg(test)]
mod tests;
