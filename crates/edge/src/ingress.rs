//! Accepts connections from outside and pushes each socket, with labels that say who it is, into the switchboard.
//!
//! An ingress decides nothing about a connection: the switchboard picks the server, and a push that is refused resets
//! the connection. What it does decide is how much it takes on, and that nothing is lost because a server is busy: a
//! connection for which the server has no room is pushed again later, in its turn, for as long as the client is there.
//! No more than [`IngressLimits::pushes`] sockets are on their way or wait at once; then it stops accepting, and the
//! kernel keeps the connections that come until there is room.
//!
//! One that is told to stop takes what the kernel has already let in, and ends when each of those was taken or refused.
//!
//! It never connects, never reads a byte of a connection, and knows nothing of the other edges.

mod complaints;
mod datagrams;
mod labels;
mod push;
mod queue;

use capability::Labels;
use client::{Handle, RequestError};
use complaints::Complaints;
pub use datagrams::{bind_udp, run_udp};
use labels::socket_labels;
use push::{Arrival, Pushed, Verdict};
use queue::Queue;
use rustix::io::Errno;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// Connections that the kernel keeps for an ingress which is busy. The kernel's own limit (`net.core.somaxconn`, 4096
/// unless the administrator says otherwise) bounds it too.
const BACKLOG: i32 = 4096;

/// How long to wait before the next accept when this process, or the system, has run out of descriptors or memory.
const SCARCITY_PAUSE: Duration = Duration::from_millis(100);

/// What bounds an ingress, of streams or of datagrams.
#[derive(Clone, Copy, Debug)]
pub struct IngressLimits {
    /// Most accepted sockets that no server has taken yet. Further connections wait in the kernel.
    pub pushes: usize,
    /// How long the switchboard may take over a socket before it is closed.
    pub push_time: Duration,
    /// How long a connection waits for a server that has not been there yet. Once one was, that none is there any more
    /// is told at once. No datagram waits.
    pub start_time: Duration,
}

impl Default for IngressLimits {
    fn default() -> Self {
        Self { pushes: 64, push_time: Duration::from_secs(30), start_time: Duration::from_secs(10) }
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
/// When `stop` turns true, the ingress accepts what the kernel still holds, closes the listener, and returns once all
/// that it accepted was taken or refused. How long it waits for that is the caller's to bound.
///
/// Every push carries `labels`, `transport=tcp`, and the addresses and ports of both ends of the socket. A
/// `server_address` and a `server_port` in `labels` go before those of the socket: the server is found by them. If
/// `labels` say anything else about the socket that is not so, the connection is reset.
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
    stop: watch::Receiver<bool>,
) -> Result<(), IngressError> {
    let mut ingress = Ingress {
        source: Source::open(listener).map_err(IngressError::Accept)?,
        stop,
        handle,
        labels,
        limits,
        arrivals: 0,
        pushes: JoinSet::new(),
        queue: Queue::default(),
        had_server: false,
        complaints: Complaints::default(),
    };
    let ended = ingress.run().await;
    ingress.pushes.shutdown().await;
    ended
}

/// Ends when an ingress is told to stop. If nobody is left to say so, never.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|is_stopping| *is_stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Where connections come from: Open -> Last (told to stop) -> Closed (nobody is left).
enum Source {
    Open(TcpListener),
    /// Only those that the kernel has let in already.
    Last(std::net::TcpListener),
    Closed,
}

impl Source {
    fn open(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Open)
    }

    /// Takes no more than there are.
    fn stop(&mut self) -> io::Result<()> {
        if let Self::Open(listener) = std::mem::replace(self, Self::Closed) {
            // The kernel is asked directly from now on: what tokio knows may be older than what the kernel has.
            *self = Self::Last(listener.into_std()?);
        }
        Ok(())
    }

