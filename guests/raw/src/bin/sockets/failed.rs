//! A connect that fails, and the closed state after it.

use crate::report::Report;
use crate::tcp::{finish_connect, socket_for, start_connect};
use std::net::SocketAddr;
use wasip2::sockets::tcp::ShutdownType;

/// Connects to `address` and expects the error code `want`, at once or when the connect finishes.
pub fn check(report: &mut Report, address: SocketAddr, want: &str) {
    let socket = socket_for(address);
    let answer = start_connect(&socket, address).and_then(|()| finish_connect(&socket));
    report.error("failed-connect", answer, want);
    report.one_of("failed-finish-again", socket.finish_connect(), &["not-in-progress", "invalid-state"]);
    report.error("failed-start-again", start_connect(&socket, address), "invalid-state");
    // A closed socket answers `invalid-state`, or repeats what closed it.
    let closed = ["invalid-state", want];
    report.one_of("failed-local-address", socket.local_address(), &closed);
    report.one_of("failed-remote-address", socket.remote_address(), &closed);
    report.one_of("failed-shutdown", socket.shutdown(ShutdownType::Both), &closed);
    report.error("failed-accept", socket.accept(), "invalid-state");
    report.equal("failed-is-listening", socket.is_listening(), false);
    // Nothing will ever happen here again, so waiting must not hang.
    socket.subscribe().block();
    report.equal("failed-subscribe-is-ready", true, true);
}
