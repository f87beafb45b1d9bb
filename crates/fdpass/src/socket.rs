//! Makes the sockets: pairs, listeners at a path, and ends taken over from elsewhere.

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Two connected ends, non-blocking and closed on exec.
///
/// # Errors
/// If this process or the system is out of descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags(), None)?)
}

/// A socket at `path` that others [`connect`] to.
///
/// # Authority
/// Whoever can connect gets what the caller hands out there, so only this user may: the socket's mode is 0600.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] if something is at `path`; otherwise as the system says.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = new_socket()?;
    // On Linux the file takes its mode from the unbound socket, so there is no moment at which others could connect.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// One end of a new connection to whoever listens at `path`.
///
/// # Errors
/// [`io::ErrorKind::ConnectionRefused`] if nobody listens there any more, [`io::ErrorKind::WouldBlock`] if too many
/// wait already; otherwise as the system says.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = new_socket()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Our end of the next connection to `listener`.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if there is none now; otherwise as the system says.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::net::accept_with(listener, flags())?)
}

/// Checks that `socket` is what [`send`](crate::send) and [`receive`](crate::receive) need, and makes it non-blocking.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is another kind of descriptor.
pub fn adopt(socket: OwnedFd) -> io::Result<OwnedFd> {
    let is_ours = sockopt::socket_domain(&socket).is_ok_and(|domain| domain == AddressFamily::UNIX)
        && sockopt::socket_type(&socket).is_ok_and(|kind| kind == SocketType::SEQPACKET);
    if !is_ours {
        let what = "not a Unix socket of type SOCK_SEQPACKET";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let status = rustix::fs::fcntl_getfl(&socket)?;
    if !status.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(&socket, status | OFlags::NONBLOCK)?;
    }
    Ok(socket)
}

/// Takes over the socket that the parent process passed as standard input; afterwards standard input is empty.
///
/// # Authority
/// Whatever the parent gave with that socket. For `main`, once.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if standard input is another kind of descriptor; otherwise as the system says.
pub fn take_stdin() -> io::Result<OwnedFd> {
    let socket = adopt(io::stdin().as_fd().try_clone_to_owned()?)?;
    let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(nothing)?;
    Ok(socket)
}

fn new_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags(), None)?)
}

fn flags() -> SocketFlags {
    SocketFlags::CLOEXEC | SocketFlags::NONBLOCK
}
