//! Makes addresses, sockets and connections for the checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// Loopback in both families, any free port.
pub const LOOPBACKS: [(&str, SocketAddr); 2] = [
    ("v4", SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
    ("v6", SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)),
];

/// A connected socket. Streams come first, as children are dropped before their parent.
pub struct Connection {
    /// What the peer sends.
    pub input: InputStream,
    /// What the peer receives.
    pub output: OutputStream,
    /// The socket both belong to.
    pub socket: TcpSocket,
}

/// The socket address named by two arguments.
pub fn address(host: &str, port: &str) -> SocketAddr {
    let host: IpAddr = host.parse().expect("HOST is an IP address");
    SocketAddr::new(host, port.parse().expect("PORT is a number up to 65535"))
}

/// The same address as the interface writes it.
pub fn wire(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: v4.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: v6.scope_id(),
            })
        }
    }
}

/// An address of the interface as the standard library writes it.
pub fn plain(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), v4.port)
        }
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            SocketAddr::new(Ipv6Addr::new(a, b, c, d, e, f, g, h).into(), v6.port)
        }
    }
}

/// The family of an address.
pub fn family(address: SocketAddr) -> IpAddressFamily {
    if address.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 }
}

/// A fresh socket that could connect to `address`.
pub fn socket_for(address: SocketAddr) -> TcpSocket {
    create_tcp_socket(family(address)).expect("a TCP socket")
}

/// Begins to connect.
pub fn start_connect(socket: &TcpSocket, address: SocketAddr) -> Result<(), ErrorCode> {
    socket.start_connect(&instance_network(), wire(address))
}

/// Waits until the connect that was begun has an answer.
pub fn finish_connect(socket: &TcpSocket) -> Result<(InputStream, OutputStream), ErrorCode> {
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}

/// Connects, and expects it to work.
pub fn connect(address: SocketAddr) -> Connection {
    let socket = socket_for(address);
    start_connect(&socket, address).expect("the connect begins");
    let (input, output) = finish_connect(&socket).expect("the connect works");
    Connection { input, output, socket }
}

/// Binds, whichever of the two halves gives the answer.
pub fn bind(socket: &TcpSocket, address: SocketAddr) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), wire(address))?;
    loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}

/// Listens, whichever of the two halves gives the answer.
pub fn listen(socket: &TcpSocket) -> Result<(), ErrorCode> {
    socket.start_listen()?;
    loop {
        match socket.finish_listen() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}

/// A socket bound to `address`.
pub fn bound(address: SocketAddr) -> TcpSocket {
    let socket = socket_for(address);
    bind(&socket, address).expect("the bind works");
    socket
}

/// A socket that listens on `address`, and where it does so.
pub fn listener(address: SocketAddr) -> (TcpSocket, SocketAddr) {
    let socket = bound(address);
    listen(&socket).expect("the listen works");
    let address = local(&socket);
    (socket, address)
}

/// Where a bound socket is.
pub fn local(socket: &TcpSocket) -> SocketAddr {
    plain(socket.local_address().expect("a bound socket has an address"))
}

/// The far end of a connected socket.
pub fn remote(socket: &TcpSocket) -> SocketAddr {
    plain(socket.remote_address().expect("a connected socket has a far end"))
}

/// Waits for the next connection.
pub fn accept(listener: &TcpSocket) -> Result<Connection, ErrorCode> {
    loop {
        match listener.accept() {
            Err(ErrorCode::WouldBlock) => listener.subscribe().block(),
            Err(code) => return Err(code),
            Ok((socket, input, output)) => return Ok(Connection { input, output, socket }),
        }
    }
}

/// Connects a fresh socket, and tells how that ends.
pub fn try_connect(address: SocketAddr) -> Result<Connection, ErrorCode> {
    let socket = socket_for(address);
    start_connect(&socket, address)?;
    let (input, output) = finish_connect(&socket)?;
    Ok(Connection { input, output, socket })
}

/// Both ends of a connection inside this guest: who connected, who accepted.
pub fn pair(any: SocketAddr) -> (Connection, Connection) {
    let (listener, address) = listener(any);
    let client = connect(address);
    (client, accept(&listener).expect("a connection waits"))
}
