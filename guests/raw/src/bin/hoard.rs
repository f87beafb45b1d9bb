//! Takes sockets until it is refused one, gives all back, and takes one more.
//!
//! `hoard KIND [--dial PORT]`, where KIND is `tcp`, `udp` (only created), `tcp-bound`, `udp-bound` (each on a free port),
//! `tcp-listening`, `udp-streaming`, `tcp-ports`, `udp-ports` (each on a port of its own on loopback, from 20000 on).
//!
//! Prints `N times, then CODE`, and `again: ok` or `again: CODE` after all were dropped. With `--dial` one is given up in
//! between, and a connection made to 127.0.0.1 at that port: `dial: ok` or `dial: CODE`. Forty thousand without a refusal
//! are enough: `N times, then nothing`.
//!
//! KIND `tcp-outside` takes the ports from 20000 on of the wildcard address.

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

const ENOUGH: u16 = 40_000;
const FIRST_PORT: u16 = 20_000;

/// Streams before the socket: children are dropped before their parent.
enum Taken {
    Tcp { _socket: TcpSocket },
    Udp { _streams: Option<(IncomingDatagramStream, OutgoingDatagramStream)>, _socket: UdpSocket },
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, port) = match arguments.as_slice() {
        [kind] => (kind.as_str(), None),
        [kind, flag, port] if flag == "--dial" => (kind.as_str(), Some(port.parse().expect("PORT is a number"))),
        _ => panic!("usage: hoard KIND [--dial PORT]"),
    };
    let mut hoard = Vec::new();
    let end = loop {
        if hoard.len() == usize::from(ENOUGH) {
            break "nothing";
        }
        match take(kind, hoard.len() as u16) {
            Ok(taken) => hoard.push(taken),
            Err(code) => break code.name(),
        }
    };
    println!("{} times, then {end}", hoard.len());
    if let Some(port) = port {
        hoard.pop();
        println!("dial: {}", dial(port).map_or_else(|code| code.name(), |()| "ok"));
    }
    drop(hoard);
    println!("again: {}", take(kind, 0).map_or_else(|code| code.name(), |_| "ok"));
}

/// Connects to 127.0.0.1, while all but one of the hoard are held.
fn dial(port: u16) -> Result<(), ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_connect(&instance_network(), loopback(port))?;
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(code),
            // The streams go before the socket.
            Ok(streams) => {
                drop(streams);
                return Ok(());
            }
        }
    }
}

fn take(kind: &str, index: u16) -> Result<Taken, ErrorCode> {
    let own_port = FIRST_PORT + index;
    match kind {
        "tcp" => Ok(Taken::Tcp { _socket: create_tcp_socket(IpAddressFamily::Ipv4)? }),
        "tcp-bound" => Ok(Taken::Tcp { _socket: tcp(0)? }),
        "tcp-ports" => Ok(Taken::Tcp { _socket: tcp(own_port)? }),
        "tcp-outside" => Ok(Taken::Tcp { _socket: tcp_at(wildcard(own_port))? }),
        "tcp-listening" => {
            let socket = tcp(0)?;
            socket.start_listen()?;
            wait(|| socket.finish_listen(), || socket.subscribe().block())?;
            Ok(Taken::Tcp { _socket: socket })
        }
        "udp" => Ok(Taken::Udp { _streams: None, _socket: create_udp_socket(IpAddressFamily::Ipv4)? }),
        "udp-bound" => Ok(Taken::Udp { _streams: None, _socket: udp(0)? }),
        "udp-ports" => Ok(Taken::Udp { _streams: None, _socket: udp(own_port)? }),
        "udp-streaming" => {
            let socket = udp(0)?;
            Ok(Taken::Udp { _streams: Some(socket.stream(None)?), _socket: socket })
        }
        other => panic!("no such kind: {other}"),
    }
}

fn tcp(port: u16) -> Result<TcpSocket, ErrorCode> {
    tcp_at(loopback(port))
}

fn tcp_at(address: IpSocketAddress) -> Result<TcpSocket, ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), address)?;
    wait(|| socket.finish_bind(), || socket.subscribe().block())?;
    Ok(socket)
}

fn udp(port: u16) -> Result<UdpSocket, ErrorCode> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), loopback(port))?;
    wait(|| socket.finish_bind(), || socket.subscribe().block())?;
    Ok(socket)
}

fn wait(finish: impl Fn() -> Result<(), ErrorCode>, block: impl Fn()) -> Result<(), ErrorCode> {
    loop {
        match finish() {
            Err(ErrorCode::WouldBlock) => block(),
            answer => return answer,
        }
    }
}

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}

fn wildcard(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (0, 0, 0, 0) })
}
