//! The peers of a UDP socket: a connected descriptor for each, how it is come by, and when it goes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::{Inbox, MAX_PAYLOAD_V6, Shared};
use crate::sockets::arrived::remote_of;
use crate::sockets::connection::watched;
use crate::sockets::fault::Fault;
use crate::sockets::network::Slot;
use crate::sockets::ports::Transport;

/// Most peers of one socket; one more takes the place of the one unused for longest.
const MAX_PEERS: usize = 1024;

/// How long a peer that wrote first is kept without a word in either direction. It is taken again when it writes again.
/// A peer that the guest asked for is kept, because it could not be heard otherwise.
const IDLE: Duration = Duration::from_secs(60);

/// Where the peers of a socket receive, one after the other, because a datagram may be large and hardly ever is.
pub(super) type Scratch = Arc<Mutex<Vec<u8>>>;

/// The peers of one socket.
#[derive(Debug, Default)]
pub(super) struct Peers(HashMap<SocketAddr, Peer>);

/// One peer.
#[derive(Debug)]
pub(super) enum Peer {
    /// The switchboard has been asked. To `Open` or `Refused`.
    Asked {
        /// Ends the question with the socket.
        _question: AbortOnDrop,
    },
    /// Refused; the guest has not been told. Forgotten when it is.
    Refused(Fault),
    /// There.
    Open(Open),
}

/// A peer's connected descriptor.
#[derive(Debug)]
pub(super) struct Open {
    socket: Arc<PeerSocket>,
    used: Instant,
    _reader: AbortOnDrop,
    _slot: Slot,
}

/// Who spoke first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The guest.
    Asked,
    /// The peer.
    Arrived,
}

#[derive(Debug)]
pub(super) struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connected UDP socket of the kernel.
#[derive(Debug)]
pub(super) struct PeerSocket {
    fd: AsyncFd<OwnedFd>,
    /// Whom it is connected to.
    remote: Option<SocketAddr>,
}

impl AsFd for PeerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Open {
    pub(super) fn socket(&self) -> &OwnedFd {
        self.socket.fd.get_ref()
    }
}

impl Peers {
    /// The descriptor of a peer that is there.
    pub(super) fn open(&self, peer: SocketAddr) -> Option<&PeerSocket> {
        match self.0.get(&peer)? {
            Peer::Open(open) => Some(&open.socket),
            Peer::Asked { .. } | Peer::Refused(_) => None,
        }
    }

    /// The same, for whoever waits on it.
    pub(super) fn open_shared(&self, peer: SocketAddr) -> Option<Arc<PeerSocket>> {
        match self.0.get(&peer)? {
            Peer::Open(open) => Some(Arc::clone(&open.socket)),
            Peer::Asked { .. } | Peer::Refused(_) => None,
        }
    }

    /// Does something with each descriptor there is.
    pub(super) fn each_open(&self, mut with: impl FnMut(BorrowedFd<'_>)) {
        self.0.keys().filter_map(|peer| self.open(*peer)).for_each(|socket| with(socket.as_fd()));
    }

    /// Makes room for one more.
    fn make_room(&mut self, except: Option<SocketAddr>) {
        if self.0.len() >= MAX_PEERS {
            self.drop_longest_unused(except);
        }
    }

    fn drop_longest_unused(&mut self, except: Option<SocketAddr>) {
        let used = |(address, peer): (&SocketAddr, &Peer)| match peer {
            Peer::Open(open) if Some(*address) != except => Some((open.used, *address)),
            _ => None,
        };
        if let Some((_, longest_unused)) = self.0.iter().filter_map(used).min() {
            self.0.remove(&longest_unused);
        }
    }
}

impl Shared {
    pub(super) fn has_peer(&self, peer: SocketAddr) -> bool {
        self.lock().peers.0.contains_key(&peer)
    }

