//! A connect that fails, and the closed state after it.

use crate::unconnected::no_streams;
use p3_guests::{Report, family, wire};
use std::net::SocketAddr;
use wasip3::sockets::types::TcpSocket;

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
