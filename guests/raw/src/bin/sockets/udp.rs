//! UDP sockets before anything is sent: states, addresses, ports and options.

use crate::binding::unspecified;
use crate::datagrams::{Post, bind, bound, local, socket_for};
use crate::report::Report;
use crate::tcp::{LOOPBACKS, family, wire};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::udp::UdpSocket;

/// What cannot be bound: name, family of the socket, address, error codes.
const BAD_LOCALS: &[(&str, &str, &str, &[&str])] = &[
    ("v6-on-v4", "v4", "[::1]:0", &["invalid-argument"]),
    ("elsewhere-v4", "v4", "192.0.2.1:0", &["address-not-bindable"]),
    ("v4-on-v6", "v6", "127.0.0.1:0", &["invalid-argument"]),
    ("ipv4-mapped", "v6", "[::ffff:127.0.0.1]:0", &["invalid-argument"]),
    ("elsewhere-v6", "v6", "[2001:db8::1]:0", &["address-not-bindable"]),
];

/// What cannot be spoken to: name, family of the socket, address.
pub const BAD_REMOTES: &[(&str, &str, &str)] = &[
    ("port-0", "v4", "127.0.0.1:0"),
    ("unspecified", "v4", "0.0.0.0:9"),
    ("v6-on-v4", "v4", "[::1]:9"),
    ("port-0-v6", "v6", "[::1]:0"),
    ("unspecified-v6", "v6", "[::]:9"),
    ("v4-on-v6", "v6", "127.0.0.1:9"),
    ("ipv4-mapped", "v6", "[::ffff:127.0.0.1]:9"),
];

/// Every check of this file.
pub fn check(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        fresh(report, name, any);
        bad_locals(report, name, any);
        binding(report, name, any);
        bound_states(report, name, any);
        ports(report, name, any);
        bad_remotes(report, name, any);
    }
    ports_of_other_kinds(report);
    ungranted_ports(report);
}

fn fresh(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("udp-fresh-{name}-{what}");
    let socket = socket_for(any);
    report.equal(&label("family"), socket.address_family(), family(any));
    report.error(&label("finish-bind"), socket.finish_bind(), "not-in-progress");
    report.error(&label("local-address"), socket.local_address(), "invalid-state");
    report.error(&label("remote-address"), socket.remote_address(), "invalid-state");
    report.error(&label("stream"), socket.stream(None), "invalid-state");
    report.error(&label("stream-to"), socket.stream(Some(wire(SocketAddr::new(any.ip(), 9)))), "invalid-state");
    socket.subscribe().block();
    report.equal(&label("subscribe-is-ready"), true, true);
    options(report, &label("option"), &socket);
}

fn options(report: &mut Report, name: &str, socket: &UdpSocket) {
    let label = |what: &str| format!("{name}-{what}");
    report.equal(&label("hop-limit-default"), socket.unicast_hop_limit().map(|hops| hops > 0), Ok(true));
    report.error(&label("hop-limit-0"), socket.set_unicast_hop_limit(0), "invalid-argument");
    for hops in [1, 255, 42] {
        report.ok(&label(&format!("hop-limit-set-{hops}")), socket.set_unicast_hop_limit(hops));
        report.equal(&label(&format!("hop-limit-get-{hops}")), socket.unicast_hop_limit(), Ok(hops));
    }
    report.error(&label("receive-buffer-0"), socket.set_receive_buffer_size(0), "invalid-argument");
    report.error(&label("send-buffer-0"), socket.set_send_buffer_size(0), "invalid-argument");
    for size in [1, u64::MAX, 64 * 1024] {
        report.ok(&label(&format!("receive-buffer-set-{size}")), socket.set_receive_buffer_size(size));
        report.ok(&label(&format!("send-buffer-set-{size}")), socket.set_send_buffer_size(size));
    }
    report.equal(&label("receive-buffer-get"), socket.receive_buffer_size().map(|n| n >= 64 * 1024), Ok(true));
    report.equal(&label("send-buffer-get"), socket.send_buffer_size().map(|n| n >= 64 * 1024), Ok(true));
}

/// A bind that fails may be tried again, with another address.
fn bad_locals(report: &mut Report, name: &str, any: SocketAddr) {
    let socket = socket_for(any);
    for (what, _, address, want) in BAD_LOCALS.iter().filter(|(_, family, _, _)| *family == name) {
        let address = address.parse().expect("a socket address");
        report.one_of(&format!("udp-bind-{what}"), bind(&socket, address), want);
        report.error(&format!("udp-bind-{what}-finish"), socket.finish_bind(), "not-in-progress");
        report.error(&format!("udp-bind-{what}-address"), socket.local_address(), "invalid-state");
    }
    report.ok(&format!("udp-bind-{name}-after-failures"), bind(&socket, any));
}

