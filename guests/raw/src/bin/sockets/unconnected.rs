//! Calls on a socket that was only created: what it must refuse, and how.

use crate::report::Report;
use crate::tcp::{bind, socket_for, start_connect};
use std::net::SocketAddr;
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// Addresses nobody may connect to, each with the reason and a family that fits it.
const BAD_REMOTES: &[(&str, &str)] = &[
    ("port-0", "127.0.0.1:0"),
    ("unspecified", "0.0.0.0:80"),
    ("multicast", "224.0.0.1:80"),
    ("broadcast", "255.255.255.255:80"),
    ("port-0-v6", "[::1]:0"),
    ("unspecified-v6", "[::]:80"),
    ("multicast-v6", "[ff02::1]:80"),
    ("ipv4-mapped", "[::ffff:127.0.0.1]:80"),
];

/// Every check of this file.
pub fn check(report: &mut Report) {
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let socket = create_tcp_socket(family).expect("a TCP socket");
        let name = if family == IpAddressFamily::Ipv4 { "v4" } else { "v6" };
        report.equal(&format!("fresh-{name}-family"), socket.address_family(), family);
        wrong_state(report, name, &socket);
    }
    bad_remotes(report);
    ungranted_ports(report);
}

fn wrong_state(report: &mut Report, name: &str, socket: &TcpSocket) {
    let label = |call: &str| format!("fresh-{name}-{call}");
    report.error(&label("finish-connect"), socket.finish_connect(), "not-in-progress");
    report.error(&label("finish-bind"), socket.finish_bind(), "not-in-progress");
    report.error(&label("finish-listen"), socket.finish_listen(), "not-in-progress");
    report.error(&label("accept"), socket.accept(), "invalid-state");
    report.error(&label("local-address"), socket.local_address(), "invalid-state");
    report.error(&label("remote-address"), socket.remote_address(), "invalid-state");
    report.equal(&label("is-listening"), socket.is_listening(), false);
    for (call, how) in [
        ("shutdown-receive", ShutdownType::Receive),
        ("shutdown-send", ShutdownType::Send),
        ("shutdown-both", ShutdownType::Both),
    ] {
        report.error(&label(call), socket.shutdown(how), "invalid-state");
    }
    // Nothing is under way, so there is nothing to wait for: the pollable must not hang.
    socket.subscribe().block();
    report.equal(&label("subscribe-is-ready"), true, true);
}

fn bad_remotes(report: &mut Report) {
    for (name, address) in BAD_REMOTES {
        let address: SocketAddr = address.parse().expect("a socket address");
        let socket = socket_for(address);
        report.error(&format!("connect-{name}"), start_connect(&socket, address), "invalid-argument");
        report.error(&format!("connect-{name}-not-begun"), socket.finish_connect(), "not-in-progress");
    }
    let v4: SocketAddr = "127.0.0.1:80".parse().expect("a socket address");
    let v6: SocketAddr = "[::1]:80".parse().expect("a socket address");
    report.error("connect-v6-on-v4", start_connect(&socket_for(v4), v6), "invalid-argument");
    report.error("connect-v4-on-v6", start_connect(&socket_for(v6), v4), "invalid-argument");
}

/// A port on the wildcard address is for the outside, and nothing of that is granted here.
fn ungranted_ports(report: &mut Report) {
    for (name, address) in [("v4", "0.0.0.0:8080"), ("v6", "[::]:8080")] {
        let address: SocketAddr = address.parse().expect("a socket address");
        let socket = socket_for(address);
        report.error(&format!("bind-{name}"), bind(&socket, address), "access-denied");
        report.error(&format!("bind-{name}-again"), bind(&socket, address), "access-denied");
        report.error(&format!("bind-{name}-no-address"), socket.local_address(), "invalid-state");
        report.error(&format!("bind-{name}-finish"), socket.finish_bind(), "not-in-progress");
        report.error(&format!("bind-{name}-listen"), socket.start_listen(), "invalid-state");
    }
}
