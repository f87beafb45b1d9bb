//! Turns a descriptor into a stream, whatever kind of socket it is.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::AddressFamily;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The stream over a connected socket. A service of the same application is at the other end of a Unix socket pair, the
/// outside at that of a TCP connection.
pub(crate) fn open(socket: OwnedFd) -> io::Result<Box<dyn Duplex>> {
    let family = rustix::net::getsockname(&socket)?.address_family();
    if family == AddressFamily::UNIX {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        Ok(Box::new(UnixStream::from_std(stream)?))
    } else if family == AddressFamily::INET || family == AddressFamily::INET6 {
        let stream = std::net::TcpStream::from(socket);
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Box::new(TcpStream::from_std(stream)?))
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, "what was connected is no stream socket"))
    }
}
