//! Listening and accepting among sockets of this guest.

use crate::binding::unspecified;
use crate::options;
use crate::report::Report;
use crate::streams::{code, read_exactly, write};
use crate::tcp::{
    Connection, LOOPBACKS, accept, bind, bound, connect, family, finish_connect, listener, local, remote, socket_for,
    start_connect, try_connect,
};
use std::net::{Ipv4Addr, SocketAddr};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};

const SECOND_NS: u64 = 1_000_000_000;

/// More connects begun than the queue was asked to hold. Apart from the others, because a host may let a connect rest that
/// nobody asks for.
pub fn check_backlog(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        short_backlog(report, name, any);
    }
}

/// Every check of this file but [`check_backlog`].
pub fn check(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        starting(report, name, any);
        listening(report, name, any);
        accepted(report, name, any);
        waiting(report, name, any);
        inherited(report, name, any);
        closed(report, name, any);
        nobody_listens(report, name, any);
        wildcard(report, name, any);
    }
    wildcard_takes_every_loopback_address(report);
    wildcard_keeps_to_its_family(report);
}

/// Between start and finish no other operation may begin.
fn starting(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("starting-{name}-{what}");
    report.error(&label("unbound"), socket_for(any).start_listen(), "invalid-state");
    let socket = bound(any);
    report.ok(&label("start"), socket.start_listen());
    report.error(&label("start-again"), socket.start_listen(), "concurrency-conflict");
    report.error(&label("bind"), bind(&socket, any), "concurrency-conflict");
    let target = SocketAddr::new(any.ip(), 9);
    report.error(&label("connect"), start_connect(&socket, target), "concurrency-conflict");
    report.error(&label("finish-bind"), socket.finish_bind(), "not-in-progress");
    report.error(&label("finish-connect"), socket.finish_connect(), "not-in-progress");
    let finished = loop {
        match socket.finish_listen() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => break answer,
        }
    };
    report.ok(&label("finish"), finished);
    report.error(&label("finish-again"), socket.finish_listen(), "not-in-progress");
}

fn listening(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("listening-{name}-{what}");
    let (socket, address) = listener(any);
    report.equal(&label("is-listening"), socket.is_listening(), true);
    report.equal(&label("family"), socket.address_family(), family(any));
    report.equal(&label("address"), address.ip(), any.ip());
    report.error(&label("again"), socket.start_listen(), "invalid-state");
    report.error(&label("bind"), bind(&socket, any), "invalid-state");
    report.error(&label("connect"), start_connect(&socket, SocketAddr::new(any.ip(), 9)), "invalid-state");
    report.error(&label("finish-bind"), socket.finish_bind(), "not-in-progress");
    report.error(&label("finish-connect"), socket.finish_connect(), "not-in-progress");
    report.error(&label("remote-address"), socket.remote_address(), "invalid-state");
    for (call, how) in [("receive", ShutdownType::Receive), ("send", ShutdownType::Send), ("both", ShutdownType::Both)]
    {
        report.error(&label(&format!("shutdown-{call}")), socket.shutdown(how), "invalid-state");
    }
    report.error(&label("accept"), socket.accept(), "would-block");
    report.error(&label("backlog-0"), socket.set_listen_backlog_size(0), "invalid-argument");
    report.one_of(&label("backlog"), socket.set_listen_backlog_size(7), &["ok", "not-supported"]);
    options::check(report, &label("option"), &socket);
}

/// Who waits longest is accepted first, and both ends know each other.
fn accepted(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("accepted-{name}-{what}");
    let (listener, address) = listener(any);
    let clients: Vec<Connection> = (0..3).map(|_| connect(address)).collect();
    for (index, client) in clients.iter().enumerate() {
        let label = |what: &str| label(&format!("{index}-{what}"));
        let server = accept(&listener).expect("a connection waits");
        report.equal(&label("remote"), remote(&server.socket), local(&client.socket));
        report.equal(&label("local"), local(&server.socket), address);
        report.equal(&label("client-remote"), remote(&client.socket), address);
        report.equal(&label("client-local"), local(&client.socket).ip(), any.ip());
        report.equal(&label("family"), server.socket.address_family(), family(any));
        report.equal(&label("is-listening"), server.socket.is_listening(), false);
        report.error(&label("connect"), start_connect(&server.socket, address), "invalid-state");
        report.error(&label("bind"), bind(&server.socket, any), "invalid-state");
        report.error(&label("listen"), server.socket.start_listen(), "invalid-state");
        report.error(&label("accept"), server.socket.accept(), "invalid-state");
        report.error(&label("finish-connect"), server.socket.finish_connect(), "not-in-progress");
        report.error(&label("backlog"), server.socket.set_listen_backlog_size(1), "invalid-state");
        report.equal(&label("to-server"), write(&client.output, b"ping"), Ok(()));
        report.equal(&label("at-server"), read_exactly(&server.input, 4), b"ping".to_vec());
        report.equal(&label("to-client"), write(&server.output, b"pong"), Ok(()));
        report.equal(&label("at-client"), read_exactly(&client.input, 4), b"pong".to_vec());
        options::check(report, &label("option"), &server.socket);
        options::check(report, &label("client-option"), &client.socket);
    }
    report.error(&label("no-more"), listener.accept(), "would-block");
}

