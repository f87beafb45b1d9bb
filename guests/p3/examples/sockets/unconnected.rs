//! Calls on a TCP socket that was only created: what it must refuse, and how.

use p3_guests::{Connection, Report, family, read_to_end, wire};
use std::net::SocketAddr;
use wasip3::sockets::types::{ErrorCode, IpAddressFamily, TcpSocket, UdpSocket};
use wasip3::wit_bindgen::rt::async_support::StreamResult;

/// Addresses nobody may connect to, each with a name and a family that fits it.
pub const BAD_REMOTES: &[(&str, &str)] = &[
    ("port-0", "127.0.0.1:0"),
    ("unspecified", "0.0.0.0:80"),
    ("port-0-v6", "[::1]:0"),
    ("unspecified-v6", "[::]:80"),
    ("ipv4-mapped", "[::ffff:127.0.0.1]:80"),
];

/// More of them: TCP has no groups.
const NOT_UNICAST: &[(&str, &str)] =
    &[("multicast", "224.0.0.1:80"), ("broadcast", "255.255.255.255:80"), ("multicast-v6", "[ff02::1]:80")];

/// Every check of this file.
pub async fn check(report: &mut Report) {
    for (name, family) in [("v4", IpAddressFamily::Ipv4), ("v6", IpAddressFamily::Ipv6)] {
        let socket = TcpSocket::create(family).expect("a socket");
        report.equal(&format!("fresh-{name}-family"), socket.get_address_family(), family);
        report.code(&format!("fresh-{name}-local-address"), socket.get_local_address(), "invalid-state");
        report.code(&format!("fresh-{name}-remote-address"), socket.get_remote_address(), "invalid-state");
        report.equal(&format!("fresh-{name}-is-listening"), socket.get_is_listening(), false);
        no_streams(report, &format!("fresh-{name}"), socket).await;
    }
    bad_remotes(report).await;
}

/// A socket that is not connected gives no streams: both are closed, and say why.
pub async fn no_streams(report: &mut Report, name: &str, socket: TcpSocket) -> TcpSocket {
    let Connection { socket, mut input, received, mut output, sent } = Connection::of(socket);
    let (result, _) = output.write(b"unheard".to_vec()).await;
    report.equal(&format!("{name}-send-takes-nothing"), result, StreamResult::Dropped);
    report.code(&format!("{name}-send"), sent.await, "invalid-state");
    report.equal(&format!("{name}-receive-gives-nothing"), read_to_end(&mut input).await, Vec::new());
    report.code(&format!("{name}-receive"), received.await, "invalid-state");
    socket
}

async fn bad_remotes(report: &mut Report) {
    for (name, address) in BAD_REMOTES.iter().chain(NOT_UNICAST) {
        let address: SocketAddr = address.parse().expect("a socket address");
        let socket = TcpSocket::create(family(address)).expect("a socket");
        report.code(&format!("connect-{name}"), socket.connect(wire(address)).await, "invalid-argument");
    }
    let v4: SocketAddr = "127.0.0.1:80".parse().expect("a socket address");
    let v6: SocketAddr = "[::1]:80".parse().expect("a socket address");
    let v4_socket = TcpSocket::create(IpAddressFamily::Ipv4).expect("a socket");
    let v6_socket = TcpSocket::create(IpAddressFamily::Ipv6).expect("a socket");
    report.code("connect-v6-on-v4", v4_socket.connect(wire(v6)).await, "invalid-argument");
    report.code("connect-v4-on-v6", v6_socket.connect(wire(v4)).await, "invalid-argument");
}

/// Sockets are made until the host refuses: with a code that says so in words, because there is none for it. One that
/// goes makes room for another, of either kind.
pub fn check_limit(report: &mut Report, most: usize) {
    let made: Vec<TcpSocket> = (0..most).map_while(|_| TcpSocket::create(IpAddressFamily::Ipv4).ok()).collect();
    report.equal("limit-is-reached", made.len() < most, true);
    for refused in
        [TcpSocket::create(IpAddressFamily::Ipv6).map(drop), UdpSocket::create(IpAddressFamily::Ipv4).map(drop)]
    {
        let says = matches!(&refused, Err(ErrorCode::Other(Some(text))) if text.contains("too many sockets"));
        report.code("limit-code", refused, "other");
        report.equal("limit-says", says, true);
    }
    let mut made = made;
    made.pop();
    let datagrams = UdpSocket::create(IpAddressFamily::Ipv4);
    report.ok("limit-room-again", datagrams.as_ref().map_err(Clone::clone));
    report.code("limit-full-again", TcpSocket::create(IpAddressFamily::Ipv4), "other");
    drop(datagrams);
    report.ok("limit-room-at-last", TcpSocket::create(IpAddressFamily::Ipv4));
}
