//! A socket on its way to a granted server and once it is there.

use crate::options;
use p3_guests::{Connection, Report, family, plain, read_to_end, wire};
use std::net::SocketAddr;
use std::pin::pin;
use wasip3::sockets::types::TcpSocket;
use wasip3::wit_bindgen::rt::async_support::StreamResult;

const SECOND_NS: u64 = 1_000_000_000;

/// Every check of this file.
pub async fn check(report: &mut Report, address: SocketAddr) {
    connecting(report, address).await;
    connected(report, address).await;
    streams_once(report, address).await;
    bound(report, address).await;
    options_survive(report, address).await;
    abandoned(report, address).await;
}

fn fresh(address: SocketAddr) -> TcpSocket {
    TcpSocket::create(family(address)).expect("a socket")
}

/// While a connect is under way no other operation may begin.
async fn connecting(report: &mut Report, address: SocketAddr) {
    let socket = fresh(address);
    let mut connect = pin!(socket.connect(wire(address)));
    report.equal("connecting-takes-time", futures::poll!(connect.as_mut()).is_pending(), true);
    report.code("connecting-connect", socket.connect(wire(address)).await, "invalid-state");
    report.code("connecting-bind", socket.bind(wire(SocketAddr::new(address.ip(), 0))), "invalid-state");
    report.code("connecting-listen", socket.listen(), "invalid-state");
    report.code("connecting-remote-address", socket.get_remote_address(), "invalid-state");
    report.code("connecting-backlog", socket.set_listen_backlog_size(1), "invalid-state");
    report.equal("connecting-is-listening", socket.get_is_listening(), false);
    let (mut input, received) = socket.receive();
    report.equal("connecting-receive-gives-nothing", read_to_end(&mut input).await, Vec::new());
    report.code("connecting-receive", received.await, "invalid-state");
    report.ok("connecting-finish", connect.await);
    report.value("connecting-then-connected", socket.get_remote_address().map(plain), address);
}

async fn connected(report: &mut Report, address: SocketAddr) {
    let socket = fresh(address);
    report.ok("connected-connect", socket.connect(wire(address)).await);
    report.value("connected-remote-address", socket.get_remote_address().map(plain), address);
    let local = socket.get_local_address().map(plain);
    report.value("connected-local-family", local.clone().map(|local| local.is_ipv4()), address.is_ipv4());
    report.value("connected-local-port", local.clone().map(|local| local.port() > 0), true);
    report.value("connected-local-address", local.map(|local| local.ip().is_unspecified()), false);
    report.equal("connected-family", socket.get_address_family(), family(address));
    report.equal("connected-is-listening", socket.get_is_listening(), false);
    report.code("connected-connect-again", socket.connect(wire(address)).await, "invalid-state");
    report.code("connected-bind", socket.bind(wire(SocketAddr::new(address.ip(), 0))), "invalid-state");
    report.code("connected-listen", socket.listen(), "invalid-state");
    report.code("connected-backlog", socket.set_listen_backlog_size(1), "invalid-state");
    options::check(report, "connected", &socket);
}

/// Each stream can be had once.
async fn streams_once(report: &mut Report, address: SocketAddr) {
    let Ok(mut connection) = Connection::to(address).await else { return report.equal("once-connect", false, true) };
    let (mut input, received) = connection.socket.receive();
    report.equal("once-receive-gives-nothing", read_to_end(&mut input).await, Vec::new());
    report.code("once-receive", received.await, "invalid-state");
    let (mut output, data) = wasip3::wit_stream::new();
    let sent = connection.socket.send(data);
    let (result, _) = output.write(b"unheard".to_vec()).await;
    report.equal("once-send-takes-nothing", result, StreamResult::Dropped);
    report.code("once-send", sent.await, "invalid-state");
    // The first pair is not disturbed.
    report.equal("once-write", p3_guests::send_all(&mut connection.output, b"first").await, true);
    report.equal("once-read", p3_guests::read_exactly(&mut connection.input, 5).await, b"first".to_vec());
}

/// A socket that was bound connects as well.
async fn bound(report: &mut Report, address: SocketAddr) {
    let socket = fresh(address);
    let any = SocketAddr::new(address.ip(), 0);
    report.ok("bound-bind", socket.bind(wire(any)));
    report.ok("bound-connect", socket.connect(wire(address)).await);
    report.value("bound-remote-address", socket.get_remote_address().map(plain), address);
}

/// What was set before connecting holds on the connection.
async fn options_survive(report: &mut Report, address: SocketAddr) {
    let socket = fresh(address);
    report.ok("survive-set-hop-limit", socket.set_hop_limit(42));
    report.ok("survive-set-keep-alive", socket.set_keep_alive_enabled(true));
    report.ok("survive-set-idle", socket.set_keep_alive_idle_time(9 * SECOND_NS));
    report.ok("survive-set-interval", socket.set_keep_alive_interval(8 * SECOND_NS));
    report.ok("survive-set-count", socket.set_keep_alive_count(7));
    report.ok("survive-connect", socket.connect(wire(address)).await);
    report.value("survive-hop-limit", socket.get_hop_limit(), 42);
    report.value("survive-keep-alive", socket.get_keep_alive_enabled(), true);
    report.value("survive-idle", socket.get_keep_alive_idle_time(), 9 * SECOND_NS);
    report.value("survive-interval", socket.get_keep_alive_interval(), 8 * SECOND_NS);
    report.value("survive-count", socket.get_keep_alive_count(), 7);
}

/// A connect that nobody waits for any more leaves its socket useless, and disturbs nobody else.
async fn abandoned(report: &mut Report, address: SocketAddr) {
    let socket = fresh(address);
    {
        let mut connect = pin!(socket.connect(wire(address)));
        report.equal("abandoned-begun", futures::poll!(connect.as_mut()).is_pending(), true);
    }
    report.code("abandoned-connect-again", socket.connect(wire(address)).await, "invalid-state");
    drop(socket);
    report.ok("after-abandoned-connect", Connection::to(address).await);
}
