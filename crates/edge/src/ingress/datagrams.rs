//! Hears datagrams from outside and pushes a socket for each peer into the switchboard, with what the peer has said.
//!
//! A peer that is not known gets a socket of its own, on the address it wrote to and connected to it. From then on the
//! kernel puts the peer's datagrams there, and whoever has the socket can answer this peer and nobody else. The ingress
//! keeps no socket that it pushed: when the server closes one, the peer is unknown again.
//!
//! As everywhere with UDP, what there is no room for is lost: the ingress keeps a datagram only while its peer's socket
//! is on its way. It never answers.

mod peers;
mod socket;

use super::complaints::Complaints;
use super::labels::socket_labels;
use super::push::{self, Verdict};
use super::{IngressError, IngressLimits, SCARCITY_PAUSE, is_scarcity, told_to_stop};
use capability::Labels;
use client::Handle;
use peers::{Datagrams, Known, Parcel, Peers};
use socket::{Datagram, Ear, Ends};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

/// Datagrams taken in before anything else gets its turn.
const BATCH: usize = 64;
/// Most datagrams taken out of a new socket. Whoever sends faster than that is not served.
const MAX_DRAINED: usize = 1024;

/// Hears datagrams at `address`. Nobody else of this machine has that address and port.
///
/// The sockets for the peers are made with the same port later: for a port that needs a privilege, the process must keep
/// the privilege.
///
/// # Authority
/// Whoever reaches that address reaches the caller of [`run_udp`].
///
/// # Errors
/// As the system says: the address is taken, is not ours, or needs a privilege.
pub fn bind_udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    socket::hear(address)
}

/// Hears datagrams on `socket` (of [`bind_udp`]) and pushes a socket for each peer through `handle`, with the datagrams
/// that came before it, until the switchboard is gone, which an idle ingress learns by the next datagram, or `stop` turns
/// true. What is heard and not pushed then is lost.
///
/// Every push carries `labels`, `transport=udp`, and the addresses and ports of both ends, as those of
/// [`run`](super::run) do.
///
/// # Authority
/// Gives whoever reaches the socket what the handle may reach.
///
/// # Errors
/// See [`IngressError`].
pub async fn run_udp(
    socket: std::net::UdpSocket,
    handle: Handle,
    labels: Labels,
    limits: IngressLimits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), IngressError> {
    let mut ingress = Ingress::new(socket, handle, labels, limits).map_err(IngressError::Accept)?;
    let ended = tokio::select! {
        biased;
        () = told_to_stop(&mut stop) => Ok(()),
        ended = ingress.run() => ended,
    };
    ingress.pushes.shutdown().await;
    ended
}

/// One socket at work. Owned by the task that runs it.
struct Ingress {
    /// Hears everybody who has no socket yet.
    socket: UdpSocket,
    ear: Ear,
    handle: Handle,
    labels: Labels,
    limits: IngressLimits,
    /// Taken from a socket, and not looked at yet. At most two batches, and what one new socket held.
    inbox: VecDeque<Datagram>,
    peers: Peers,
    /// One for each socket that the switchboard has not answered for.
    pushes: JoinSet<(Ends, Verdict)>,
    complaints: Complaints,
}

