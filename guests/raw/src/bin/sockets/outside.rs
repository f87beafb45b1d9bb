//! UDP with peers outside of this guest.

use crate::binding::unspecified;
use crate::datagrams::{Post, bound};
use crate::report::Report;
use crate::tcp::{plain, wire};
use std::net::SocketAddr;
use wasip2::sockets::udp::OutgoingDatagram;

/// Every check with an echo server at `server`.
pub fn check(report: &mut Report, server: SocketAddr) {
    unconnected(report, server);
    connected(report, server);
    beside_the_inside(report, server);
}

fn any(server: SocketAddr) -> SocketAddr {
    SocketAddr::new(unspecified(server), 0)
}

fn unconnected(report: &mut Report, server: SocketAddr) {
    let post = Post::at(any(server));
    for size in [0, 1, 1472, 65_507] {
        let data: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        report.equal(&format!("speak-{size}-send"), post.send(&data, Some(server)), Ok(1));
        let same = post.receive().map(|(got, peer)| (got == data, peer));
        report.equal(&format!("speak-{size}-receive"), same, Ok((true, server)));
    }
    let too_large = post.send(&vec![0; 65_536], Some(server));
    report.error("speak-too-large", too_large, "datagram-too-large");
    report.error("speak-remote-address", post.socket.remote_address(), "invalid-state");
    report.equal("speak-again", post.send(b"again", Some(server)), Ok(1));
    report.equal("speak-again-receive", post.receive(), Ok((b"again".to_vec(), server)));
}

fn connected(report: &mut Report, server: SocketAddr) {
    let post = Post::streaming(bound(any(server)), Some(server)).expect("it connects");
    report.equal("speak-connected-remote", post.socket.remote_address().map(plain), Ok(server));
    report.equal("speak-connected-port", post.local().port() > 0, true);
    report.equal("speak-connected-send", post.send(b"hello", None), Ok(1));
    report.equal("speak-connected-receive", post.receive(), Ok((b"hello".to_vec(), server)));
    report.equal("speak-connected-send-to", post.send(b"hello", Some(server)), Ok(1));
    report.equal("speak-connected-receive-again", post.receive(), Ok((b"hello".to_vec(), server)));
    report.equal("speak-connected-hop-limit", post.socket.set_unicast_hop_limit(42).is_ok(), true);
    report.equal("speak-connected-hop-limit-get", post.socket.unicast_hop_limit(), Ok(42));
    let post = post.again(None).expect("it disconnects");
    report.equal("speak-disconnected-send", post.send(b"still", Some(server)), Ok(1));
    report.equal("speak-disconnected-receive", post.receive(), Ok((b"still".to_vec(), server)));
}

/// One socket speaks with a peer outside and one inside.
fn beside_the_inside(report: &mut Report, server: SocketAddr) {
    let post = Post::at(any(server));
    let inside = Post::at(SocketAddr::new(loopback(server), 0));
    report.equal("both-send-inside", post.send(b"in", Some(inside.local())), Ok(1));
    report.equal("both-send-outside", post.send(b"out", Some(server)), Ok(1));
    report.equal("both-outside", post.receive(), Ok((b"out".to_vec(), server)));
    let from = inside.receive().map(|(got, peer)| (got, peer.port()));
    report.equal("both-inside", from, Ok((b"in".to_vec(), post.local().port())));
}

fn loopback(server: SocketAddr) -> std::net::IpAddr {
    let [(_, v4), (_, v6)] = crate::tcp::LOOPBACKS;
    if server.is_ipv4() { v4.ip() } else { v6.ip() }
}

/// Nobody is bound at `address`: who is connected to it hears of that, who is not does not.
pub fn check_unheard(report: &mut Report, address: SocketAddr) {
    let post = Post::at(any(address));
    report.equal("unheard-send", post.send(b"anybody?", Some(address)), Ok(1));
    let later = post.send(b"anybody?", Some(address));
    report.one_of("unheard-send-again", later, &["ok", "connection-refused"]);
    let fresh = Post::streaming(bound(any(address)), Some(address)).expect("it connects");
    // What the other socket met before it was connected is no news of its connection.
    let used = post.again(Some(address)).expect("it connects");
    for (name, post) in [("fresh", fresh), ("used", used)] {
        report.equal(&format!("unheard-{name}-nothing-yet"), post.incoming.receive(1).map(|found| found.len()), Ok(0));
        report.equal(&format!("unheard-{name}-send"), post.send(b"anybody?", None), Ok(1));
        report.equal(&format!("unheard-{name}-receive"), post.receive().map(drop), Err("connection-refused"));
    }
}

/// Nothing is granted: that peer is refused, at once or with the first datagram, and others are not.
pub fn check_denied(report: &mut Report, address: SocketAddr) {
    let post = Post::at(any(address));
    for turn in ["first", "second", "third"] {
        report.error(&format!("denied-{turn}"), post.send(b"x", Some(address)), "access-denied");
    }
    report.error("denied-stream", bound(any(address)).stream(Some(wire(address))), "access-denied");
    let inside = Post::at(SocketAddr::new(loopback(address), 0));
    report.equal("denied-others-send", post.send(b"inside", Some(inside.local())), Ok(1));
    report.equal("denied-others-receive", inside.receive().map(|(got, _)| got), Ok(b"inside".to_vec()));
    let mixed = post.send_all(&[(b"good", Some(inside.local())), (b"bad", Some(address))]);
    report.equal("denied-mixed", mixed, Ok(1));
}

/// `check-send` was not asked, so the host must end this guest.
pub fn send_unpermitted() {
    let post = Post::at(crate::tcp::LOOPBACKS[0].1);
    let to = Some(wire(post.local()));
    let answer = post.outgoing.send(&[OutgoingDatagram { data: b"x".to_vec(), remote_address: to }]);
    println!("sent without permission: {answer:?}");
}
