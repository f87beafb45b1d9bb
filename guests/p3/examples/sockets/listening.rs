//! Listening TCP sockets: how they come to be, what they refuse, and that one dropped leaves its port.

use crate::unconnected::no_streams;
use p3_guests::{Connection, Report, plain, wire};
use std::net::SocketAddr;
use std::pin::pin;
use wasip3::sockets::types::{IpAddressFamily, TcpSocket};
use wasip3::wit_bindgen::rt::async_support::{StreamReader, StreamResult};

/// Every check of this file.
pub async fn check(report: &mut Report) {
    for (name, any) in [("v4", "127.0.0.1:0"), ("v6", "[::1]:0")] {
        let any: SocketAddr = any.parse().expect("a socket address");
        wrong_state(report, name, any).await;
        implicit_bind(report, name, any);
        cancelled(report, name, any).await;
        lifetime(report, name, any).await;
    }
}

/// A listening socket on any port, where it listens, and who comes.
pub fn listener(any: SocketAddr) -> (TcpSocket, SocketAddr, StreamReader<TcpSocket>) {
    let socket = TcpSocket::create(p3_guests::family(any)).expect("a socket");
    socket.bind(wire(any)).expect("a free port");
    let address = plain(socket.get_local_address().expect("a bound socket"));
    let clients = socket.listen().expect("a listening socket");
    (socket, address, clients)
}

async fn wrong_state(report: &mut Report, name: &str, any: SocketAddr) {
    let (socket, address, clients) = listener(any);
    let label = |what: &str| format!("listening-{name}-{what}");
    report.equal(&label("is-listening"), socket.get_is_listening(), true);
    report.value(&label("local-address"), socket.get_local_address().map(plain), address);
    report.code(&label("remote-address"), socket.get_remote_address(), "invalid-state");
    report.code(&label("bind"), socket.bind(wire(any)), "invalid-state");
    report.code(&label("listen-again"), socket.listen(), "invalid-state");
    report.code(&label("connect"), socket.connect(wire(address)).await, "invalid-state");
    report.code(&label("backlog-0"), socket.set_listen_backlog_size(0), "invalid-argument");
    report.one_of(&label("backlog"), socket.set_listen_backlog_size(5), &["ok", "not-supported"]);
    let socket = no_streams(report, &label("streams"), socket).await;
    report.equal(&label("still-listening"), socket.get_is_listening(), true);
    drop(clients);
}

fn implicit_bind(report: &mut Report, name: &str, any: SocketAddr) {
    let family = p3_guests::family(any);
    let socket = TcpSocket::create(family).expect("a socket");
    report.ok(&format!("implicit-{name}-listen"), socket.listen());
    let local = socket.get_local_address().map(plain);
    report.value(&format!("implicit-{name}-port"), local.clone().map(|local| local.port() > 0), true);
    report.value(&format!("implicit-{name}-address"), local.map(|local| local.ip().is_unspecified()), true);
    report.equal(&format!("implicit-{name}-is-listening"), socket.get_is_listening(), true);
    report.equal(&format!("implicit-{name}-family"), family == IpAddressFamily::Ipv4, any.is_ipv4());
}

/// Waiting for a client can be given up, and begun again.
async fn cancelled(report: &mut Report, name: &str, any: SocketAddr) {
    let (_socket, address, mut clients) = listener(any);
    {
        let mut wait = pin!(clients.read(Vec::with_capacity(1)));
        report.equal(&format!("accept-{name}-waits"), futures::poll!(wait.as_mut()).is_pending(), true);
        let (result, nobody) = wait.cancel();
        report.equal(&format!("accept-{name}-cancelled"), (result, nobody.len()), (StreamResult::Cancelled, 0));
    }
    let client = Connection::to(address).await;
    report.ok(&format!("accept-{name}-connect"), client.as_ref().map_err(Clone::clone));
    // Whether there is somebody can be asked without taking them.
    let (result, nobody) = clients.read(Vec::new()).await;
    report.equal(&format!("accept-{name}-ready"), (result, nobody.len()), (StreamResult::Complete(0), 0));
    report.equal(&format!("accept-{name}-after-cancel"), clients.next().await.is_some(), true);
}

/// The stream of clients keeps the port, whether or not the socket is still there; without both it is free.
async fn lifetime(report: &mut Report, name: &str, any: SocketAddr) {
    let (socket, address, mut clients) = listener(any);
    drop(socket);
    let (client, server) = futures::join!(Connection::to(address), clients.next());
    report.ok(&format!("lifetime-{name}-connect"), client);
    report.equal(&format!("lifetime-{name}-accept"), server.is_some(), true);
    drop(server);
    let again = TcpSocket::create(p3_guests::family(any)).expect("a socket");
    report.code(&format!("lifetime-{name}-taken"), again.bind(wire(address)), "address-in-use");
    drop(clients);
    report.ok(&format!("lifetime-{name}-free"), again.bind(wire(address)));
}
