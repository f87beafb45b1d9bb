//! Taking a local address for TCP: which addresses there are, which ports are free, and what a bound socket may do.

use crate::report::Report;
use crate::tcp::{
    LOOPBACKS, bind, bound, connect, finish_connect, listen, listener, local, socket_for, start_connect, wire,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::tcp::ShutdownType;

/// What cannot be bound: name, family of the socket, address, error code.
const BAD_LOCALS: &[(&str, &str, &str, &str)] = &[
    ("v6-on-v4", "v4", "[::1]:0", "invalid-argument"),
    ("multicast-v4", "v4", "224.0.0.1:0", "invalid-argument"),
    ("broadcast", "v4", "255.255.255.255:0", "invalid-argument"),
    ("elsewhere-v4", "v4", "192.0.2.1:0", "address-not-bindable"),
    ("elsewhere-port-v4", "v4", "192.0.2.1:8080", "address-not-bindable"),
    ("v4-on-v6", "v6", "127.0.0.1:0", "invalid-argument"),
    ("multicast-v6", "v6", "[ff02::1]:0", "invalid-argument"),
    ("ipv4-mapped", "v6", "[::ffff:127.0.0.1]:0", "invalid-argument"),
    ("elsewhere-v6", "v6", "[2001:db8::1]:0", "address-not-bindable"),
];

/// Every check of this file.
pub fn check(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        bad_locals(report, name, any);
        binding(report, name, any);
        bound_states(report, name, any);
        taken_ports(report, name, any);
        free_ports(report, name, any);
        reopened(report, name, any);
        bound_before_connect(report, name, any);
    }
    families_are_apart(report);
    other_loopback_addresses(report);
}

/// A bind that fails may be tried again, with another address.
fn bad_locals(report: &mut Report, name: &str, any: SocketAddr) {
    let socket = socket_for(any);
    for (what, _, address, want) in BAD_LOCALS.iter().filter(|(_, family, _, _)| *family == name) {
        let address = address.parse().expect("a socket address");
        report.error(&format!("bind-{what}"), bind(&socket, address), want);
        report.error(&format!("bind-{what}-finish"), socket.finish_bind(), "not-in-progress");
        report.error(&format!("bind-{what}-address"), socket.local_address(), "invalid-state");
    }
    report.ok(&format!("bind-{name}-after-failures"), bind(&socket, any));
}

/// Between start and finish no other operation may begin.
fn binding(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("binding-{name}-{what}");
    let socket = socket_for(any);
    report.ok(&label("start"), socket.start_bind(&instance_network(), wire(any)));
    let again = socket.start_bind(&instance_network(), wire(any));
    report.error(&label("start-again"), again, "concurrency-conflict");
    report.error(&label("listen"), socket.start_listen(), "concurrency-conflict");
    let target = SocketAddr::new(any.ip(), 9);
    report.error(&label("connect"), start_connect(&socket, target), "concurrency-conflict");
    report.error(&label("finish-listen"), socket.finish_listen(), "not-in-progress");
    report.error(&label("finish-connect"), socket.finish_connect(), "not-in-progress");
    report.error(&label("accept"), socket.accept(), "invalid-state");
    let finished = loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => break answer,
        }
    };
    report.ok(&label("finish"), finished);
    report.error(&label("finish-again"), socket.finish_bind(), "not-in-progress");
}

fn bound_states(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("bound-{name}-{what}");
    let socket = bound(any);
    report.equal(&label("address"), local(&socket).ip(), any.ip());
    report.equal(&label("port"), local(&socket).port() > 0, true);
    report.error(&label("bind-again"), bind(&socket, any), "invalid-state");
    report.error(&label("remote-address"), socket.remote_address(), "invalid-state");
    report.error(&label("accept"), socket.accept(), "invalid-state");
    report.error(&label("shutdown"), socket.shutdown(ShutdownType::Both), "invalid-state");
    report.error(&label("finish-listen"), socket.finish_listen(), "not-in-progress");
    report.error(&label("finish-connect"), socket.finish_connect(), "not-in-progress");
    report.equal(&label("is-listening"), socket.is_listening(), false);
    report.ok(&label("backlog"), socket.set_listen_backlog_size(5));
    socket.subscribe().block();
    report.equal(&label("subscribe-is-ready"), true, true);
}

