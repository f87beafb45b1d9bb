//! A connect that fails, and the closed state after it.

use crate::unconnected::no_streams;
use p3_guests::{Connection, Report, family, read_exactly, send_all, wire};
use std::net::SocketAddr;
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{TcpSocket, UdpSocket};

/// Connects to `address` and expects the error code `want`.
pub async fn check(report: &mut Report, address: SocketAddr, want: &str) {
    let socket = TcpSocket::create(family(address)).expect("a socket");
    report.code("failed-connect", socket.connect(wire(address)).await, want);
    report.code("failed-connect-again", socket.connect(wire(address)).await, "invalid-state");
    report.code("failed-bind", socket.bind(wire(SocketAddr::new(address.ip(), 0))), "invalid-state");
    report.code("failed-listen", socket.listen(), "invalid-state");
    report.code("failed-local-address", socket.get_local_address(), "invalid-state");
    report.code("failed-remote-address", socket.get_remote_address(), "invalid-state");
    report.code("failed-backlog", socket.set_listen_backlog_size(1), "invalid-state");
    report.equal("failed-is-listening", socket.get_is_listening(), false);
    report.equal("failed-family", socket.get_address_family(), family(address));
    no_streams(report, "failed", socket).await;
    // The next one is not disturbed: it fails for its own sake.
    let next = TcpSocket::create(family(address)).expect("a socket");
    report.code("failed-next", next.connect(wire(address)).await, want);
}

/// Whoever makes connections goes; those that are made stay, and the next is a failure and no hang.
pub async fn check_orphaned(report: &mut Report, address: SocketAddr) {
    let mut before = Connection::to(address).await.expect("the connect works");
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line of input");
    report.code("orphaned-connect", Connection::to(address).await, "remote-unreachable");
    let looked_up = resolve_addresses("www.example.test".to_owned()).await;
    report.code("orphaned-lookup", looked_up, "permanent-resolver-failure");
    let datagrams = UdpSocket::create(family(address)).expect("a socket");
    report.code("orphaned-send", datagrams.send(Vec::new(), Some(wire(address))).await, "remote-unreachable");
    report.code("orphaned-udp-connect", datagrams.connect(wire(address)), "remote-unreachable");
    report.equal("orphaned-write", send_all(&mut before.output, b"still here").await, true);
    report.equal("orphaned-read", read_exactly(&mut before.input, 10).await, b"still here".to_vec());
}
