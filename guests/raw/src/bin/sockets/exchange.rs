//! Datagrams among sockets of this guest: sizes, order, several peers, and sockets connected to one of them.

use crate::binding::unspecified;
use crate::datagrams::{Post, free};
use crate::report::Report;
use crate::tcp::{LOOPBACKS, plain};
use std::net::{Ipv4Addr, SocketAddr};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;

const SECOND_NS: u64 = 1_000_000_000;
/// The most that fits in a packet: 65,535 bytes less the headers of UDP, and of IP where that counts.
const MOST_V4: usize = 65_507;
const MOST_V6: usize = 65_527;

/// Every check of this file.
pub fn check(report: &mut Report) {
    for (name, any) in LOOPBACKS {
        sizes(report, name, any);
        too_large(report, name, any);
        order(report, name, any);
        some_of_several(report, name, any);
        several_peers(report, name, any);
        connected(report, name, any);
        reconnected(report, name, any);
        ready(report, name, any);
        full(report, name, any);
        wildcard(report, name, any);
        closed_and_bound_again(report, name, any);
    }
    wildcard_takes_every_loopback_address(report);
}

fn sizes(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(any));
    for size in [0, 1, 1472, 9000, MOST_V4] {
        let data: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        report.equal(&format!("size-{name}-{size}-send"), from.send(&data, Some(to.local())), Ok(1));
        let same = to.receive().map(|(got, peer)| (got == data, peer));
        report.equal(&format!("size-{name}-{size}-receive"), same, Ok((true, from.local())));
    }
}

fn too_large(report: &mut Report, name: &str, any: SocketAddr) {
    let most = if any.is_ipv4() { MOST_V4 } else { MOST_V6 };
    let (from, to) = (Post::at(any), Post::at(any));
    for size in [most + 1, 70_000, 1 << 20] {
        let answer = from.send(&vec![7; size], Some(to.local()));
        report.error(&format!("too-large-{name}-{size}"), answer, "datagram-too-large");
    }
    report.equal(&format!("too-large-{name}-then"), from.send(b"small", Some(to.local())), Ok(1));
    report.equal(&format!("too-large-{name}-only-then"), to.receive().map(|(got, _)| got), Ok(b"small".to_vec()));
}

/// What is sent first comes first, and no more at once than was asked for.
fn order(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(any));
    let sent = from.send_all(&[(b"one", Some(to.local())), (b"two", Some(to.local())), (b"three", Some(to.local()))]);
    report.equal(&format!("order-{name}-sent"), sent, Ok(3));
    report.equal(&format!("order-{name}-none-asked"), to.incoming.receive(0).map(|found| found.len()), Ok(0));
    to.incoming.subscribe().block();
    let two = to.incoming.receive(2).map(|found| found.len());
    report.equal(&format!("order-{name}-no-more"), two.map(|count| count <= 2), Ok(true));
    // A host may give fewer at once than it has.
    let mut left = 3_usize.saturating_sub(two.unwrap_or_default());
    let mut last = Vec::new();
    while left > 0 {
        last = to.receive().map(|(got, _)| got).unwrap_or_default();
        left -= 1;
    }
    report.equal(&format!("order-{name}-last"), last, b"three".to_vec());
}

/// As far as the first that fails; the failure is told when nothing went before it.
fn some_of_several(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(any));
    let bad = SocketAddr::new(any.ip(), 0);
    let sent = from.send_all(&[(b"good", Some(to.local())), (b"bad", Some(bad)), (b"late", Some(to.local()))]);
    report.equal(&format!("some-{name}-sent"), sent, Ok(1));
    let sent = from.send_all(&[(b"bad", Some(bad)), (b"late", Some(to.local()))]);
    report.error(&format!("some-{name}-failed"), sent, "invalid-argument");
    report.equal(&format!("some-{name}-came"), to.receive().map(|(got, _)| got), Ok(b"good".to_vec()));
    let more = to.incoming.receive(16).map(|found| found.len());
    report.equal(&format!("some-{name}-no-more"), more, Ok(0));
}

