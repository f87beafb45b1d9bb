//! What the system says of a failed connection, as a cause.

use super::*;
use crate::testing::{BlackHole, NoDescriptors, alone, listen, saw_nobody};
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream as StdStream};
use std::pin::{Pin, pin};
use std::task::Poll;

fn unreachable(cause: UnreachableCause) -> Refusal {
    Refusal::Unreachable { cause }
}

#[test]
fn each_error_of_the_system_has_its_cause() {
    for (errno, cause) in [
        (Errno::CONNREFUSED, UnreachableCause::ConnectionRefused),
        (Errno::CONNRESET, UnreachableCause::ConnectionReset),
        (Errno::CONNABORTED, UnreachableCause::ConnectionReset),
        (Errno::TIMEDOUT, UnreachableCause::TimedOut),
        (Errno::HOSTUNREACH, UnreachableCause::HostUnreachable),
        (Errno::HOSTDOWN, UnreachableCause::HostUnreachable),
        (Errno::NETUNREACH, UnreachableCause::NetworkUnreachable),
        (Errno::NETDOWN, UnreachableCause::NetworkUnreachable),
        (Errno::NONET, UnreachableCause::NetworkUnreachable),
        (Errno::AFNOSUPPORT, UnreachableCause::NetworkUnreachable),
        (Errno::ADDRNOTAVAIL, UnreachableCause::AddressNotAvailable),
        (Errno::ACCESS, UnreachableCause::Other),
        (Errno::PERM, UnreachableCause::Other),
        (Errno::NOBUFS, UnreachableCause::Other),
        (Errno::INVAL, UnreachableCause::Other),
    ] {
        assert_eq!(refusal_of(&errno.into()), unreachable(cause), "{errno}");
    }
    assert_eq!(refusal_of(&io::Error::other("no number")), unreachable(UnreachableCause::Other));
}

#[test]
fn running_out_of_descriptors_is_a_limit() {
    let limit = Refusal::Limit { limit: LimitKind::Descriptors };
    for errno in [Errno::MFILE, Errno::NFILE] {
        assert_eq!(refusal_of(&errno.into()), limit, "{errno}");
    }
}

#[test]
fn the_attempt_that_got_furthest_speaks_for_all() {
    use UnreachableCause::{ConnectionRefused, HostUnreachable, NetworkUnreachable, Other, TimedOut};
    let limit = Refusal::Limit { limit: LimitKind::Descriptors };
    let check = |causes: &[UnreachableCause], expected: UnreachableCause| {
        let refusals = causes.iter().copied().map(unreachable).collect();
        assert_eq!(most_telling(refusals), unreachable(expected), "{causes:?}");
    };
    check(&[NetworkUnreachable, ConnectionRefused], ConnectionRefused);
    check(&[ConnectionRefused, NetworkUnreachable], ConnectionRefused);
    check(&[HostUnreachable, TimedOut], TimedOut);
    check(&[Other, NetworkUnreachable], NetworkUnreachable);
    check(&[], Other);
    assert_eq!(most_telling(vec![unreachable(ConnectionRefused), limit.clone()]), limit);
}

#[test]
fn an_address_that_stands_for_another_is_not_dialled() {
    alone(async {
        let (_listener, address) = listen("127.0.0.1");
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        for other in [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Ipv6Addr::UNSPECIFIED.into(),
            mapped.into(),
            Ipv4Addr::new(224, 0, 0, 1).into(),
            Ipv4Addr::BROADCAST.into(),
        ] {
            let refused = Err(unreachable(UnreachableCause::AddressNotAvailable));
            let other = SocketAddr::new(other, address.port());
            assert_eq!(connect_ambient(other).await.map(drop), refused, "{other}");
            assert_eq!(connect_datagrams_ambient(other).map(drop), refused, "{other}");
        }
    });
}

