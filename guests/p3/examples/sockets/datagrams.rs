//! UDP sockets: their states, and datagrams between sockets of this program, with a server, and without a grant.

use crate::unconnected::BAD_REMOTES;
use p3_guests::{Report, family, plain, wire};
use std::net::SocketAddr;
use std::pin::pin;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, UdpSocket};

/// What fits into one datagram of UDP over IPv4.
const LARGEST_BYTES: usize = 65_507;

/// Every check of this file that needs no grant and no server.
pub async fn check(report: &mut Report) {
    for (name, any) in [("v4", "127.0.0.1:0"), ("v6", "[::1]:0")] {
        let any = at(any);
        fresh(report, name, any).await;
        implicit_bind(report, name, any).await;
        pair(report, name, any).await;
        connected(report, name, any).await;
        nobody(report, name, any).await;
    }
    bad_remotes(report).await;
    several_receivers(report).await;
    wildcard(report).await;
}

/// A granted server that sends every datagram back.
pub async fn check_peer(report: &mut Report, address: SocketAddr) {
    let socket = socket(family(address));
    for length in [0, 1, 1472, LARGEST_BYTES] {
        let data = vec![b'x'; length];
        report.ok(&format!("peer-send-{length}"), send(&socket, &data, Some(address)).await);
        report.value(&format!("peer-receive-{length}"), receive(&socket).await, (data, address));
    }
    report.ok("peer-connect", socket.connect(wire(address)));
    report.value("peer-remote-address", socket.get_remote_address().map(plain), address);
    report.ok("peer-connected-send", send(&socket, b"to nobody else", None).await);
    report.value("peer-connected-receive", receive(&socket).await, (b"to nobody else".to_vec(), address));
    let connected = self::socket(family(address));
    report.ok("peer-fresh-connect", connected.connect(wire(address)));
    report.ok("peer-fresh-send", send(&connected, b"first", None).await);
    report.value("peer-fresh-receive", receive(&connected).await, (b"first".to_vec(), address));
    crate::options::udp(report, "peer", &connected);
}

/// A peer that no grant covers.
pub async fn check_denied(report: &mut Report, address: SocketAddr) {
    let socket = socket(family(address));
    report.code("denied-send", send(&socket, b"x", Some(address)).await, "access-denied");
    report.code("denied-send-again", send(&socket, b"x", Some(address)).await, "access-denied");
    report.code("denied-connect", socket.connect(wire(address)), "access-denied");
    report.code("denied-not-connected", socket.get_remote_address(), "invalid-state");
    // The refusal is about that peer alone.
    let own = bound(own_loopback(address));
    report.ok("denied-others-go", send(&socket, b"own", Some(local(&own))).await);
    report.value("denied-others-come", receive(&own).await.map(|(data, _)| data), b"own".to_vec());
}

/// No way leads to the peer.
pub async fn check_unreachable(report: &mut Report, address: SocketAddr) {
    let socket = socket(family(address));
    report.code("unreachable-send", send(&socket, b"x", Some(address)).await, "remote-unreachable");
    report.code("unreachable-connect", socket.connect(wire(address)), "remote-unreachable");
    report.code("unreachable-not-connected", socket.get_remote_address(), "invalid-state");
}