    /// The next connection; `None` if there was the last.
    async fn accept(&mut self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        match self {
            Self::Open(listener) => {
                let (stream, client) = listener.accept().await?;
                // Taken out of this runtime, as the socket is the server's from now on.
                Ok(Some((stream.into_std()?, client)))
            }
            Self::Last(listener) => match listener.accept() {
                Ok((stream, client)) => {
                    stream.set_nonblocking(true)?;
                    Ok(Some((stream, client)))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    *self = Self::Closed;
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            Self::Closed => Ok(None),
        }
    }
}

/// One listener at work. Owned by the task that runs it.
struct Ingress {
    source: Source,
    stop: watch::Receiver<bool>,
    handle: Handle,
    /// What every push carries besides the labels of the socket.
    labels: Labels,
    limits: IngressLimits,
    /// How many were accepted: the number of the last.
    arrivals: u64,
    /// One for each accepted socket that the switchboard has not answered for.
    pushes: JoinSet<Pushed>,
    /// Those to be pushed again, and those that came after them. All came later than those under way.
    queue: Queue<Arrival>,
    /// Whether a server took any connection yet.
    had_server: bool,
    complaints: Complaints,
}

impl Ingress {
    async fn run(&mut self) -> Result<(), IngressError> {
        loop {
            self.push_first();
            let under_way = self.pushes.len() + self.queue.len();
            let (is_open, is_closed) = (matches!(self.source, Source::Open(_)), matches!(self.source, Source::Closed));
            if is_closed && under_way == 0 {
                return Ok(());
            }
            let has_room = under_way < self.limits.pushes.max(1);
            let next_try = self.queue.next_try().filter(|_| !self.queue.is_empty() && self.pushes.is_empty());
            tokio::select! {
                biased;
                Some(ended) = self.pushes.join_next() => self.note_end(ended)?,
                () = told_to_stop(&mut self.stop), if is_open => self.source.stop().map_err(IngressError::Accept)?,
                accepted = self.source.accept(), if has_room && !is_closed => match accepted {
                    Ok(Some((stream, client))) => self.admit(stream, client),
                    Ok(None) => {}
                    Err(error) => self.note_failed_accept(error).await?,
                },
                () = sleep_until(next_try.unwrap_or_else(Instant::now)), if next_try.is_some() => {}
            }
        }
    }

    /// Sends an accepted socket on its way, or lets it wait behind those that wait already.
    fn admit(&mut self, stream: TcpStream, client: SocketAddr) {
        match self.arrival(stream, client) {
            Ok(arrival) => {
                self.arrivals += 1;
                if self.queue.is_empty() && self.queue.next_try().is_none() {
                    self.push(self.arrivals, arrival);
                } else {
                    self.queue.insert(self.arrivals, arrival);
                }
            }
            Err(error) => self.complain(&error.to_string()),
        }
    }

    fn arrival(&self, stream: TcpStream, client: SocketAddr) -> io::Result<Arrival> {
        let labels = socket_labels("tcp", client, stream.local_addr()?, &self.labels);
        let socket = OwnedFd::from(stream);
        let labels = match labels {
            Ok(labels) => labels,
            Err(error) => {
                push::reset(socket);
                return Err(io::Error::other(error));
            }
        };
        Ok(Arrival { socket, labels, since: Instant::now() })
    }

    fn push(&mut self, number: u64, arrival: Arrival) {
        self.pushes.spawn(push::push(self.handle.clone(), number, arrival, self.limits.push_time));
    }

    /// Tries whoever waits and is first, if nothing is under way: those came before. Lets go of those whose client did
    /// not wait.
    fn push_first(&mut self) {
        let is_pausing = self.queue.next_try().is_some_and(|next_try| Instant::now() < next_try);
        if is_pausing || !self.pushes.is_empty() {
            return;
        }
        if self.queue.next_try().is_some() {
            for number in push::broken_off(self.queue.iter()) {
                self.queue.remove(number);
            }
        }
        if let Some((number, arrival)) = self.queue.take_first() {
            self.push(number, arrival);
        }
    }

    fn note_end(&mut self, ended: Result<Pushed, JoinError>) -> Result<(), IngressError> {
        let Pushed { number, arrival, verdict } = match ended {
            Ok(pushed) => pushed,
            Err(error) => {
                self.complain(&error.to_string());
                return Ok(());
            }
        };
        let is_starting = !self.had_server && arrival.since.elapsed() < self.limits.start_time;
        match verdict {
            Verdict::NoRoom(_) => self.wait(number, arrival),
            Verdict::NoServer(_) if is_starting => self.wait(number, arrival),
            Verdict::Broken(error) => return Err(IngressError::Switchboard(error)),
            Verdict::Taken => {
                self.had_server = true;
                self.queue.end_pause();
            }
            Verdict::NoServer(error) | Verdict::Refused(error) => self.refuse(arrival, &error.to_string()),
            Verdict::Unanswered => {
                self.complain("the switchboard did not answer in time");
                self.queue.end_pause();
            }
        }
        Ok(())
    }

    fn wait(&mut self, number: u64, arrival: Arrival) {
        self.queue.insert(number, arrival);
        self.queue.begin_pause(Instant::now());
    }

    fn refuse(&mut self, arrival: Arrival, reason: &str) {
        push::reset(arrival.socket);
        self.complain(reason);
        self.queue.end_pause();
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

#[cfg(test)]
mod tests;
