//! A socket as preview 1 knows it: a descriptor that may be non-blocking, over the socket state machines.
//!
//! What is decided here is what Linux decides for the descriptor: how long a call waits and which error tells of a call
//! that the socket is in no state for. A call with patience waits inside the guest's own fibre; others go on.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use wasmtime_wasi::p1::types::{
    Errno, Error, Fdflags, Fdstat, Filestat, Filetype, Riflags, Rights, Roflags, Sdflags, Size,
};
use wiggle::GuestMemory;

use crate::p1::memory::Pieces;
use crate::p1::poll::{Direction, Readiness, Waiting};
use crate::p1::tcp::Tcp;
use crate::p1::udp::Udp;
use crate::p1::wait::Patience;
use crate::sockets::{Family, Halves, Network, SocketOption};

/// What every socket may do. Preview 1's rights are not enforced here; libraries read them to know what works.
const RIGHTS: Rights = Rights::FD_READ
    .union(Rights::FD_WRITE)
    .union(Rights::FD_FDSTAT_SET_FLAGS)
    .union(Rights::FD_FILESTAT_GET)
    .union(Rights::POLL_FD_READWRITE)
    .union(Rights::SOCK_SHUTDOWN)
    .union(Rights::SOCK_ACCEPT);

/// A socket of a guest.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) kind: Kind,
    pub(super) kept: Kept,
    nonblocking: bool,
}

/// The two kinds.
#[expect(clippy::large_enum_variant, reason = "the table holds each socket in a box of its own")]
#[derive(Debug)]
pub(super) enum Kind {
    Tcp(Tcp),
    Udp(Udp),
}

/// Options that are the descriptor's, not the connection's.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) receive_timeout: Option<Duration>,
    pub(super) send_timeout: Option<Duration>,
    pub(super) broadcast: bool,
    pub(super) reuse_address: bool,
}

/// What a read brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    /// How many bytes went into the guest's buffers.
    pub(super) count: usize,
    /// Whether the datagram was larger than the buffers, and the rest of it is lost.
    pub(super) truncated: bool,
    /// Who sent it.
    pub(super) from: Option<SocketAddr>,
}

impl Received {
    pub(super) fn size(self) -> Result<Size, Errno> {
        Size::try_from(self.count).map_err(|_too_large| Errno::Overflow)
    }

    pub(super) fn flags(self) -> Roflags {
        if self.truncated { Roflags::RECV_DATA_TRUNCATED } else { Roflags::empty() }
    }
}

impl Socket {
    pub(super) fn new(kind: Kind) -> Socket {
        Socket { kind, kept: Kept::default(), nonblocking: false }
    }

    /// A new stream socket.
    pub(super) fn stream(network: &Network, family: Family) -> Result<Socket, Errno> {
        Ok(Socket::new(Kind::Tcp(Tcp::new(network, family)?)))
    }