/// Nobody is at the peer's address, and its host says so.
pub async fn check_refused(report: &mut Report, address: SocketAddr) {
    let socket = socket(family(address));
    report.ok("refused-connect", socket.connect(wire(address)));
    report.ok("refused-send", send(&socket, b"anybody?", None).await);
    report.code("refused-receive", receive(&socket).await, "connection-refused");
    // Told once, it is forgotten; who has several peers would not know whom it is about, and is not told.
    report.ok("refused-disconnect", socket.disconnect());
    report.ok("refused-send-unconnected", send(&socket, b"anybody?", Some(address)).await);
    let own = bound(own_loopback(address));
    report.ok("refused-others-go", send(&own, b"other", Some(loopback(&socket))).await);
    report.value("refused-others-come", receive(&socket).await.map(|(data, _)| data), b"other".to_vec());
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

fn socket(family: IpAddressFamily) -> UdpSocket {
    UdpSocket::create(family).expect("a socket")
}

fn bound(address: SocketAddr) -> UdpSocket {
    let socket = socket(family(address));
    socket.bind(wire(address)).expect("a free port");
    socket
}

fn local(socket: &UdpSocket) -> SocketAddr {
    plain(socket.get_local_address().expect("a bound socket"))
}

/// Any port of loopback in the family of `address`.
fn own_loopback(address: SocketAddr) -> SocketAddr {
    if address.is_ipv4() { at("127.0.0.1:0") } else { at("[::1]:0") }
}

/// Where a socket on every address is found on loopback.
fn loopback(socket: &UdpSocket) -> SocketAddr {
    SocketAddr::new(own_loopback(local(socket)).ip(), local(socket).port())
}

async fn send(socket: &UdpSocket, data: &[u8], to: Option<SocketAddr>) -> Result<(), ErrorCode> {
    socket.send(data.to_vec(), to.map(wire)).await
}

async fn receive(socket: &UdpSocket) -> Result<(Vec<u8>, SocketAddr), ErrorCode> {
    socket.receive().await.map(|(data, from)| (data, plain(from)))
}

async fn fresh(report: &mut Report, name: &str, any: SocketAddr) {
    let socket = socket(family(any));
    let label = |what: &str| format!("fresh-{name}-{what}");
    report.equal(&label("family"), socket.get_address_family(), family(any));
    report.code(&label("local-address"), socket.get_local_address(), "invalid-state");
    report.code(&label("remote-address"), socket.get_remote_address(), "invalid-state");
    report.code(&label("disconnect"), socket.disconnect(), "invalid-state");
    report.code(&label("receive"), receive(&socket).await, "invalid-state");
    report.code(&label("send-nowhere"), send(&socket, b"x", None).await, "invalid-argument");
    report.ok(&label("bind"), socket.bind(wire(any)));
    report.code(&label("bound-send-nowhere"), send(&socket, b"x", None).await, "invalid-argument");
    report.code(&label("bound-remote-address"), socket.get_remote_address(), "invalid-state");
    report.code(&label("bound-disconnect"), socket.disconnect(), "invalid-state");
}

/// Sending and connecting bind a socket that was not bound.
async fn implicit_bind(report: &mut Report, name: &str, any: SocketAddr) {
    let server = bound(any);
    let (sender, connected) = (socket(family(any)), socket(family(any)));
    report.ok(&format!("implicit-{name}-send"), send(&sender, b"hi", Some(local(&server))).await);
    let port = sender.get_local_address().map(|local| plain(local).port() > 0);
    report.value(&format!("implicit-{name}-send-port"), port, true);
    report.code(&format!("implicit-{name}-send-bind"), sender.bind(wire(any)), "invalid-state");
    report.ok(&format!("implicit-{name}-connect"), connected.connect(wire(local(&server))));
    let port = connected.get_local_address().map(|local| plain(local).port() > 0);
    report.value(&format!("implicit-{name}-connect-port"), port, true);
    report.code(&format!("implicit-{name}-connect-bind"), connected.bind(wire(any)), "invalid-state");
    let (data, from) = receive(&server).await.expect("a datagram");
    report.equal(&format!("implicit-{name}-received"), data, b"hi".to_vec());
    report.equal(&format!("implicit-{name}-from-port"), from.port(), local(&sender).port());
    report.equal(&format!("implicit-{name}-from-loopback"), from.ip().is_loopback(), true);
    report.ok(&format!("implicit-{name}-answer"), send(&server, b"ho", Some(from)).await);
    report.value(&format!("implicit-{name}-answered"), receive(&sender).await, (b"ho".to_vec(), local(&server)));
}

async fn pair(report: &mut Report, name: &str, any: SocketAddr) {
    let (one, two) = (bound(any), bound(any));
    let label = |what: &str| format!("pair-{name}-{what}");
    for length in [0, 1, 1472, LARGEST_BYTES] {
        let data = vec![b'y'; length];
        report.ok(&label(&format!("send-{length}")), send(&one, &data, Some(local(&two))).await);
        report.value(&label(&format!("receive-{length}")), receive(&two).await, (data, local(&one)));
    }
    let too_large = vec![0; LARGEST_BYTES + 21];
    report.code(&label("too-large"), send(&one, &too_large, Some(local(&two))).await, "datagram-too-large");
    for text in [&b"a"[..], b"b", b"c"] {
        report.ok(&label("send-in-order"), send(&one, text, Some(local(&two))).await);
    }
    for text in [&b"a"[..], b"b", b"c"] {
        report.value(&label("receive-in-order"), receive(&two).await, (text.to_vec(), local(&one)));
    }
    {
        let mut wait = pin!(two.receive());
        report.equal(&label("receive-waits"), futures::poll!(wait.as_mut()).is_pending(), true);
        report.ok(&label("send-to-waiting"), send(&one, b"wake up", Some(local(&two))).await);
        report.value(&label("receive-woken"), wait.await.map(|(data, _)| data), b"wake up".to_vec());
    }
    {
        let mut wait = pin!(two.receive());
        report.equal(&label("receive-waits-again"), futures::poll!(wait.as_mut()).is_pending(), true);
    }
    report.ok(&label("send-after-cancel"), send(&one, b"later", Some(local(&two))).await);
    report.value(&label("receive-after-cancel"), receive(&two).await.map(|(data, _)| data), b"later".to_vec());
    report.ok(&label("send-to-itself"), send(&one, b"me", Some(local(&one))).await);
    report.value(&label("receive-from-itself"), receive(&one).await, (b"me".to_vec(), local(&one)));
}

/// A connected socket hears and reaches its peer alone, until it is connected elsewhere or nowhere.
async fn connected(report: &mut Report, name: &str, any: SocketAddr) {
    let (socket, peer, stranger) = (bound(any), bound(any), bound(any));
    let label = |what: &str| format!("connected-{name}-{what}");
    report.ok(&label("connect"), socket.connect(wire(local(&peer))));
    report.value(&label("remote-address"), socket.get_remote_address().map(plain), local(&peer));
    report.ok(&label("send"), send(&socket, b"default", None).await);
    report.ok(&label("send-same"), send(&socket, b"named", Some(local(&peer))).await);
    let other = send(&socket, b"other", Some(local(&stranger))).await;
    report.code(&label("send-other"), other, "invalid-argument");
    for text in [&b"default"[..], b"named"] {
        report.value(&label("peer-receives"), receive(&peer).await, (text.to_vec(), local(&socket)));
    }
    report.ok(&label("stranger-sends"), send(&stranger, b"unheard", Some(local(&socket))).await);
    report.ok(&label("peer-sends"), send(&peer, b"heard", Some(local(&socket))).await);
    report.value(&label("receive-peer-only"), receive(&socket).await, (b"heard".to_vec(), local(&peer)));

    report.ok(&label("reconnect"), socket.connect(wire(local(&stranger))));
    report.value(&label("reconnected-address"), socket.get_remote_address().map(plain), local(&stranger));
    report.ok(&label("reconnected-send"), send(&socket, b"new peer", None).await);
    report.value(&label("reconnected-received"), receive(&stranger).await.map(|(data, _)| data), b"new peer".to_vec());

    report.ok(&label("disconnect"), socket.disconnect());
    report.code(&label("disconnected-address"), socket.get_remote_address(), "invalid-state");
    report.code(&label("disconnect-again"), socket.disconnect(), "invalid-state");
    report.code(&label("disconnected-send"), send(&socket, b"x", None).await, "invalid-argument");
    report.ok(&label("disconnected-still-bound"), socket.get_local_address());
    report.ok(&label("peer-sends-again"), send(&peer, b"again", Some(local(&socket))).await);
    report.value(&label("receive-from-all"), receive(&socket).await.map(|(data, _)| data), b"again".to_vec());
}

/// A loopback port that this program does not hold is the host's, and not granted.
async fn nobody(report: &mut Report, name: &str, any: SocketAddr) {
    let gone = bound(any);
    let address = local(&gone);
    drop(gone);
    let socket = socket(family(any));
    report.code(&format!("nobody-{name}-send"), send(&socket, b"x", Some(address)).await, "access-denied");
    report.code(&format!("nobody-{name}-connect"), socket.connect(wire(address)), "access-denied");
}

async fn bad_remotes(report: &mut Report) {
    for (name, address) in BAD_REMOTES {
        let socket = socket(family(at(address)));
        report.code(&format!("connect-{name}"), socket.connect(wire(at(address))), "invalid-argument");
        report.code(&format!("send-{name}"), send(&socket, b"x", Some(at(address))).await, "invalid-argument");
    }
    for group in ["224.0.0.1:80", "255.255.255.255:80", "[ff02::1]:80"] {
        let socket = socket(family(at(group)));
        // Nobody can grant a group, and the interface has no word against them.
        report.code(&format!("connect-{group}"), socket.connect(wire(at(group))), "remote-unreachable");
        report.code(&format!("send-{group}"), send(&socket, b"x", Some(at(group))).await, "remote-unreachable");
    }
    let (v4, v6) = (socket(IpAddressFamily::Ipv4), socket(IpAddressFamily::Ipv6));
    report.code("connect-v6-on-v4", v4.connect(wire(at("[::1]:80"))), "invalid-argument");
    report.code("connect-v4-on-v6", v6.connect(wire(at("127.0.0.1:80"))), "invalid-argument");
    report.code("send-v6-on-v4", send(&v4, b"x", Some(at("[::1]:80"))).await, "invalid-argument");
    report.code("send-v4-on-v6", send(&v6, b"x", Some(at("127.0.0.1:80"))).await, "invalid-argument");
}

/// Several calls may wait for datagrams of one socket: each gets one.
async fn several_receivers(report: &mut Report) {
    let (server, client) = (bound(at("127.0.0.1:0")), bound(at("127.0.0.1:0")));
    let receivers = futures::future::join_all((0..5).map(|_| receive(&server)));
    let sender = async {
        for number in 0..5 {
            send(&client, &[number], Some(local(&server))).await.expect("room for a datagram");
        }
    };
    let (received, ()) = futures::join!(receivers, sender);
    let mut numbers: Vec<u8> = received.into_iter().flatten().flat_map(|(data, _)| data).collect();
    numbers.sort_unstable();
    report.equal("several-receivers", numbers, vec![0, 1, 2, 3, 4]);
}

/// A socket on every address hears what is sent to any of them.
async fn wildcard(report: &mut Report) {
    for (any, hosts) in [("0.0.0.0:0", &["127.0.0.1", "127.0.0.9"][..]), ("[::]:0", &["::1"])] {
        let server = bound(at(any));
        for host in hosts {
            let client = bound(SocketAddr::new(host.parse().expect("an IP address"), 0));
            let to = SocketAddr::new(host.parse().expect("an IP address"), local(&server).port());
            report.ok(&format!("wildcard-send-{host}"), send(&client, b"hi", Some(to)).await);
            report.value(&format!("wildcard-receive-{host}"), receive(&server).await, (b"hi".to_vec(), local(&client)));
        }
    }
}
