//! Opens many connections at once: all are begun before any is waited for.
//!
//! `many HOST PORT COUNT [--rounds]`, where HOST is an IP address of an echo server.
//!
//! Then a line is sent on each and read back, while all are open. Prints `N of COUNT connected, M echoed`; exit code 1
//! if any is missing, after one line on standard error for each kind of failure.
//!
//! With `--rounds` it prints `ready`, does so once for each line of standard input, and after each prints `round N over`
//! when the connections are closed: tests count descriptors in between.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// Streams before the socket: children are dropped before their parent.
struct Connection {
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (host, port, count, by_rounds) = match arguments.as_slice() {
        [host, port, count] => (host, port, count, false),
        [host, port, count, flag] if flag == "--rounds" => (host, port, count, true),
        _ => {
            eprintln!("usage: many HOST PORT COUNT [--rounds]");
            return ExitCode::from(2);
        }
    };
    let host: IpAddr = host.parse().expect("HOST is an IP address");
    let address = SocketAddr::new(host, port.parse().expect("PORT is a number up to 65535"));
    let count: usize = count.parse().expect("COUNT is a number");

    let complete = if by_rounds { rounds(address, count) } else { round(address, count) };
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A round for each line of standard input. Whether all were complete.
fn rounds(address: SocketAddr, count: usize) -> bool {
    println!("ready");
    let mut complete = true;
    for (index, _) in std::io::stdin().lines().map_while(Result::ok).enumerate() {
        complete &= round(address, count);
        println!("round {} over", index + 1);
    }
    complete
}

/// Opens all, uses all, closes all. Whether none was missing.
fn round(address: SocketAddr, count: usize) -> bool {
    let begun: Vec<_> = (0..count).map(|_| begin(address)).collect();
    let finished: Vec<_> = begun.into_iter().map(|socket| socket.and_then(finish)).collect();
    let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
    for code in finished.iter().filter_map(|connection| connection.as_ref().err()) {
        *failures.entry(code.name()).or_default() += 1;
    }
    let connections: Vec<Connection> = finished.into_iter().flatten().collect();
    let echoed = echo(&connections);

    println!("{} of {count} connected, {echoed} echoed", connections.len());
    for (name, times) in failures {
        eprintln!("{times} times {name}");
    }
    connections.len() == count && echoed == count
}

fn begin(address: SocketAddr) -> Result<TcpSocket, ErrorCode> {
    let (family, remote) = match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            let remote = Ipv4SocketAddress { port: v4.port(), address: (a, b, c, d) };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(remote))
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            let address = (a, b, c, d, e, f, g, h);
            let remote = Ipv6SocketAddress { port: v6.port(), flow_info: 0, address, scope_id: 0 };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(remote))
        }
    };
    let socket = create_tcp_socket(family)?;
    socket.start_connect(&instance_network(), remote)?;
    Ok(socket)
}

fn finish(socket: TcpSocket) -> Result<Connection, ErrorCode> {
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(code) => return Err(code),
            Ok((input, output)) => return Ok(Connection { input, output, _socket: socket }),
        }
    }
}

/// Sends a line of its own on each connection, then counts those that came back.
fn echo(connections: &[Connection]) -> usize {
    let line = |index: usize| format!("connection {index:06}\n").into_bytes();
    for (index, connection) in connections.iter().enumerate() {
        // A connection that fails here is missing in the count.
        let _ = connection.output.blocking_write_and_flush(&line(index));
    }
    let came_back = |(index, connection): &(usize, &Connection)| {
        let want = line(*index);
        let mut got = Vec::new();
        while got.len() < want.len() {
            match connection.input.blocking_read((want.len() - got.len()) as u64) {
                Ok(bytes) => got.extend(bytes),
                Err(_) => return false,
            }
        }
        got == want
    };
    connections.iter().enumerate().filter(came_back).count()
}