fn binding(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("udp-binding-{name}-{what}");
    let socket = socket_for(any);
    report.ok(&label("start"), socket.start_bind(&instance_network(), wire(any)));
    let again = socket.start_bind(&instance_network(), wire(any));
    report.error(&label("start-again"), again, "concurrency-conflict");
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
    let label = |what: &str| format!("udp-bound-{name}-{what}");
    let socket = bound(any);
    report.equal(&label("address"), local(&socket).ip(), any.ip());
    report.equal(&label("port"), local(&socket).port() > 0, true);
    report.error(&label("bind-again"), bind(&socket, any), "invalid-state");
    report.error(&label("remote-address"), socket.remote_address(), "invalid-state");
    let post = Post::streaming(socket, None).expect("the streams open");
    report.error(&label("streaming-bind"), bind(&post.socket, any), "invalid-state");
    report.error(&label("streaming-remote-address"), post.socket.remote_address(), "invalid-state");
    let check_send = post.outgoing.check_send().map(|permit| permit > 0);
    report.equal(&label("check-send"), check_send, Ok(true));
    report.equal(&label("outgoing-is-ready"), post.outgoing.subscribe().ready(), true);
    report.equal(&label("receive-nothing"), post.incoming.receive(16).map(|found| found.len()), Ok(0));
    report.equal(&label("receive-0"), post.incoming.receive(0).map(|found| found.len()), Ok(0));
    report.equal(&label("incoming-is-not-ready"), post.incoming.subscribe().ready(), false);
    report.equal(&label("send-none"), post.outgoing.send(&[]), Ok(0));
    options(report, &label("option"), &post.socket);
}

fn ports(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("udp-ports-{name}-{what}");
    let first = bound(any);
    let address = local(&first);
    report.error(&label("same"), bind(&socket_for(any), address), "address-in-use");
    let wildcard = SocketAddr::new(unspecified(any), address.port());
    let taken = ["address-in-use", "access-denied"];
    report.one_of(&label("wildcard"), bind(&socket_for(any), wildcard), &taken);
    drop(first);
    report.ok(&label("free-again"), bind(&socket_for(any), address));
    let wide = bound(SocketAddr::new(unspecified(any), 0));
    report.equal(&label("wildcard-address"), local(&wide).ip(), unspecified(any));
    let under = SocketAddr::new(any.ip(), local(&wide).port());
    report.error(&label("under-wildcard"), bind(&socket_for(any), under), "address-in-use");
    let sockets: Vec<_> = (0..50).map(|_| bound(any)).collect();
    let mut ports: Vec<u16> = sockets.iter().map(|socket| local(socket).port()).collect();
    ports.sort_unstable();
    ports.dedup();
    report.equal(&label("all-different"), ports.len(), sockets.len());
}

/// Connecting or sending to what is no address of a peer.
fn bad_remotes(report: &mut Report, name: &str, any: SocketAddr) {
    for (what, _, address) in BAD_REMOTES.iter().filter(|(_, family, _)| *family == name) {
        let address: SocketAddr = address.parse().expect("a socket address");
        let socket = bound(any);
        report.error(&format!("udp-stream-{what}"), socket.stream(Some(wire(address))), "invalid-argument");
        report.error(&format!("udp-stream-{what}-not-connected"), socket.remote_address(), "invalid-state");
        let post = Post::at(any);
        report.error(&format!("udp-send-{what}"), post.send(b"x", Some(address)), "invalid-argument");
    }
    let post = Post::at(any);
    report.error(&format!("udp-send-{name}-nowhere"), post.send(b"x", None), "invalid-argument");
}

/// A number is free for UDP although TCP has it, and in the other family.
fn ports_of_other_kinds(report: &mut Report) {
    let (_listener, address) = crate::tcp::listener(LOOPBACKS[0].1);
    let udp = socket_for(address);
    report.ok("udp-beside-tcp", bind(&udp, address));
    let v6 = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port());
    report.ok("udp-beside-v4", bind(&socket_for(v6), v6));
    let other = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), address.port());
    report.ok("udp-beside-other-address", bind(&socket_for(other), other));
}

/// A port on the wildcard address is for the outside, which `main` says is not granted.
fn ungranted_ports(report: &mut Report) {
    if !report.is_ungranted() {
        return;
    }
    for (name, any) in LOOPBACKS {
        let address = SocketAddr::new(unspecified(any), 5353);
        let socket = socket_for(address);
        report.error(&format!("udp-bind-ungranted-{name}"), bind(&socket, address), "access-denied");
        report.error(&format!("udp-bind-ungranted-{name}-again"), bind(&socket, address), "access-denied");
        report.error(&format!("udp-bind-ungranted-{name}-address"), socket.local_address(), "invalid-state");
    }
}
