//! Datagram sockets: what Linux makes of each call in each state, over the state machine of a UDP socket.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};

use wasmtime_wasi::p1::types::{Errno, Error, Riflags};
use wiggle::GuestMemory;

use crate::p1::memory::Pieces;
use crate::p1::poll::{Direction, Readiness, Waiting};
use crate::p1::socket::Received;
use crate::p1::wait::Patience;
use crate::sockets::{Datagrams, Family, Fault, Halves, Network, SocketOption, UdpSocket};

/// No datagram of either family is larger.
const MAX_DATAGRAM_BYTES: usize = 65_527;

/// A datagram socket.
#[derive(Debug)]
pub(super) struct Udp {
    socket: UdpSocket,
    datagrams: Datagrams,
    /// The next datagram and its sender, if the guest has looked at it without taking it.
    next: Option<(Vec<u8>, SocketAddr)>,
    /// What went wrong and has not been told.
    failure: Option<Errno>,
    reading_ended: bool,
    writing_ended: bool,
}

impl Udp {
    pub(super) fn new(network: &Network, family: Family) -> Result<Udp, Fault> {
        let socket = UdpSocket::new(network, family)?;
        let datagrams = socket.datagrams();
        Ok(Udp { socket, datagrams, next: None, failure: None, reading_ended: false, writing_ended: false })
    }

    pub(super) fn family(&self) -> Family {
        self.socket.family()
    }

    /// The only peer, if the socket is connected.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.socket.remote_address().ok()
    }

    pub(super) async fn bind(&mut self, local: SocketAddr) -> Result<(), Errno> {
        Ok(self.socket.bind(local).await?)
    }

    pub(super) async fn connect(&mut self, remote: SocketAddr) -> Result<(), Errno> {
        self.socket.connect(remote).await?;
        if self.next.as_ref().is_some_and(|(_, from)| *from != remote) {
            self.next = None;
        }
        Ok(())
    }

    pub(super) fn disconnect(&mut self) -> Result<(), Errno> {
        match self.socket.disconnect() {
            // It had no peer, and it has none.
            Ok(()) | Err(Fault::InvalidState) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }

    pub(super) async fn receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        pieces: &Pieces,
        flags: Riflags,
        patience: Patience,
    ) -> Result<Received, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure.into());
        }
        let (data, from) = match self.next.take() {
            Some(next) => next,
            None if self.reading_ended => return Ok(Received { count: 0, truncated: false, from: None }),
            None => {
                if !self.socket.is_bound() {
                    // Linux waits here for what cannot come; with a port of its own so does this socket.
                    self.bind(SocketAddr::new(self.family().unspecified(), 0)).await?;
                }
                let next = async { self.datagrams.receive().await.map_err(Error::from) };
                patience.wait(Errno::Again, next).await?
            }
        };
        let filled = pieces.fill(memory, 0, &data);
        let length = data.len();
        if flags.contains(Riflags::RECV_PEEK) {
            self.next = Some((data, from));
        }
        let count = filled?;
        Ok(Received { count, truncated: count < length, from: Some(from) })
    }

    pub(super) async fn send(
        &mut self,
        memory: &GuestMemory<'_>,
        pieces: &Pieces,
        to: Option<SocketAddr>,
        patience: Patience,
    ) -> Result<usize, Error> {
        if self.writing_ended {
            return Err(Errno::Pipe.into());
        }
        let to = to.map(|to| self.named(to));
        match (self.peer(), to) {
            (None, None) => return Err(Errno::Destaddrreq.into()),
            (Some(peer), Some(to)) if peer != to => return Err(Errno::Isconn.into()),
            _ => {}
        }
        if pieces.len() > MAX_DATAGRAM_BYTES {
            return Err(Errno::Msgsize.into());
        }
        let data = pieces.read(memory, MAX_DATAGRAM_BYTES)?;
        let sent = async { self.datagrams.send(&data, to).await.map_err(Error::from) };
        patience.wait(Errno::Again, sent).await?;
        Ok(data.len())
    }

    /// The address that stands for this host means its loopback.
    fn named(&self, to: SocketAddr) -> SocketAddr {
        let ip: IpAddr = if to.ip().is_unspecified() { self.family().loopback() } else { to.ip() };
        SocketAddr::new(ip, to.port())
    }

    pub(super) fn shutdown(&mut self, halves: Halves) -> Result<(), Errno> {
        self.peer().ok_or(Errno::Notconn)?;
        self.reading_ended |= halves != Halves::Write;
        self.writing_ended |= halves != Halves::Read;
        Ok(())
    }

    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        self.socket.local_address().ok()
    }

    pub(super) fn take_error(&mut self) -> Option<Errno> {
        self.failure.take()
    }

    pub(super) fn option<O: SocketOption>(&self) -> Result<O::Wasi, Errno> {
        Ok(self.socket.option::<O>()?)
    }

    pub(super) fn set_option<O: SocketOption>(&mut self, value: O::Wasi) -> Result<(), Errno> {
        Ok(self.socket.set_option::<O>(value)?)
    }

    pub(super) fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiting: &mut Option<Waiting>,
    ) -> Poll<Readiness> {
        loop {
            if self.failure.is_some() || (direction == Direction::Read && self.reading_ended) {
                return Poll::Ready(Readiness::HUNG_UP);
            }
            if direction == Direction::Read
                && let Some((data, _)) = &self.next
            {
                return Poll::Ready(Readiness::of(data.len() as u64));
            }
            let datagrams = self.datagrams.clone();
            let wait = waiting.get_or_insert_with(|| match direction {
                Direction::Read => Box::pin(async move { datagrams.receivable().await }),
                Direction::Write => Box::pin(async move { datagrams.sendable().await }),
            });
            if direction == Direction::Read && !self.socket.is_bound() {
                return Poll::Pending;
            }
            ready!(wait.as_mut().poll(cx));
            *waiting = None;
            if direction == Direction::Write {
                return Poll::Ready(Readiness::of(1));
            }
            match self.datagrams.try_receive() {
                Ok(next) => self.next = Some(next),
                // What was reported is nothing to this socket.
                Err(Fault::WouldBlock) => {}
                Err(fault) => self.failure = Some(fault.into()),
            }
        }
    }
}
