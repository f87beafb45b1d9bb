//! A socket on its way to a granted server and once it is there.

use crate::options;
use crate::report::Report;
use crate::tcp::{Connection, bind, connect, family, finish_connect, plain, socket_for, start_connect};
use std::net::SocketAddr;

/// Every check of this file.
pub fn check(report: &mut Report, address: SocketAddr) {
    connecting(report, address);
    connected(report, address);
    options_survive(report, address);
    abandoned(report, address);
}

/// Between start and finish no other operation may begin.
fn connecting(report: &mut Report, address: SocketAddr) {
    let socket = socket_for(address);
    report.ok("connecting-start", start_connect(&socket, address));
    report.error("connecting-start-again", start_connect(&socket, address), "concurrency-conflict");
    report.error("connecting-bind", bind(&socket, address), "concurrency-conflict");
    report.error("connecting-listen", socket.start_listen(), "concurrency-conflict");
    report.error("connecting-finish-bind", socket.finish_bind(), "not-in-progress");
    report.error("connecting-finish-listen", socket.finish_listen(), "not-in-progress");
    report.error("connecting-accept", socket.accept(), "invalid-state");
    report.error("connecting-remote-address", socket.remote_address(), "invalid-state");
    report.error("connecting-backlog", socket.set_listen_backlog_size(1), "invalid-state");
    report.equal("connecting-is-listening", socket.is_listening(), false);

    let pollable = socket.subscribe();
    pollable.block();
    report.equal("connecting-ready-after-block", pollable.ready(), true);
    drop(pollable);
    let streams = socket.finish_connect();
    report.equal("connecting-finish", streams.is_ok(), true);
    report.error("connecting-finish-again", socket.finish_connect(), "not-in-progress");
}

fn connected(report: &mut Report, address: SocketAddr) {
    let connection = connect(address);
    let Connection { socket, .. } = &connection;
    report.equal("connected-remote-address", socket.remote_address().map(plain), Ok(address));
    let local = socket.local_address().map(plain);
    report.equal("connected-local-family", local.map(|local| local.is_ipv4()), Ok(address.is_ipv4()));
    report.equal("connected-local-port", local.map(|local| local.port() > 0), Ok(true));
    report.equal("connected-local-address", local.map(|local| local.ip().is_unspecified()), Ok(false));
    report.equal("connected-family", socket.address_family(), family(address));
    report.equal("connected-is-listening", socket.is_listening(), false);
    report.error("connected-start-connect", start_connect(socket, address), "invalid-state");
    report.error("connected-finish-connect", socket.finish_connect(), "not-in-progress");
    report.error("connected-bind", bind(socket, address), "invalid-state");
    report.error("connected-finish-bind", socket.finish_bind(), "not-in-progress");
    report.error("connected-listen", socket.start_listen(), "invalid-state");
    report.error("connected-finish-listen", socket.finish_listen(), "not-in-progress");
    report.error("connected-accept", socket.accept(), "invalid-state");
    report.error("connected-backlog", socket.set_listen_backlog_size(1), "invalid-state");
    options::check(report, "connected", socket);
}

/// What was set before connecting holds on the connection.
fn options_survive(report: &mut Report, address: SocketAddr) {
    let socket = socket_for(address);
    report.ok("survive-set-hop-limit", socket.set_hop_limit(42));
    report.ok("survive-set-keep-alive", socket.set_keep_alive_enabled(true));
    report.ok("survive-set-idle", socket.set_keep_alive_idle_time(9_000_000_000));
    report.ok("survive-set-interval", socket.set_keep_alive_interval(8_000_000_000));
    report.ok("survive-set-count", socket.set_keep_alive_count(7));
    report.ok("survive-start", start_connect(&socket, address));
    let streams = finish_connect(&socket);
    report.equal("survive-finish", streams.is_ok(), true);
    report.equal("survive-hop-limit", socket.hop_limit(), Ok(42));
    report.equal("survive-keep-alive", socket.keep_alive_enabled(), Ok(true));
    report.equal("survive-idle", socket.keep_alive_idle_time(), Ok(9_000_000_000));
    report.equal("survive-interval", socket.keep_alive_interval(), Ok(8_000_000_000));
    report.equal("survive-count", socket.keep_alive_count(), Ok(7));
}

/// A connect that nobody finishes is given up when its socket is dropped, and the next one is not disturbed.
fn abandoned(report: &mut Report, address: SocketAddr) {
    let socket = socket_for(address);
    report.ok("abandoned-start", start_connect(&socket, address));
    drop(socket);
    let socket = socket_for(address);
    report.ok("after-abandoned-start", start_connect(&socket, address));
    let streams = finish_connect(&socket);
    report.equal("after-abandoned-finish", streams.is_ok(), true);
}