/// One socket speaks with several, and each answer comes from where it was sent.
fn several_peers(report: &mut Report, name: &str, any: SocketAddr) {
    let (server, clients) = (Post::at(any), [Post::at(any), Post::at(any), Post::at(any)]);
    for (index, client) in clients.iter().enumerate() {
        let sent = client.send(&[index as u8], Some(server.local()));
        report.equal(&format!("several-{name}-{index}-ask"), sent, Ok(1));
    }
    for _ in &clients {
        let (data, peer) = server.receive().expect("each asked once");
        report.equal(&format!("several-{name}-answer"), server.send(&[data[0] + 100], Some(peer)), Ok(1));
    }
    for (index, client) in clients.iter().enumerate() {
        let want = Ok((vec![index as u8 + 100], server.local()));
        report.equal(&format!("several-{name}-{index}-answered"), client.receive(), want);
    }
}

/// A socket connected to one peer sends to it and hears it alone.
fn connected(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("udp-connected-{name}-{what}");
    let (peer, stranger) = (Post::at(any), Post::at(any));
    let post = Post::at(any).again(Some(peer.local())).expect("it connects");
    report.equal(&label("remote-address"), post.socket.remote_address().map(plain), Ok(peer.local()));
    report.equal(&label("send"), post.send(b"to all known", None), Ok(1));
    report.equal(&label("send-to-it"), post.send(b"by name", Some(peer.local())), Ok(1));
    let elsewhere = post.send(b"elsewhere", Some(stranger.local()));
    report.error(&label("send-elsewhere"), elsewhere, "invalid-argument");
    report.equal(&label("received"), peer.receive(), Ok((b"to all known".to_vec(), post.local())));
    report.equal(&label("received-too"), peer.receive(), Ok((b"by name".to_vec(), post.local())));
    report.equal(&label("stranger-sends"), stranger.send(b"hey", Some(post.local())), Ok(1));
    report.equal(&label("peer-sends"), peer.send(b"you", Some(post.local())), Ok(1));
    report.equal(&label("hears-the-peer"), post.receive(), Ok((b"you".to_vec(), peer.local())));
    report.equal(&label("and-nobody-else"), post.incoming.receive(16).map(|found| found.len()), Ok(0));
}

/// Another call of `stream` changes whom a socket speaks with.
fn reconnected(report: &mut Report, name: &str, any: SocketAddr) {
    let label = |what: &str| format!("udp-reconnected-{name}-{what}");
    let (first, second) = (Post::at(any), Post::at(any));
    let post = Post::at(free(any)).again(Some(first.local())).expect("it connects");
    let address = post.local();
    let post = post.again(Some(second.local())).expect("it connects again");
    report.equal(&label("remote-address"), post.socket.remote_address().map(plain), Ok(second.local()));
    report.equal(&label("send"), post.send(b"second", None), Ok(1));
    report.equal(&label("received"), second.receive(), Ok((b"second".to_vec(), address)));
    let post = post.again(None).expect("it disconnects");
    report.error(&label("no-remote-address"), post.socket.remote_address(), "invalid-state");
    report.error(&label("send-nowhere"), post.send(b"x", None), "invalid-argument");
    report.equal(&label("still-bound"), post.local(), address);
    report.equal(&label("first-sends"), first.send(b"again", Some(address)), Ok(1));
    report.equal(&label("hears-all"), post.receive(), Ok((b"again".to_vec(), first.local())));
}

/// The pollable for receiving is ready while there is something to receive.
fn ready(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(any));
    let readable = to.incoming.subscribe();
    let clock = subscribe_duration(SECOND_NS / 50);
    report.equal(&format!("udp-ready-{name}-nothing"), poll(&[&readable, &clock]), vec![1]);
    report.equal(&format!("udp-ready-{name}-send"), from.send(b"x", Some(to.local())), Ok(1));
    let clock = subscribe_duration(60 * SECOND_NS);
    report.equal(&format!("udp-ready-{name}-something"), poll(&[&readable, &clock]), vec![0]);
    report.equal(&format!("udp-ready-{name}-receive"), to.receive().is_ok(), true);
    report.equal(&format!("udp-ready-{name}-nothing-again"), readable.ready(), false);
}