fn taken_ports(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("taken-{name}-{what}");
    let (_listener, address) = listener(any);
    let socket = socket_for(any);
    report.error(&label("same"), bind(&socket, address), "address-in-use");
    let wildcard = SocketAddr::new(unspecified(any), address.port());
    // Which fault is named first, that the port is taken or that it is not granted, is left open.
    report.one_of(&label("wildcard"), bind(&socket, wildcard), &["address-in-use", "access-denied"]);
    report.ok(&label("another"), bind(&socket, any));
    let (_wide, wide) = listener(SocketAddr::new(unspecified(any), 0));
    let under = SocketAddr::new(any.ip(), wide.port());
    report.error(&label("under-wildcard"), bind(&socket_for(any), under), "address-in-use");
}

/// Port 0 is any that is free.
fn free_ports(report: &mut Report, name: &str, any: SocketAddr) {
    let sockets: Vec<_> = (0..50).map(|_| bound(any)).collect();
    let mut ports: Vec<u16> = sockets.iter().map(|socket| local(socket).port()).collect();
    ports.sort_unstable();
    ports.dedup();
    report.equal(&format!("free-{name}-all-different"), ports.len(), sockets.len());
    let wild = bound(SocketAddr::new(unspecified(any), 0));
    report.equal(&format!("free-{name}-wildcard"), local(&wild).ip(), unspecified(any));
    report.equal(&format!("free-{name}-wildcard-port"), local(&wild).port() > 0, true);
}

/// A port is free again when its socket is dropped, also right after it had connections.
fn reopened(report: &mut Report, name: &str, any: SocketAddr) {
    let (first, address) = listener(any);
    let client = connect(address);
    let server = crate::tcp::accept(&first).expect("a connection waits");
    drop(server);
    drop(client);
    drop(first);
    let second = socket_for(any);
    report.ok(&format!("reopened-{name}-bind"), bind(&second, address));
    report.ok(&format!("reopened-{name}-listen"), listen(&second));
    let client = connect(address);
    let server = crate::tcp::accept(&second).expect("a connection waits");
    report.equal(&format!("reopened-{name}-peer"), crate::tcp::remote(&server.socket), local(&client.socket));
}

/// Who binds before connecting is seen at the address bound.
fn bound_before_connect(report: &mut Report, name: &str, any: SocketAddr) {
    let (listener, address) = listener(any);
    for (what, from) in [("loopback", any.ip()), ("wildcard", unspecified(any))] {
        let client = bound(SocketAddr::new(from, 0));
        let port = local(&client).port();
        report.ok(&format!("from-{name}-{what}-start"), start_connect(&client, address));
        let streams = finish_connect(&client);
        report.equal(&format!("from-{name}-{what}-finish"), streams.is_ok(), true);
        report.equal(&format!("from-{name}-{what}-local"), local(&client), SocketAddr::new(any.ip(), port));
        let server = crate::tcp::accept(&listener).expect("a connection waits");
        report.equal(&format!("from-{name}-{what}-peer"), crate::tcp::remote(&server.socket), local(&client));
    }
}

/// WASI's IPv6 sockets are IPv6 only, so the same port is free in the other family.
fn families_are_apart(report: &mut Report) {
    let (_v4, address) = listener(LOOPBACKS[0].1);
    let v6 = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port());
    let socket = socket_for(v6);
    report.ok("apart-bind", bind(&socket, v6));
    report.ok("apart-listen", listen(&socket));
}

/// All of 127.0.0.0/8 is loopback, and each address has ports of its own.
fn other_loopback_addresses(report: &mut Report) {
    let (_first, address) = listener(LOOPBACKS[0].1);
    let other = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), address.port());
    let socket = socket_for(other);
    report.ok("other-bind", bind(&socket, other));
    report.ok("other-listen", listen(&socket));
    let client = connect(other);
    let server = crate::tcp::accept(&socket).expect("a connection waits");
    report.equal("other-local", local(&server.socket), other);
    report.equal("other-remote", crate::tcp::remote(&client.socket), other);
    let last = bound(SocketAddr::new(Ipv4Addr::new(127, 255, 255, 254).into(), 0));
    report.equal("other-last", local(&last).ip(), IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254)));
}

pub(crate) fn unspecified(any: SocketAddr) -> IpAddr {
    if any.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
