//! Connections between sockets of this program: on its own loopback, without a grant.

use crate::listening::listener;
use p3_guests::{Connection, Report, family, plain, read_exactly, read_to_end, send_all, wire};
use std::net::SocketAddr;
use wasip3::sockets::types::{IpAddressFamily, TcpSocket};

/// Where servers are bound, and where their clients find them.
const PLACES: &[(&str, &str, &str)] = &[
    ("v4", "127.0.0.1:0", "127.0.0.1"),
    ("v4-other", "127.0.0.2:0", "127.0.0.2"),
    ("v4-any", "0.0.0.0:0", "127.0.0.3"),
    ("v6", "[::1]:0", "::1"),
    ("v6-any", "[::]:0", "::1"),
];

/// Every check of this file.
pub async fn check(report: &mut Report) {
    for (name, bound, host) in PLACES {
        let bound: SocketAddr = bound.parse().expect("a socket address");
        let (socket, address, mut clients) = listener(bound);
        let address = SocketAddr::new(host.parse().expect("an IP address"), address.port());
        let (client, server) = futures::join!(Connection::to(address), clients.next());
        report.ok(&format!("{name}-connect"), client.as_ref().map_err(Clone::clone));
        report.equal(&format!("{name}-accept"), server.is_some(), true);
        if let (Ok(client), Some(server)) = (client, server) {
            ends(report, name, &client.socket, &server, address);
            talk(report, name, client, Connection::of(server)).await;
        }
        drop(socket);
    }
    nobody_listens(report).await;
    bound_client(report).await;
    crowd(report).await;
    inherited(report).await;
}

/// Both ends tell the same two addresses, each from its side.
fn ends(report: &mut Report, name: &str, client: &TcpSocket, server: &TcpSocket, address: SocketAddr) {
    report.value(&format!("{name}-remote"), client.get_remote_address().map(plain), address);
    report.value(&format!("{name}-server-local"), server.get_local_address().map(plain), address);
    let (local, remote) = (client.get_local_address().map(plain), server.get_remote_address().map(plain));
    report.value(&format!("{name}-client-port"), local.clone().map(|local| local.port() > 0), true);
    report.value(&format!("{name}-client-ip"), local.clone().map(|local| local.ip().is_loopback()), true);
    report.equal(&format!("{name}-client-is-seen"), remote.ok(), local.ok());
    report.equal(&format!("{name}-accepted-family"), server.get_address_family(), family(address));
    report.equal(&format!("{name}-accepted-listens"), server.get_is_listening(), false);
    report.code(&format!("{name}-accepted-listen"), server.listen(), "invalid-state");
    report.code(&format!("{name}-accepted-bind"), server.bind(wire(address)), "invalid-state");
}

async fn talk(report: &mut Report, name: &str, mut client: Connection, mut server: Connection) {
    report.equal(&format!("{name}-ask"), send_all(&mut client.output, b"ping").await, true);
    report.equal(&format!("{name}-asked"), read_exactly(&mut server.input, 4).await, b"ping".to_vec());
    report.equal(&format!("{name}-answer"), send_all(&mut server.output, b"pong").await, true);
    drop(server.output);
    report.equal(&format!("{name}-answered"), read_to_end(&mut client.input).await, b"pong".to_vec());
    report.ok(&format!("{name}-server-sent"), server.sent.await);
    report.ok(&format!("{name}-client-received"), client.received.await);
    drop(client.output);
    report.equal(&format!("{name}-end"), read_to_end(&mut server.input).await, Vec::new());
    report.ok(&format!("{name}-server-received"), server.received.await);
}

/// A port that is held but does not listen refuses.
async fn nobody_listens(report: &mut Report) {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let any: SocketAddr = any.parse().expect("a socket address");
        let held = TcpSocket::create(family(any)).expect("a socket");
        held.bind(wire(any)).expect("a free port");
        let address = plain(held.get_local_address().expect("a bound socket"));
        report.code(&format!("bound-only-{any}"), Connection::to(address).await, "connection-refused");
    }
}

/// A client that was bound is seen under that address.
async fn bound_client(report: &mut Report) {
    let (_socket, address, mut clients) = listener("127.0.0.1:0".parse().expect("a socket address"));
    let client = TcpSocket::create(IpAddressFamily::Ipv4).expect("a socket");
    client.bind(wire("127.0.0.1:0".parse().expect("a socket address"))).expect("a free port");
    let local = plain(client.get_local_address().expect("a bound socket"));
    let (connected, server) = futures::join!(client.connect(wire(address)), clients.next());
    report.ok("bound-client-connect", connected);
    report.value("bound-client-local", client.get_local_address().map(plain), local);
    let seen = server.map(|server| server.get_remote_address().map(plain).ok());
    report.equal("bound-client-is-seen", seen, Some(Some(local)));
}

/// Many clients at once: each is accepted, and keeps its own bytes.
async fn crowd(report: &mut Report) {
    const CLIENTS: usize = 100;
    let (_socket, address, mut clients) = listener("127.0.0.1:0".parse().expect("a socket address"));
    let server = wasip3::spawn_local(async move {
        for _ in 0..CLIENTS {
            let Some(client) = clients.next().await else { return };
            drop(wasip3::spawn_local(async move {
                let Connection { mut input, mut output, .. } = Connection::of(client);
                let data = read_to_end(&mut input).await;
                send_all(&mut output, &data).await;
            }));
        }
    });
    let ask = async |number: usize| {
        let Connection { mut input, mut output, .. } = Connection::to(address).await.ok()?;
        let data = format!("client {number}").into_bytes();
        send_all(&mut output, &data).await;
        drop(output);
        (read_to_end(&mut input).await == data).then_some(())
    };
    let answers = futures::future::join_all((0..CLIENTS).map(ask)).await;
    report.equal("crowd-answered", answers.into_iter().flatten().count(), CLIENTS);
    server.await;
}

/// What the interface says an accepted socket has from its listener.
async fn inherited(report: &mut Report) {
    const SECOND_NS: u64 = 1_000_000_000;
    let (socket, address, mut clients) = listener("127.0.0.1:0".parse().expect("a socket address"));
    report.ok("inherit-set-keep-alive", socket.set_keep_alive_enabled(true));
    report.ok("inherit-set-idle", socket.set_keep_alive_idle_time(9 * SECOND_NS));
    report.ok("inherit-set-interval", socket.set_keep_alive_interval(8 * SECOND_NS));
    report.ok("inherit-set-count", socket.set_keep_alive_count(7));
    report.ok("inherit-set-hop-limit", socket.set_hop_limit(42));
    let (client, server) = futures::join!(Connection::to(address), clients.next());
    report.ok("inherit-connect", client);
    let Some(server) = server else { return report.equal("inherit-accept", false, true) };
    report.value("inherit-keep-alive", server.get_keep_alive_enabled(), true);
    report.value("inherit-idle", server.get_keep_alive_idle_time(), 9 * SECOND_NS);
    report.value("inherit-interval", server.get_keep_alive_interval(), 8 * SECOND_NS);
    report.value("inherit-count", server.get_keep_alive_count(), 7);
    report.value("inherit-hop-limit", server.get_hop_limit(), 42);
}