/// Nobody reads: sending never hangs or fails for long, the first come, and there is room again after reading.
fn full(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(any));
    let failed = (0..5_000_u32).find_map(|number| {
        let mut data = vec![0; 1024];
        data[..4].copy_from_slice(&number.to_le_bytes());
        from.send(&data, Some(to.local())).err()
    });
    report.equal(&format!("full-{name}-sent"), failed, None);
    let mut numbers = Vec::new();
    while let Ok(found) = to.incoming.receive(64)
        && !found.is_empty()
    {
        numbers.extend(found.iter().map(|datagram| {
            u32::from_le_bytes([datagram.data[0], datagram.data[1], datagram.data[2], datagram.data[3]])
        }));
    }
    report.equal(&format!("full-{name}-some-dropped"), !numbers.is_empty() && numbers.len() < 5_000, true);
    let first: Vec<u32> = (0..).take(numbers.len()).collect();
    report.equal(&format!("full-{name}-first-kept"), numbers == first, true);
    report.equal(&format!("full-{name}-then"), from.send(b"after", Some(to.local())), Ok(1));
    report.equal(&format!("full-{name}-then-came"), to.receive().map(|(got, _)| got), Ok(b"after".to_vec()));
}

/// On the wildcard address a socket is reached at loopback.
fn wildcard(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(SocketAddr::new(unspecified(any), 0)));
    let reached = SocketAddr::new(any.ip(), to.local().port());
    report.equal(&format!("udp-wildcard-{name}-send"), from.send(b"x", Some(reached)), Ok(1));
    report.equal(&format!("udp-wildcard-{name}-receive"), to.receive(), Ok((b"x".to_vec(), from.local())));
    report.equal(&format!("udp-wildcard-{name}-answer"), to.send(b"y", Some(from.local())), Ok(1));
    report.equal(&format!("udp-wildcard-{name}-answered"), from.receive(), Ok((b"y".to_vec(), reached)));
}

fn wildcard_takes_every_loopback_address(report: &mut Report) {
    let any = LOOPBACKS[0].1;
    let to = Post::at(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let from = Post::at(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 5).into(), 0));
    let reached = SocketAddr::new(Ipv4Addr::new(127, 1, 2, 3).into(), to.local().port());
    report.equal("udp-wildcard-other-send", from.send(b"x", Some(reached)), Ok(1));
    report.equal("udp-wildcard-other-receive", to.receive(), Ok((b"x".to_vec(), from.local())));
    // At one address only, the same port of another does not hear it.
    let one = Post::at(any);
    let other = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 9).into(), one.local().port());
    report.one_of("udp-one-address-only", from.send(b"x", Some(other)), &["ok", "access-denied", "connection-refused"]);
    report.equal("udp-one-address-only-nothing", one.incoming.receive(16).map(|found| found.len()), Ok(0));
}

/// What was sent to a socket that is gone does not come to the next one there.
fn closed_and_bound_again(report: &mut Report, name: &str, any: SocketAddr) {
    let (from, to) = (Post::at(any), Post::at(any));
    let address = to.local();
    report.equal(&format!("udp-again-{name}-old"), from.send(b"old", Some(address)), Ok(1));
    drop(to);
    let to = Post::at(address);
    report.equal(&format!("udp-again-{name}-nothing"), to.incoming.receive(16).map(|found| found.len()), Ok(0));
    report.equal(&format!("udp-again-{name}-new"), from.send(b"new", Some(address)), Ok(1));
    report.equal(&format!("udp-again-{name}-came"), to.receive().map(|(got, _)| got), Ok(b"new".to_vec()));
}