    /// A new datagram socket.
    pub(super) fn datagram(network: &Network, family: Family) -> Result<Socket, Errno> {
        Ok(Socket::new(Kind::Udp(Udp::new(network, family)?)))
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_))
    }

    pub(super) fn is_listening(&self) -> bool {
        matches!(&self.kind, Kind::Tcp(tcp) if tcp.is_listening())
    }

    fn family(&self) -> Family {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.family(),
            Kind::Udp(udp) => udp.family(),
        }
    }

    /// The error of an address that belongs to the other family.
    fn check_family(&self, address: SocketAddr) -> Result<(), Errno> {
        if Family::of(address.ip()) == self.family() { Ok(()) } else { Err(Errno::Afnosupport) }
    }

    fn patience(&self, timeout: Option<Duration>) -> Patience {
        match timeout {
            _ if self.nonblocking => Patience::None,
            Some(timeout) => Patience::AtMost(timeout),
            None => Patience::Endless,
        }
    }

    pub(super) async fn bind(&mut self, local: SocketAddr) -> Result<(), Errno> {
        self.check_family(local)?;
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.bind(local).await,
            Kind::Udp(udp) => udp.bind(local).await,
        }
    }

    pub(super) async fn listen(&mut self, backlog: u32) -> Result<(), Errno> {
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.listen(backlog).await,
            Kind::Udp(_) => Err(Errno::Notsup),
        }
    }

    /// Takes the next connection as a socket of its own.
    pub(super) async fn accept(&mut self, flags: Fdflags) -> Result<Socket, Error> {
        let patience = self.patience(self.kept.receive_timeout);
        let Kind::Tcp(tcp) = &mut self.kind else { return Err(Errno::Notsup.into()) };
        let mut accepted = Socket::new(Kind::Tcp(tcp.accept(patience).await?));
        accepted.set_flags(flags)?;
        Ok(accepted)
    }

    /// Connects; of a datagram socket, fixes its peer. An address that stands for this host means its loopback, as it
    /// does to Linux.
    pub(super) async fn connect(&mut self, remote: SocketAddr) -> Result<(), Error> {
        self.check_family(remote)?;
        let ip = if remote.ip().is_unspecified() { self.family().loopback() } else { remote.ip() };
        let remote = SocketAddr::new(ip, remote.port());
        let patience = self.patience(self.kept.send_timeout);
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.connect(remote, patience).await,
            Kind::Udp(udp) => Ok(udp.connect(remote).await?),
        }
    }

    /// Lets a datagram socket's peer go.
    pub(super) fn disconnect(&mut self) -> Result<(), Errno> {
        match &mut self.kind {
            Kind::Tcp(_) => Err(Errno::Afnosupport),
            Kind::Udp(udp) => udp.disconnect(),
        }
    }

    /// Fills `pieces`. No bytes are the end of a stream, or an empty datagram.
    pub(super) async fn receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        pieces: &Pieces,
        flags: Riflags,
    ) -> Result<Received, Error> {
        let patience = self.patience(self.kept.receive_timeout);
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.receive(memory, pieces, flags, patience).await,
            Kind::Udp(udp) => udp.receive(memory, pieces, flags, patience).await,
        }
    }

    /// Sends `pieces`. A stream socket is connected already and pays no heed to `to`, as on Linux.
    pub(super) async fn send(
        &mut self,
        memory: &GuestMemory<'_>,
        pieces: &Pieces,
        to: Option<SocketAddr>,
    ) -> Result<Size, Error> {
        let patience = self.patience(self.kept.send_timeout);
        let count = match &mut self.kind {
            Kind::Tcp(tcp) => tcp.send(memory, pieces, patience).await?,
            Kind::Udp(udp) => {
                if let Some(to) = to
                    && Family::of(to.ip()) != udp.family()
                {
                    return Err(Errno::Afnosupport.into());
                }
                udp.send(memory, pieces, to, patience).await?
            }
        };
        Ok(Size::try_from(count)?)
    }

    pub(super) fn shutdown(&mut self, how: Sdflags) -> Result<(), Errno> {
        let halves = match (how.contains(Sdflags::RD), how.contains(Sdflags::WR)) {
            (true, true) => Halves::Both,
            (true, false) => Halves::Read,
            (false, true) => Halves::Write,
            (false, false) => return Err(Errno::Inval),
        };
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.shutdown(halves),
            Kind::Udp(udp) => udp.shutdown(halves),
        }
    }

    /// The near end; the unspecified address for a socket that has none.
    pub(super) fn local_address(&mut self) -> SocketAddr {
        let found = match &mut self.kind {
            Kind::Tcp(tcp) => tcp.local_address(),
            Kind::Udp(udp) => udp.local_address(),
        };
        found.unwrap_or_else(|| SocketAddr::new(self.family().unspecified(), 0))
    }

    pub(super) fn remote_address(&mut self) -> Result<SocketAddr, Errno> {
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.remote_address(),
            Kind::Udp(udp) => udp.peer(),
        }
        .ok_or(Errno::Notconn)
    }

    /// What went wrong since it was last asked (`SO_ERROR`).
    pub(super) fn take_error(&mut self) -> Option<Errno> {
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.take_error(),
            Kind::Udp(udp) => udp.take_error(),
        }
    }

    pub(super) fn option<O: SocketOption>(&self) -> Result<O::Wasi, Errno> {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.option::<O>(),
            Kind::Udp(udp) => udp.option::<O>(),
        }
    }

    pub(super) fn set_option<O: SocketOption>(&mut self, value: O::Wasi) -> Result<(), Errno> {
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.set_option::<O>(value),
            Kind::Udp(udp) => udp.set_option::<O>(value),
        }
    }

    /// Waits until the socket is ready, or is worth a look for another reason. What has to be kept from one turn of
    /// the same wait to the next is kept in `waiting`.
    pub(super) fn poll_ready(
        &mut self,
        cx: &mut Context<'_>,
        direction: Direction,
        waiting: &mut Option<Waiting>,
    ) -> Poll<Readiness> {
        match &mut self.kind {
            Kind::Tcp(tcp) => tcp.poll_ready(cx, direction),
            Kind::Udp(udp) => udp.poll_ready(cx, direction, waiting),
        }
    }

    /// Makes it blocking or non-blocking. A socket is never written to a disk.
    pub(super) fn set_flags(&mut self, flags: Fdflags) -> Result<(), Errno> {
        if flags.intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC) {
            return Err(Errno::Inval);
        }
        self.nonblocking = flags.contains(Fdflags::NONBLOCK);
        Ok(())
    }

    fn file_type(&self) -> Filetype {
        if self.is_stream() { Filetype::SocketStream } else { Filetype::SocketDgram }
    }

    pub(super) fn status(&self) -> Fdstat {
        Fdstat {
            fs_filetype: self.file_type(),
            fs_flags: if self.nonblocking { Fdflags::NONBLOCK } else { Fdflags::empty() },
            fs_rights_base: RIGHTS,
            fs_rights_inheriting: RIGHTS,
        }
    }

    pub(super) fn file_status(&self) -> Filestat {
        Filestat { dev: 0, ino: 0, filetype: self.file_type(), nlink: 1, size: 0, atim: 0, mtim: 0, ctim: 0 }
    }
}
