//! Servers on loopback for guests to find, and clients of what is published there.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::spawn;

/// IPv4 loopback, any free port.
pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// IPv6 loopback, any free port.
pub const LOOPBACK_V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

/// A listener that accepts when it is told to, and can tell whether anybody came.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
}

impl Listener {
    /// Listens.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the far end of a test")]
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address);
        Self { listener: listener.unwrap_or_else(|error| panic!("cannot listen on {address}: {error}")) }
    }

    /// Lets so many wait to be accepted.
    #[must_use]
    pub fn with_backlog(self, waiting: u16) -> Self {
        rustix::net::listen(&self.listener, waiting.into()).unwrap();
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> String {
        self.address().port().to_string()
    }

    /// Waits for the next connection.
    #[must_use]
    pub fn accept(&self) -> TcpStream {
        self.listener.set_nonblocking(false).unwrap();
        self.listener.accept().unwrap().0
    }

    /// Expects that nobody has come.
    #[track_caller]
    pub fn expect_nobody(&self) {
        self.listener.set_nonblocking(true).unwrap();
        match self.listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => panic!("somebody came: {other:?}"),
        }
    }
}

/// A server that sends back every byte, and ends when the client does.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
}

impl Echo {
    /// Serves as long as the test runs.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let listener = Listener::at(address);
        let address = listener.address();
        spawn(move || {
            loop {
                let stream = listener.accept();
                spawn(move || echo(stream));
            }
        });
        Self { address }
    }

    /// On IPv4 loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::at(LOOPBACK)
    }

    /// Where it listens, as a grant names it.
    #[must_use]
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// Its address without the port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.ip().to_string()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> String {
        self.address.port().to_string()
    }
}

fn echo(mut stream: TcpStream) {
    let mut chunk = vec![0; 64 * 1024];
    // A client may break off at any time.
    while let Ok(length) = stream.read(&mut chunk)
        && length > 0
        && stream.write_all(&chunk[..length]).is_ok()
    {}
    let _ = stream.shutdown(Shutdown::Write);
}

/// A server that sends back every datagram to where it came from.
#[derive(Debug)]
pub struct UdpEcho {
    address: SocketAddr,
}

impl UdpEcho {
    /// Serves as long as the test runs.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                // A client that is gone is told by an error, and nothing is lost by that.
                if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&buffer[..length], peer);
                }
            }
        });
        Self { address }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `--connect` calls it.
    #[must_use]
    pub fn target(&self) -> String {
        format!("udp://{}", self.address)
    }
}

/// Connects to what is published at `address`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the far end of a test")]
pub fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
}

/// A port on IPv4 loopback at which nobody listens, kept so by a socket that is bound and does not listen.
#[derive(Debug)]
pub struct ClosedPort {
    socket: rustix::fd::OwnedFd,
}

impl ClosedPort {
    /// On the address of `any`, which names port 0.
    #[must_use]
    pub fn at(any: SocketAddr) -> Self {
        use rustix::net::{AddressFamily, SocketType, bind, socket};
        let family = if any.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None).unwrap();
        bind(&socket, &any).unwrap();
        Self { socket }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> String {
        let address = SocketAddr::try_from(rustix::net::getsockname(&self.socket).unwrap()).unwrap();
        address.port().to_string()
    }
}
