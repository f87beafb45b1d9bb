//! One connection to one address, and what a failed one says about the other end.
//!
//! The only place in the project where a connection to the outside is made.

use capability::{LimitKind, Refusal, UnreachableCause};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use tokio::net::TcpStream;

/// Connects to `address` and takes the socket out of the runtime: connected, not blocking, closed on exec, and with the
/// kernel's own defaults for everything that a guest may set.
///
/// # Authority
/// The network of this process: whoever calls this has decided that the connection may be made.
///
/// # Errors
/// See [`refusal_of`].
pub(crate) async fn connect_ambient(address: SocketAddr) -> Result<OwnedFd, Refusal> {
    if !is_one_host(address.ip()) {
        return Err(Refusal::Unreachable { cause: UnreachableCause::AddressNotAvailable });
    }
    let connected = connect(address).await;
    if let Err(error) = &connected {
        tracing::debug!(%address, %error, "connect failed");
    }
    connected.map_err(|error| refusal_of(&error))
}

async fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = unbound(address, SocketType::STREAM)?;
    let socket = match rustix::net::connect(&socket, &address) {
        Ok(()) => socket,
        // A host as near as this one has answered by now. The runtime need not hear of such a socket.
        Err(Errno::INPROGRESS) if has_answer(&socket) => {
            rustix::net::sockopt::socket_error(&socket)??;
            socket
        }
        Err(Errno::INPROGRESS) => answered(socket).await?,
        Err(errno) => return Err(errno.into()),
    };
    if rustix::net::getsockname(&socket)? == address.into() {
        // Nobody listens, but the kernel chose the port dialled as our own, and TCP let the socket connect to itself.
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(socket)
}

/// Whether a connect that was begun is known to have come to an end, good or bad.
fn has_answer(socket: &OwnedFd) -> bool {
    // Interrupted by a signal, it is not known yet.
    matches!(rustix::event::poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&Timespec::default())), Ok(1))
}

/// Waits until a connect that was begun has come to its end.
async fn answered(socket: OwnedFd) -> io::Result<OwnedFd> {
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream.into_std()?.into()),
    }
}

/// A socket for such an address, not blocking and closed on exec.
fn unbound(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}

/// Makes a UDP socket and connects it to `address`: it sends there and hears from there alone. Nothing is sent yet.
///
/// # Authority
/// As [`connect_ambient`].
///
/// # Errors
/// See [`refusal_of`]: that no route leads there, for the most part. Whether anybody listens only datagrams show.
pub(crate) fn connect_datagrams_ambient(address: SocketAddr) -> Result<OwnedFd, Refusal> {
    if !is_one_host(address.ip()) {
        return Err(Refusal::Unreachable { cause: UnreachableCause::AddressNotAvailable });
    }
    let connected = connect_datagrams(address);
    if let Err(error) = &connected {
        tracing::debug!(%address, %error, "connect failed");
    }
    connected.map_err(|error| refusal_of(&error))
}

fn connect_datagrams(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = unbound(address, SocketType::DGRAM)?;
    rustix::net::connect(&socket, &address)?;
    if rustix::net::getsockname(&socket)? == address.into() {
        // Nobody is there, as the kernel chose the port dialled for our own: whatever is sent would come back.
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(socket)
}

/// Whether an address stands for itself. Linux takes the unspecified address for loopback: a grant for `0.0.0.0` would
/// be a grant for something else. An IPv4 address inside IPv6 is a second spelling of the address that was judged. The
/// broadcast addresses of networks look like any other; the kernel refuses them to a socket that did not ask for more.
fn is_one_host(address: IpAddr) -> bool {
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast && address.to_canonical() == address
}

/// What a failed connect says: the other end is out of reach, or this process is out of descriptors.
fn refusal_of(error: &io::Error) -> Refusal {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => Refusal::Limit { limit: LimitKind::Descriptors },
        _ => Refusal::Unreachable { cause: unreachable_cause(error) },
    }
}

fn unreachable_cause(error: &io::Error) -> UnreachableCause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => UnreachableCause::ConnectionRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => UnreachableCause::ConnectionReset,
        io::ErrorKind::TimedOut => UnreachableCause::TimedOut,
        io::ErrorKind::HostUnreachable => UnreachableCause::HostUnreachable,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => UnreachableCause::NetworkUnreachable,
        io::ErrorKind::AddrNotAvailable => UnreachableCause::AddressNotAvailable,
        _ => match Errno::from_io_error(error) {
            Some(Errno::HOSTDOWN) => UnreachableCause::HostUnreachable,
            // A kernel without this family has no route either.
            Some(Errno::AFNOSUPPORT | Errno::NONET) => UnreachableCause::NetworkUnreachable,
            _ => UnreachableCause::Other,
        },
    }
}

/// The refusal that says most when every attempt of a dial failed: that we ran out of something (the dial might have
/// succeeded), else that of the attempt that got furthest.
pub(crate) fn most_telling(refusals: Vec<Refusal>) -> Refusal {
    let other = Refusal::Unreachable { cause: UnreachableCause::Other };
    // The first of equals, so that an address which was to be preferred speaks for the name.
    refusals.into_iter().min_by_key(distance_from_telling).unwrap_or(other)
}

fn distance_from_telling(refusal: &Refusal) -> u8 {
    let Refusal::Unreachable { cause } = refusal else {
        return 0;
    };
    match cause {
        UnreachableCause::ConnectionRefused => 1,
        UnreachableCause::ConnectionReset => 2,
        UnreachableCause::TimedOut => 3,
        UnreachableCause::HostUnreachable => 4,
        UnreachableCause::NetworkUnreachable => 5,
        UnreachableCause::AddressNotAvailable => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests;