    /// Sends a datagram over the peer's descriptor; if there is none, asks for it.
    pub(super) fn send_to_peer(self: &Arc<Self>, data: &[u8], to: SocketAddr) -> Result<(), Fault> {
        let mut state = self.lock();
        let is_connected = state.remote.is_some();
        let sent = match state.peers.0.get_mut(&to) {
            Some(Peer::Open(open)) => {
                open.used = Instant::now();
                open.socket.send(data, is_connected)
            }
            Some(Peer::Asked { .. }) => Err(Fault::WouldBlock),
            Some(Peer::Refused(fault)) => {
                let fault = *fault;
                state.peers.0.remove(&to);
                Err(fault)
            }
            None => {
                let question = self.ask(to);
                state.peers.0.insert(to, Peer::Asked { _question: question });
                Err(Fault::WouldBlock)
            }
        };
        if sent == Err(Fault::WouldBlock) {
            state.waits_for = Some(to);
        }
        sent
    }

    /// Waits for the peer's descriptor, and tells the local address it has.
    pub(super) async fn until_peer(self: &Arc<Self>, peer: SocketAddr) -> Result<Option<SocketAddr>, Fault> {
        loop {
            {
                let mut state = self.lock();
                match state.peers.0.get(&peer) {
                    Some(Peer::Refused(fault)) => {
                        let fault = *fault;
                        state.peers.0.remove(&peer);
                        return Err(fault);
                    }
                    Some(open @ Peer::Open(_)) => return Ok(open.local()),
                    Some(Peer::Asked { .. }) => {}
                    None => {
                        let question = self.ask(peer);
                        state.peers.0.insert(peer, Peer::Asked { _question: question });
                    }
                }
            }
            self.until_settled(peer).await;
        }
    }

    /// Waits until no answer about the peer is on its way.
    pub(super) async fn until_settled(&self, peer: SocketAddr) {
        loop {
            let answered = self.answered.notified();
            tokio::pin!(answered);
            answered.as_mut().enable();
            if !matches!(self.lock().peers.0.get(&peer), Some(Peer::Asked { .. })) {
                return;
            }
            answered.await;
        }
    }

    /// Asks the switchboard for a peer, as a task.
    fn ask(self: &Arc<Self>, peer: SocketAddr) -> AbortOnDrop {
        let asked = self.network.connect(Transport::Udp, peer);
        let socket = Arc::downgrade(self);
        AbortOnDrop(self.network.tasks().spawn(async move {
            let answer = asked.await;
            let Some(shared) = socket.upgrade() else { return };
            let outcome = answer.and_then(|connection| shared.open_peer(peer, connection.socket, Origin::Asked));
            if let Err(fault) = outcome {
                shared.lock().peers.0.insert(peer, Peer::Refused(fault));
            }
            shared.answered.notify_waiters();
        }))
    }

    /// Takes a connected descriptor for a peer.
    ///
    /// # Errors
    ///
    /// The guest has as many sockets as it may, and none of this socket's can go for it; or the system cannot watch it.
    pub(super) fn open_peer(self: &Arc<Self>, peer: SocketAddr, socket: OwnedFd, origin: Origin) -> Result<(), Fault> {
        let mut state = self.lock();
        let except = state.remote;
        state.peers.make_room(except);
        let slot = self.network.slot().or_else(|_| {
            state.peers.drop_longest_unused(except);
            self.network.slot()
        })?;
        state.options.apply(&socket);
        let socket = PeerSocket::new(socket).map_err(|error| {
            tracing::debug!(%error, "the socket of a peer cannot be watched");
            Fault::Unknown
        })?;
        let socket = Arc::new(socket);
        let task = Reading {
            socket: Arc::clone(&socket),
            peer,
            origin,
            inbox: self.inbox.clone(),
            scratch: Arc::clone(&self.scratch),
            of: Arc::downgrade(self),
        };
        let reader = AbortOnDrop(self.network.tasks().spawn(task.run()));
        let open = Open { socket, used: Instant::now(), _reader: reader, _slot: slot };
        // A question for the same peer ends here, and with it the task that may be calling: it has nothing left to do.
        state.peers.0.insert(peer, Peer::Open(open));
        Ok(())
    }
}

impl PeerSocket {
    fn new(socket: OwnedFd) -> io::Result<PeerSocket> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let remote = remote_of(&socket);
        Ok(PeerSocket { fd: watched(socket)?, remote })
    }

