//! Takes sockets until it is refused one, gives all back, and takes one more.
//!
//! `hoard KIND [--hold]`, where KIND is `tcp`, `udp` (only created), `tcp-bound`, `udp-bound` (each on a free port),
//! `tcp-listening`, `udp-streaming`, `tcp-ports`, `udp-ports` (each on a port of its own on loopback, from 20000 on).
//!
//! Prints `N times, then CODE`, and `again: ok` or `again: CODE` after all were dropped. With `--hold` it waits in between
//! for a line on standard input. Forty thousand without a refusal are enough: `N times, then nothing`.

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
    let (kind, hold) = match arguments.as_slice() {
        [kind] => (kind.as_str(), false),
        [kind, flag] if flag == "--hold" => (kind.as_str(), true),
        _ => panic!("usage: hoard KIND [--hold]"),
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
    if hold {
        std::io::stdin().read_line(&mut String::new()).expect("standard input can be read");
    }
    drop(hoard);
    match take(kind, 0) {
        Ok(_) => println!("again: ok"),
        Err(code) => println!("again: {}", code.name()),
    }
}

fn take(kind: &str, index: u16) -> Result<Taken, ErrorCode> {
    let own_port = FIRST_PORT + index;
    match kind {
        "tcp" => Ok(Taken::Tcp { _socket: create_tcp_socket(IpAddressFamily::Ipv4)? }),
        "tcp-bound" => Ok(Taken::Tcp { _socket: tcp(0)? }),
        "tcp-ports" => Ok(Taken::Tcp { _socket: tcp(own_port)? }),
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
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    socket.start_bind(&instance_network(), loopback(port))?;
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