impl Ingress {
    fn new(socket: std::net::UdpSocket, handle: Handle, labels: Labels, limits: IngressLimits) -> io::Result<Self> {
        let ear = Ear::new(&socket)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            ear,
            handle,
            labels,
            limits,
            inbox: VecDeque::new(),
            peers: Peers::default(),
            pushes: JoinSet::new(),
            complaints: Complaints::default(),
        })
    }

    async fn run(&mut self) -> Result<(), IngressError> {
        loop {
            let next_end = self.peers.next_end();
            let has_mail = !self.inbox.is_empty();
            tokio::select! {
                biased;
                Some(ended) = self.pushes.join_next() => self.note_end(ended)?,
                () = sleep_until(next_end.unwrap_or_else(Instant::now)), if next_end.is_some() => {
                    self.peers.forget_settled(Instant::now());
                }
                // The switchboard, too, has its turn.
                () = yield_now(), if has_mail => {}
                ready = self.socket.readable(), if !has_mail => ready.map_err(IngressError::Accept)?,
            }
            if let Err(error) = self.take_in() {
                if !is_scarcity(&error) {
                    return Err(IngressError::Accept(error));
                }
                self.complain(&error.to_string());
                sleep(SCARCITY_PAUSE).await;
            }
            for _ in 0..BATCH {
                let Some(datagram) = self.inbox.pop_front() else { break };
                self.sort(datagram);
            }
        }
    }

    /// Takes what was heard, up to a batch. The kernel is asked, whatever tokio knows: what has come by the time a peer's
    /// socket is made must travel with it.
    fn take_in(&mut self) -> io::Result<()> {
        while self.inbox.len() < BATCH {
            match self.ear.receive(&self.socket) {
                Ok(datagrams) => self.inbox.extend(datagrams),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Now tokio knows, too, and waits for the kernel's next word.
                    let _ = self.socket.try_io(Interest::READABLE, || Err::<(), _>(error));
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sort(&mut self, Datagram { ends, bytes }: Datagram) {
        match self.peers.heard(ends, bytes) {
            Known::No(bytes) => self.welcome(ends, bytes),
            Known::Follows => {}
            Known::FollowsNow(parcel) => self.push(ends, parcel),
            Known::Full => self.complain("too many datagrams before the socket was there"),
        }
    }

    /// Makes the socket of a new peer, and pushes it with all that the peer has said.
    fn welcome(&mut self, ends: Ends, first: Vec<u8>) {
        if self.pushes.len() >= self.limits.pushes.max(1) {
            return self.complain("too many peers at once");
        }
        match self.parcel(ends, first) {
            Ok(parcel) => {
                self.peers.begin(ends, &parcel);
                self.push(ends, parcel);
            }
            Err(error) => self.complain(&error.to_string()),
        }
    }

    fn parcel(&mut self, ends: Ends, first: Vec<u8>) -> io::Result<Parcel> {
        if ends.peer == ends.local {
            return Err(io::Error::other("a datagram in the name of this socket itself"));
        }
        let labels = socket_labels("udp", ends.peer, ends.local, &self.labels).map_err(io::Error::other)?;
        let socket = socket::for_peer(ends)?;
        let mut datagrams = Datagrams::default();
        datagrams.keep(first);
        // What was heard before the socket was there is older than what the socket holds.
        self.take_in()?;
        let (of_peer, of_others) = self.inbox.drain(..).partition(|datagram| datagram.ends == ends);
        self.inbox = of_others;
        let heard: VecDeque<Datagram> = of_peer;
        let held = self.drain(&socket, ends)?;
        let all = heard.into_iter().map(|datagram| datagram.bytes).chain(held);
        let lost = all.map(|bytes| datagrams.keep(bytes)).filter(|kept| !kept).count();
        if lost > 0 {
            self.complain("too many datagrams before the socket was there");
        }
        Ok(Parcel { socket: Arc::new(socket), labels, datagrams })
    }

    /// Empties a new socket. Before it was connected the kernel may have given it anybody's datagrams: whoever gets the
    /// socket must not take them for the peer's, so they are put with what was heard.
    fn drain(&mut self, socket: impl AsFd, ends: Ends) -> io::Result<Vec<Vec<u8>>> {
        let mut of_peer = Vec::new();
        for _ in 0..MAX_DRAINED {
            match socket::take_held(&socket, ends.local) {
                Ok(Some(datagram)) if datagram.ends.peer == ends.peer => of_peer.push(datagram.bytes),
                Ok(Some(stranger)) => self.inbox.push_back(stranger),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(of_peer),
                // That the peer does not listen any more is for the server to find out.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("a peer sends faster than a socket can be made for it"))
    }

    fn push(&mut self, ends: Ends, parcel: Parcel) {
        let (handle, time) = (self.handle.clone(), self.limits.push_time);
        self.pushes.spawn(async move {
            let datagrams = parcel.datagrams.into_vec();
            let verdict = push::offer(&handle, &parcel.labels, parcel.socket.as_fd(), datagrams, time).await;
            (ends, verdict)
        });
    }

    fn note_end(&mut self, ended: Result<(Ends, Verdict), JoinError>) -> Result<(), IngressError> {
        let (ends, verdict) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                self.complain(&error.to_string());
                return Ok(());
            }
        };
        match verdict {
            Verdict::Taken => {
                if let Some(rest) = self.peers.arrived(&ends, Instant::now()) {
                    self.push(ends, rest);
                }
                return Ok(());
            }
            Verdict::Broken(error) => return Err(IngressError::Switchboard(error)),
            Verdict::NoRoom(error) | Verdict::NoServer(error) | Verdict::Refused(error) => {
                self.complain(&error.to_string());
            }
            Verdict::Unanswered => self.complain("the switchboard did not answer in time"),
        }
        self.peers.lost(&ends);
        Ok(())
    }

    fn complain(&mut self, reason: &str) {
        if let Some(kept_back) = self.complaints.admit(reason, Instant::now()) {
            tracing::warn!(reason, kept_back, "datagram not taken");
        }
    }
}

#[cfg(test)]
mod tests;
