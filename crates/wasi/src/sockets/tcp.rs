//! The state machine of a guest's TCP socket, whatever version of WASI it is seen through.
//!
//! It has no kernel socket before it is connected. Listening belongs here too, when it comes; for now a socket cannot be
//! bound, and so neither listen nor accept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Context, Poll};

use capability::{Labels, keys};
use rustix::io::Errno;

use crate::sockets::connection::{Connection, Reader, Writer};
use crate::sockets::denial::Action;
use crate::sockets::fault::Fault;
use crate::sockets::network::Network;
use crate::sockets::options::{Options, SocketOption};
use crate::sockets::pending::{Pending, Tasks};

/// The two address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Which halves of a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halves {
    Read,
    Write,
    Both,
}

/// A guest's TCP socket.
#[derive(Debug)]
pub(crate) struct TcpSocket {
    family: Family,
    state: State,
    options: Options,
}

#[derive(Debug)]
enum State {
    /// New. To `Connecting`.
    Unconnected,
    /// The switchboard has been asked. To `Connected` or `Closed`, when the guest asks for the result.
    Connecting { remote: SocketAddr, answer: Pending<client::Connection>, tasks: Tasks },
    /// Connected. Stays so, whatever becomes of the two halves.
    Connected { connection: Arc<Connection>, addresses: Addresses },
    /// The connection was not made. Stays so.
    Closed,
}

/// What a connected socket tells of its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Addresses {
    local: SocketAddr,
    remote: SocketAddr,
}

impl TcpSocket {
    pub(crate) fn new(family: Family) -> TcpSocket {
        TcpSocket { family, state: State::Unconnected, options: Options::default() }
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// Refuses to take a local address.
    pub(crate) fn bind(&self, network: &Network, local: SocketAddr) -> Fault {
        match self.state {
            State::Unconnected if !self.is_own_family(local.ip()) || is_multicast(local.ip()) => Fault::InvalidArgument,
            State::Unconnected => network.deny(Action::Bind, local.to_string()),
            State::Connecting { .. } => Fault::ConcurrencyConflict,
            State::Connected { .. } | State::Closed => Fault::InvalidState,
        }
    }

    /// Asks the switchboard for a connection.
    ///
    /// # Errors
    ///
    /// It is not a new socket, or the address is none to connect to.
    pub(crate) fn start_connect(&mut self, network: &Network, remote: SocketAddr) -> Result<(), Fault> {
        match self.state {
            State::Unconnected => {}
            State::Connecting { .. } => return Err(Fault::ConcurrencyConflict),
            State::Connected { .. } | State::Closed => return Err(Fault::InvalidState),
        }
        let ip = remote.ip();
        if !self.is_own_family(ip) || is_multicast(ip) || ip.is_unspecified() || remote.port() == 0 {
            return Err(Fault::InvalidArgument);
        }
        self.state = State::Connecting { remote, answer: network.connect(remote), tasks: network.tasks().clone() };
        Ok(())
    }

    /// Waits until `finish_connect` has a result; ready at once if nothing is under way.
    pub(crate) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Connecting { answer, .. } => answer.poll_ready(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Takes the connection over, once it has arrived.
    ///
    /// # Errors
    ///
    /// Nothing was asked for, it has not arrived yet, or it was refused.
    pub(crate) fn finish_connect(&mut self) -> Result<(Reader, Writer), Fault> {
        let State::Connecting { remote, answer, tasks } = &mut self.state else { return Err(Fault::NotInProgress) };
        let answer = answer.take().ok_or(Fault::WouldBlock)?;
        match answer.and_then(|answer| connected(answer, *remote, tasks)) {
            Ok((connection, addresses)) => {
                self.options.apply(&connection);
                let connection = Arc::new(connection);
                let halves = (Reader::new(&connection), Writer::new(&connection));
                self.state = State::Connected { connection, addresses };
                Ok(halves)
            }
            Err(fault) => {
                self.state = State::Closed;
                Err(fault)
            }
        }
    }

    /// Ends one or both halves. What has been written goes first.
    ///
    /// # Errors
    ///
    /// The socket is not connected.
    pub(crate) fn shutdown(&self, halves: Halves) -> Result<(), Fault> {
        let State::Connected { connection, .. } = &self.state else { return Err(Fault::InvalidState) };
        if halves != Halves::Write {
            connection.close_reading();
        }
        if halves != Halves::Read {
            connection.close_writing();
        }
        Ok(())
    }

    /// The near end.
    ///
    /// # Errors
    ///
    /// The socket is not connected.
    pub(crate) fn local_address(&self) -> Result<SocketAddr, Fault> {
        self.addresses().map(|addresses| addresses.local)
    }

    /// The far end.
    ///
    /// # Errors
    ///
    /// The socket is not connected.
    pub(crate) fn remote_address(&self) -> Result<SocketAddr, Fault> {
        self.addresses().map(|addresses| addresses.remote)
    }

    fn addresses(&self) -> Result<Addresses, Fault> {
        match &self.state {
            State::Connected { addresses, .. } => Ok(*addresses),
            _ => Err(Fault::InvalidState),
        }
    }

    /// The value of an option.
    ///
    /// # Errors
    ///
    /// A connection is under way or was not made, or the system refuses.
    pub(crate) fn option<O: SocketOption>(&self) -> Result<O::Wasi, Fault> {
        self.options.get::<O>(socket_of(&self.state)?)
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// As [`TcpSocket::option`], or the value is none.
    pub(crate) fn set_option<O: SocketOption>(&mut self, value: O::Wasi) -> Result<(), Fault> {
        self.options.set::<O>(socket_of(&self.state)?, value)
    }

    /// Takes a length for the queue of a socket that cannot listen yet.
    ///
    /// # Errors
    ///
    /// Zero, or the socket is past listening.
    pub(crate) fn set_backlog(&self, value: u64) -> Result<(), Fault> {
        match self.state {
            _ if value == 0 => Err(Fault::InvalidArgument),
            State::Unconnected => Ok(()),
            _ => Err(Fault::InvalidState),
        }
    }

    /// IPv4 addresses inside IPv6 belong to neither family: WASI's IPv6 sockets are IPv6 only.
    fn is_own_family(&self, ip: IpAddr) -> bool {
        match (self.family, ip) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(ip)) => ip.to_ipv4_mapped().is_none() && !is_ipv4_compatible(ip),
            _ => false,
        }
    }
}

/// The kernel's socket, if there is one yet.
fn socket_of(state: &State) -> Result<Option<BorrowedFd<'_>>, Fault> {
    match state {
        State::Unconnected => Ok(None),
        State::Connected { connection, .. } => Ok(Some(connection.as_fd())),
        State::Connecting { .. } | State::Closed => Err(Fault::InvalidState),
    }
}