/// The pollable of a listener is ready while somebody waits.
fn waiting(report: &mut Report, name: &str, any: SocketAddr) {
    let (listener, address) = listener(any);
    let pollable = listener.subscribe();
    report.equal(&format!("waiting-{name}-nobody"), pollable.ready(), false);
    let clock = subscribe_duration(SECOND_NS / 50);
    report.equal(&format!("waiting-{name}-clock-rings"), poll(&[&pollable, &clock]), vec![1]);
    let client = connect(address);
    let clock = subscribe_duration(60 * SECOND_NS);
    report.equal(&format!("waiting-{name}-somebody"), poll(&[&pollable, &clock]), vec![0]);
    let server = accept(&listener).expect("a connection waits");
    report.equal(&format!("waiting-{name}-nobody-again"), pollable.ready(), false);
    drop((client, server));
}

/// What was set on the listener holds on what it accepts.
fn inherited(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("inherited-{name}-{what}");
    let (listener, address) = listener(any);
    report.ok(&label("set-hop-limit"), listener.set_hop_limit(42));
    report.ok(&label("set-keep-alive"), listener.set_keep_alive_enabled(true));
    report.ok(&label("set-idle"), listener.set_keep_alive_idle_time(9 * SECOND_NS));
    report.ok(&label("set-interval"), listener.set_keep_alive_interval(8 * SECOND_NS));
    report.ok(&label("set-count"), listener.set_keep_alive_count(7));
    let client = connect(address);
    let server = accept(&listener).expect("a connection waits").socket;
    report.equal(&label("hop-limit"), server.hop_limit(), Ok(42));
    report.equal(&label("keep-alive"), server.keep_alive_enabled(), Ok(true));
    report.equal(&label("idle"), server.keep_alive_idle_time(), Ok(9 * SECOND_NS));
    report.equal(&label("interval"), server.keep_alive_interval(), Ok(8 * SECOND_NS));
    report.equal(&label("count"), server.keep_alive_count(), Ok(7));
    report.equal(&label("not-by-the-client"), client.socket.keep_alive_enabled(), Ok(false));
}

/// More clients than the queue was asked to hold: they wait, and none is lost.
fn short_backlog(report: &mut Report, name: &str, any: SocketAddr) {
    let socket = bound(any);
    report.ok(&format!("backlog-{name}-set"), socket.set_listen_backlog_size(1));
    crate::tcp::listen(&socket).expect("the listen works");
    let address = local(&socket);
    let begun: Vec<TcpSocket> = (0..3).map(|_| socket_for(any)).collect();
    let all_begun = begun.iter().all(|client| start_connect(client, address).is_ok());
    report.equal(&format!("backlog-{name}-begun"), all_begun, true);
    let accepted = begun.iter().filter(|_| accept(&socket).is_ok()).count();
    let finished = begun.iter().filter(|client| finish_connect(client).is_ok()).count();
    report.equal(&format!("backlog-{name}-accepted"), (accepted, finished), (3, 3));
}

/// A listener that is gone takes nobody any more; what it accepted lives on.
fn closed(report: &mut Report, name: &str, any: SocketAddr) {
    let (listener, address) = listener(any);
    let client = connect(address);
    let server = accept(&listener).expect("a connection waits");
    drop(listener);
    // A loopback port that nobody here holds is the host's, if it is granted.
    let refused = ["connection-refused", "access-denied"];
    report.one_of(&format!("closed-{name}-connect"), try_connect(address), &refused);
    report.equal(&format!("closed-{name}-write"), write(&client.output, b"still here"), Ok(()));
    report.equal(&format!("closed-{name}-read"), read_exactly(&server.input, 10), b"still here".to_vec());
    drop(server);
    let end = client.input.blocking_read(1).map_err(code);
    report.equal(&format!("closed-{name}-end"), end, Err("closed"));
}

fn nobody_listens(report: &mut Report, name: &str, any: SocketAddr) {
    let socket = bound(any);
    report.error(&format!("bound-only-{name}-connect"), try_connect(local(&socket)), "connection-refused");
}

/// On the wildcard address a listener is reached at loopback, and knows how it was reached.
fn wildcard(report: &mut Report, name: &str, any: SocketAddr) {
    let (listener, address) = listener(SocketAddr::new(unspecified(any), 0));
    let reached = SocketAddr::new(any.ip(), address.port());
    let client = connect(reached);
    let server = accept(&listener).expect("a connection waits");
    report.equal(&format!("wildcard-{name}-local"), local(&server.socket), reached);
    report.equal(&format!("wildcard-{name}-remote"), remote(&server.socket), local(&client.socket));
}

fn wildcard_takes_every_loopback_address(report: &mut Report) {
    let (listener, address) = listener(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let reached = SocketAddr::new(Ipv4Addr::new(127, 1, 2, 3).into(), address.port());
    let client = connect(reached);
    let server = accept(&listener).expect("a connection waits");
    report.equal("wildcard-other-local", local(&server.socket), reached);
    report.equal("wildcard-other-remote", remote(&client.socket), reached);
    // At one address only, the same port of another is not answered.
    let (_one, one) = crate::tcp::listener(LOOPBACKS[0].1);
    let other = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), one.port());
    report.one_of("one-address-only", try_connect(other), &["connection-refused", "access-denied"]);
}

fn wildcard_keeps_to_its_family(report: &mut Report) {
    let (_listener, address) = listener(SocketAddr::new(unspecified(LOOPBACKS[1].1), 0));
    let v4 = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
    report.one_of("wildcard-v6-only", try_connect(v4), &["connection-refused", "access-denied"]);
}