#[test]
fn a_dialled_socket_is_connected_and_otherwise_untouched() {
    alone(async {
        for loopback in ["127.0.0.1", "::1"] {
            let (listener, address) = listen(loopback);
            let socket = connect_ambient(address).await.expect("somebody listens");
            let flags = rustix::fs::fcntl_getfl(&socket).expect("it is open");
            assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
            let flags = rustix::io::fcntl_getfd(&socket).expect("it is open");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));

            let stream = StdStream::from(socket);
            assert_eq!(stream.nodelay().ok(), Some(false));
            let (mut peer, _) = listener.accept().expect("it is connected");
            peer.write_all(b"hello").expect("the stream takes bytes");
            stream.set_nonblocking(false).expect("the mode can be set");
            let mut heard = [0; 5];
            (&stream).read_exact(&mut heard).expect("the bytes arrive");
            assert_eq!(&heard, b"hello");
        }
    });
}

#[test]
fn a_socket_for_datagrams_is_connected_and_otherwise_untouched() {
    alone(async {
        for loopback in ["127.0.0.1", "::1"] {
            let there = std::net::UdpSocket::bind((loopback, 0)).expect("loopback has room");
            let address = there.local_addr().expect("it is bound");
            let socket = connect_datagrams_ambient(address).expect("a route leads there");
            let flags = rustix::fs::fcntl_getfl(&socket).expect("it is open");
            assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
            let flags = rustix::io::fcntl_getfd(&socket).expect("it is open");
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));

            let here = std::net::UdpSocket::from(socket);
            assert_eq!(here.peer_addr().ok(), Some(address));
            assert_eq!(here.broadcast().ok(), Some(false));
            let stranger = std::net::UdpSocket::bind((loopback, 0)).expect("loopback has room");
            let own = here.local_addr().expect("it is connected");
            stranger.send_to(b"not for you", own).expect("loopback carries it");
            here.send(b"question").expect("loopback carries it");
            let (length, from) = there.recv_from(&mut [0; 20]).expect("it arrives");
            assert_eq!((length, from), (8, own));
            there.send_to(b"answer", from).expect("loopback carries it");
            here.set_nonblocking(false).expect("the mode can be set");
            let mut heard = [0; 20];
            let length = here.recv(&mut heard).expect("it arrives");
            assert_eq!(&heard[..length], b"answer");
        }
    });
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        drop(listener);
        assert_eq!(connect_ambient(address).await.map(drop), Err(unreachable(UnreachableCause::ConnectionRefused)));
    });
}

/// Dials as far as it gets without an answer, which must not be to the end.
async fn begin(mut dial: Pin<&mut impl Future<Output = Result<OwnedFd, Refusal>>>) {
    let polled = poll_fn(|cx| Poll::Ready(dial.as_mut().poll(cx))).await;
    assert!(polled.is_pending(), "{polled:?}");
}

/// Takes a second, after which the kernel asks again.
#[test]
fn an_answer_that_comes_late_is_waited_for() {
    alone(async {
        let hole = BlackHole::at("127.0.0.1");
        let mut dial = pin!(connect_ambient(hole.address));
        begin(dial.as_mut()).await;
        hole.accept();
        let socket = StdStream::from(dial.await.expect("there is room now"));
        assert_eq!(socket.peer_addr().ok(), Some(hole.address));
        assert_eq!(socket.local_addr().ok(), Some(hole.accept()));
    });
}

/// Takes a second too.
#[test]
fn a_refusal_that_comes_late_is_heard() {
    alone(async {
        let hole = BlackHole::at("127.0.0.1");
        let mut dial = pin!(connect_ambient(hole.address));
        begin(dial.as_mut()).await;
        drop(hole);
        assert_eq!(dial.await.map(drop), Err(unreachable(UnreachableCause::ConnectionRefused)));
    });
}

#[test]
fn a_process_without_descriptors_says_so() {
    alone(async {
        let (listener, address) = listen("127.0.0.1");
        let no_descriptors = NoDescriptors::left();
        let dialled = connect_ambient(address).await.map(drop);
        let datagrams = connect_datagrams_ambient(address).map(drop);
        drop(no_descriptors);
        let limit = LimitKind::Descriptors;
        assert_eq!(dialled, Err(Refusal::Limit { limit }));
        assert_eq!(datagrams, Err(Refusal::Limit { limit }));
        assert!(saw_nobody(&listener));
    });
}