fn is_multicast(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// `::1.2.3.4`, given up in 2006; systems do not agree what it means.
fn is_ipv4_compatible(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0, 0, 0, 0, 0, 0, _, _]) && !ip.is_loopback() && !ip.is_unspecified()
}

fn connected(answer: client::Connection, asked: SocketAddr, tasks: &Tasks) -> Result<(Connection, Addresses), Fault> {
    let addresses = Addresses::of(&answer, asked);
    let connection = Connection::new(answer.socket, tasks).map_err(|error| {
        tracing::debug!(%error, "the connected socket cannot be watched");
        Fault::Unknown
    })?;
    Ok((connection, addresses))
}

impl Addresses {
    /// Asks the kernel, then the labels (a socket pair has no addresses), then believes what the guest asked for. An end
    /// of the other family than the guest's socket (a name has both) is told as what was asked for, or as unspecified.
    fn of(answer: &client::Connection, asked: SocketAddr) -> Addresses {
        let own_family = |address: &SocketAddr| address.is_ipv4() == asked.is_ipv4();
        let kernel = |address: rustix::io::Result<rustix::net::SocketAddrAny>| {
            address.ok().and_then(|address| SocketAddr::try_from(address).ok())
        };
        let labels = &answer.labels;
        let remote = kernel(rustix::net::getpeername(&answer.socket).and_then(|peer| peer.ok_or(Errno::NOTCONN)))
            .or_else(|| labelled(labels, keys::SERVER_ADDRESS, keys::SERVER_PORT))
            .filter(own_family);
        let local = kernel(rustix::net::getsockname(&answer.socket))
            .or_else(|| labelled(labels, keys::CLIENT_ADDRESS, keys::CLIENT_PORT));
        let unspecified = match asked {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let nowhere = SocketAddr::new(unspecified, local.map_or(0, |local| local.port()));
        Addresses { local: local.filter(own_family).unwrap_or(nowhere), remote: remote.unwrap_or(asked) }
    }
}

fn labelled(labels: &Labels, address: &str, port: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(labels.get(address)?.parse().ok()?, labels.get(port)?.parse().ok()?))
}