    /// Sends a datagram. That an earlier one found nobody is told on the way; it matters to nobody who has several peers.
    fn send(&self, data: &[u8], is_connected: bool) -> Result<(), Fault> {
        let send = || loop {
            match rustix::net::send(self, data, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                outcome => return outcome.map(drop),
            }
        };
        match send() {
            Err(Errno::CONNREFUSED) if !is_connected => Ok(send()?),
            outcome => Ok(outcome?),
        }
    }

    pub(super) async fn until_writable(&self) -> io::Result<()> {
        let mut guard = self.fd.writable().await?;
        // The kernel said "full" a moment ago, which tokio has not seen: it must wait for the kernel's next word.
        let is_full = rustix::event::poll(
            &mut [rustix::event::PollFd::new(self, rustix::event::PollFlags::OUT)],
            Some(&rustix::event::Timespec::default()),
        );
        if is_full == Ok(0) {
            guard.clear_ready();
            drop(self.fd.writable().await?);
        }
        Ok(())
    }

    /// Receives a datagram of the peer by way of `scratch`, which holds the largest. That nobody listens is told as an error alone, so
    /// errors are waited for as well.
    async fn receive(&self, scratch: &Scratch) -> Result<Option<Vec<u8>>, Errno> {
        let received = self.fd.async_io(Interest::READABLE.add(Interest::ERROR), |socket| {
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            scratch.resize(MAX_PAYLOAD_V6, 0);
            let (count, _, from) = rustix::net::recvfrom(socket, &mut scratch[..], RecvFlags::empty())?;
            // One that came between making the socket and connecting it may be a stranger's.
            let is_peers = from.and_then(|from| SocketAddr::try_from(from).ok()) == self.remote;
            Ok(is_peers.then(|| scratch[..count].to_vec()))
        });
        received.await.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }
}

/// The task that reads one peer's descriptor into the socket's queue.
struct Reading {
    socket: Arc<PeerSocket>,
    peer: SocketAddr,
    origin: Origin,
    inbox: Inbox,
    scratch: Scratch,
    of: Weak<Shared>,
}

impl Reading {
    async fn run(self) {
        let mut heard = Instant::now();
        loop {
            self.inbox.until_room().await;
            let received = match self.origin {
                Origin::Asked => self.socket.receive(&self.scratch).await,
                Origin::Arrived => match timeout_at(heard + IDLE, self.socket.receive(&self.scratch)).await {
                    Ok(received) => received,
                    Err(_elapsed) => match self.last_use() {
                        Some(used) if used > heard => {
                            heard = used;
                            continue;
                        }
                        _ => return self.leave(),
                    },
                },
            };
            heard = Instant::now();
            match received {
                Ok(Some(data)) => self.inbox.push(self.peer, &data),
                Ok(None) => {}
                Err(errno) => self.inbox.push_fault(self.peer, errno.into()),
            }
        }
    }

    /// When the guest last wrote to the peer, or whether the peer is the only one and stays.
    fn last_use(&self) -> Option<Instant> {
        let shared = self.of.upgrade()?;
        let state = shared.lock();
        match state.peers.0.get(&self.peer)? {
            Peer::Open(_) if state.remote == Some(self.peer) => Some(Instant::now()),
            Peer::Open(open) => Some(open.used),
            Peer::Asked { .. } | Peer::Refused(_) => None,
        }
    }

    /// Forgets the peer, and with it this task.
    fn leave(&self) {
        let Some(shared) = self.of.upgrade() else { return };
        let mut state = shared.lock();
        if state.peers.open_shared(self.peer).is_some_and(|open| Arc::ptr_eq(&open, &self.socket)) {
            state.peers.0.remove(&self.peer);
        }
    }
}
