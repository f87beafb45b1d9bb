//! Each peer gets a socket of its own, with what it said before, and nobody else's words.

use super::*;
use crate::testing::{NoDescriptors, alone, alone_on_paused_clock, ip};
use capability::{LimitKind, Refusal};
use channel::Channel;
use protocol::message::{Failure, Request, RequestBody, RequestId, Response, ResponseBody};
use std::net::UdpSocket as StdSocket;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::time::timeout;

type FarEnd = Channel<Request, Response>;

const LIMITS: IngressLimits =
    IngressLimits { pushes: 2, push_time: Duration::from_secs(8), start_time: Duration::from_secs(3) };

struct Push {
    id: RequestId,
    labels: Labels,
    socket: StdSocket,
    datagrams: Vec<Vec<u8>>,
}

fn handle() -> (Handle, FarEnd) {
    let (near, far) = fdpass::pair().expect("a pair of sockets can be made");
    (Handle::new(near).expect("a seqpacket socket"), Channel::new(far).expect("a seqpacket socket"))
}

fn hear(address: &str) -> (StdSocket, SocketAddr) {
    let socket = bind_udp(SocketAddr::new(ip(address), 0)).expect("loopback can be listened on");
    let address = socket.local_addr().expect("it has an address");
    (socket, address)
}

async fn during(socket: StdSocket, own: &[(&str, &str)], test: impl AsyncFnOnce(&FarEnd)) {
    let (handle, far) = handle();
    let labels = Labels::try_from_pairs(own.iter().copied()).expect("they are labels");
    tokio::select! {
        ended = run_udp(socket, handle, labels, LIMITS, watch::channel(false).1) => panic!("the ingress ended: {ended:?}"),
        () = test(&far) => {}
    }
}

async fn next_push(far: &FarEnd) -> Push {
    match far.receive().await.expect("it is a request").expect("the ingress is there") {
        (Request { id, body: RequestBody::IngressConnect { labels, datagrams } }, Some(socket)) => {
            let socket = StdSocket::from(socket);
            socket.set_read_timeout(Some(Duration::from_secs(20))).expect("an option of every socket");
            socket.set_nonblocking(false).expect("the mode can be set");
            Push { id, labels, socket, datagrams }
        }
        other => panic!("no push: {other:?}"),
    }
}

/// On a paused clock: none comes, however long one waits short of a push's time limit.
async fn no_push(far: &FarEnd) -> bool {
    timeout(LIMITS.push_time / 4, far.receive()).await.is_err()
}

async fn respond(far: &FarEnd, id: RequestId, body: ResponseBody) {
    far.send(&Response { id, body }, None).await.expect("the ingress reads");
}

async fn deliver(far: &FarEnd, id: RequestId) {
    respond(far, id, ResponseBody::Delivered(Labels::new())).await;
}

/// Somebody at `address` who writes to `server` and hears nobody else.
fn peer(address: &str, server: SocketAddr) -> StdSocket {
    let socket = StdSocket::bind(SocketAddr::new(ip(address), 0)).expect("loopback has room");
    socket.connect(server).expect("an address of this machine");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("an option of every socket");
    socket
}

fn hears(socket: &StdSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).expect("somebody writes");
    buffer.truncate(length);
    buffer
}

fn says_nothing(socket: &StdSocket) -> bool {
    socket.set_nonblocking(true).expect("the mode can be set");
    let heard = socket.recv(&mut [0; 9]);
    socket.set_nonblocking(false).expect("the mode can be set");
    heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The labels that the socket of this peer must have.
fn expected(peer: &StdSocket, own: &[(&str, &str)]) -> Labels {
    let (here, there) = (peer.local_addr().expect("bound"), peer.peer_addr().expect("connected"));
    let (client_port, server_port) = (here.port().to_string(), there.port().to_string());
    let (client, server) = (here.ip().to_string(), there.ip().to_string());
    let ends = [
        ("transport", "udp"),
        ("client_address", client.as_str()),
        ("client_port", client_port.as_str()),
        ("server_address", server.as_str()),
    ];
    let port = [("server_port", server_port.as_str())];
    let port = port.into_iter().filter(|(key, _)| own.iter().all(|(other, _)| other != key));
    Labels::try_from_pairs(ends.into_iter().chain(port).chain(own.iter().copied())).expect("they are labels")
}

/// The socket of a push is joined to this peer, both ways, and to nobody else.
fn assert_joined(pushed: &StdSocket, peer: &StdSocket) {
    assert_eq!(pushed.peer_addr().ok(), peer.local_addr().ok());
    assert_eq!(pushed.local_addr().ok(), peer.peer_addr().ok());
    pushed.send(b"answer").expect("the peer is there");
    assert_eq!(hears(peer), b"answer");
    peer.send(b"more").expect("the server is there");
    assert_eq!(hears(pushed), b"more");
}

#[test]
fn a_peer_gets_a_socket_with_what_it_said() {
    alone(async {
        for address in ["127.0.0.1", "::1"] {
            let (socket, server) = hear(address);
            let own = [("network", "dns"), ("server_port", "53")];
            let peer = peer(address, server);
            for text in ["first", "", "third"] {
                peer.send(text.as_bytes()).expect("the server is there");
            }
            during(socket, &own, async |far| {
                let push = next_push(far).await;
                assert_eq!(push.labels, expected(&peer, &own));
                assert_eq!(push.datagrams, [b"first".as_slice(), b"", b"third"]);
                // Before and after the push is answered for.
                assert_joined(&push.socket, &peer);
                deliver(far, push.id).await;
                assert_joined(&push.socket, &peer);
                assert!(says_nothing(&push.socket) && says_nothing(&peer));
            })
            .await;
        }
    });
}

#[test]
fn whoever_writes_to_one_of_many_addresses_is_answered_from_there() {
    alone(async {
        for (all, own) in [("0.0.0.0", "127.0.0.2"), ("::", "127.0.0.3"), ("::", "::1")] {
            let (socket, server) = hear(all);
            let peer = peer(own, SocketAddr::new(ip(own), server.port()));
            during(socket, &[], async |far| {
                peer.send(b"question").expect("the server is there");
                let push = next_push(far).await;
                assert_eq!(push.labels, expected(&peer, &[]));
                assert_joined(&push.socket, &peer);
                deliver(far, push.id).await;
            })
            .await;
        }
    });
}

#[test]
fn peers_are_kept_apart() {
    alone(async {
        let (socket, server) = hear("127.0.0.1");
        during(socket, &[], async |far| {
            let (one, other) = (peer("127.0.0.1", server), peer("127.0.0.1", server));
            for (from, text) in [(&one, "one 1"), (&other, "other 1"), (&one, "one 2"), (&other, "other 2")] {
                from.send(text.as_bytes()).expect("the server is there");
            }
            let (ones, others) = (next_push(far).await, next_push(far).await);
            assert_eq!(ones.datagrams, [b"one 1", b"one 2"]);
            assert_eq!(others.datagrams, [b"other 1", b"other 2"]);
            assert_joined(&ones.socket, &one);
            assert_joined(&others.socket, &other);
            deliver(far, ones.id).await;
            deliver(far, others.id).await;
            assert!(says_nothing(&one) && says_nothing(&other));
        })
        .await;
    });
}

#[test]
fn the_largest_datagram_arrives() {
    alone(async {
        for (address, length) in [("127.0.0.1", 65_507), ("::1", 65_527)] {
            let (socket, server) = hear(address);
            during(socket, &[], async |far| {
                let peer = peer(address, server);
                let largest: Vec<u8> = (0..=255).cycle().take(length).collect();
                peer.send(&largest).expect("loopback carries it");
                let push = next_push(far).await;
                assert!(push.datagrams == [largest]);
                deliver(far, push.id).await;
            })
            .await;
        }
    });
}

#[test]
fn a_peer_whose_socket_was_closed_gets_another() {
    alone_on_paused_clock(async {
        let (socket, server) = hear("127.0.0.1");
        during(socket, &[], async |far| {
            let peer = peer("127.0.0.1", server);
            for text in ["once", "again"] {
                peer.send(text.as_bytes()).expect("the server is there");
                let push = next_push(far).await;
                assert_eq!(push.datagrams, [text.as_bytes()]);
                deliver(far, push.id).await;
                assert_joined(&push.socket, &peer);
                drop(push);
                // The ingress lets go of it as well.
                assert!(no_push(far).await);
            }
        })
        .await;
    });
}

#[test]
fn what_is_refused_is_lost_and_the_next_is_taken() {
    alone_on_paused_clock(async {
        let (socket, server) = hear("127.0.0.1");
        during(socket, &[], async |far| {
            let peer = peer("127.0.0.1", server);
            let full = Refusal::Limit { limit: LimitKind::Backlog };
            for refusal in [full, Refusal::NotFound, Refusal::Grant] {
                peer.send(b"lost").expect("the server is there");
                let Push { id, socket, .. } = next_push(far).await;
                drop(socket);
                respond(far, id, ResponseBody::Failed(Failure::Refused(refusal))).await;
                assert!(no_push(far).await);
            }
            peer.send(b"found").expect("the server is there");
            let push = next_push(far).await;
            assert_eq!(push.datagrams, [b"found"]);
            assert_joined(&push.socket, &peer);
            deliver(far, push.id).await;
        })
        .await;
    });
}

#[test]
fn no_more_peers_than_the_limit_are_on_their_way() {
    alone_on_paused_clock(async {
        let (socket, server) = hear("127.0.0.1");
        during(socket, &[], async |far| {
            let peers: Vec<StdSocket> = (0..5).map(|_| peer("127.0.0.1", server)).collect();
            for peer in &peers {
                peer.send(b"hello").expect("the server is there");
            }
            let under_way = [next_push(far).await, next_push(far).await];
            assert!(no_push(far).await);
            for push in under_way {
                deliver(far, push.id).await;
            }
            assert!(no_push(far).await, "the others were lost");
            peers[4].send(b"again").expect("the server is there");
            let push = next_push(far).await;
            assert_eq!(push.datagrams, [b"again"]);
            deliver(far, push.id).await;
        })
        .await;
    });
}

#[test]
fn an_ingress_without_descriptors_loses_datagrams_and_goes_on() {
    alone_on_paused_clock(async {
        let (socket, server) = hear("127.0.0.1");
        let peer = peer("127.0.0.1", server);
        during(socket, &[], async |far| {
            let no_descriptors = NoDescriptors::left();
            peer.send(b"lost").expect("the server is there");
            assert!(no_push(far).await);
            drop(no_descriptors);
            peer.send(b"found").expect("the server is there");
            let push = next_push(far).await;
            assert_eq!(push.datagrams, [b"found"]);
            deliver(far, push.id).await;
        })
        .await;
    });
}

#[test]
fn an_ingress_ends_when_its_switchboard_is_gone() {
    alone(async {
        let (socket, server) = hear("127.0.0.1");
        let (handle, far) = handle();
        drop(far);
        peer("127.0.0.1", server).send(b"hello").expect("the socket is there");
        let ended = run_udp(socket, handle, Labels::new(), LIMITS, watch::channel(false).1).await;
        assert!(matches!(ended, Err(IngressError::Switchboard(_))), "{ended:?}");
    });
}

#[test]
fn an_address_is_heard_by_one() {
    alone(async {
        let (_one, taken) = hear("127.0.0.1");
        let again = bind_udp(taken).map(drop);
        assert_eq!(again.map_err(|error| error.kind()), Err(io::ErrorKind::AddrInUse));
        let wildcard = bind_udp(SocketAddr::new(ip("0.0.0.0"), taken.port())).map(drop);
        assert_eq!(wildcard.map_err(|error| error.kind()), Err(io::ErrorKind::AddrInUse));
    });
}

#[test]
fn what_a_new_socket_holds_of_others_is_not_the_peers() {
    alone(async {
        let (handle, _far) = handle();
        let mut ingress = Ingress::new(hear("127.0.0.1").0, handle, Labels::new(), LIMITS).expect("a socket");
        // As between bind and connect: the socket is there, and hears everybody.
        let (socket, local) = hear("127.0.0.1");
        socket.set_nonblocking(true).expect("the mode can be set");
        let (one, stranger) = (peer("127.0.0.1", local), peer("127.0.0.1", local));
        for (from, text) in [(&stranger, "mine"), (&one, "first"), (&stranger, "too"), (&one, "second")] {
            from.send(text.as_bytes()).expect("the server is there");
        }
        socket.connect(one.local_addr().expect("bound")).expect("an address of this machine");
        let ends_of = |peer: &StdSocket| Ends { peer: peer.local_addr().expect("bound"), local };
        let held = ingress.drain(OwnedFd::from(socket), ends_of(&one)).expect("it can be read");
        assert_eq!(held, [b"first".as_slice(), b"second"]);
        let ends = ends_of(&stranger);
        let strangers = [b"mine".as_slice(), b"too"].map(|text| Datagram { ends, bytes: text.to_vec() });
        assert_eq!(ingress.inbox, strangers);
    });
}

#[test]
fn nobody_makes_the_ingress_talk_to_itself() {
    alone(async {
        let (handle, _far) = handle();
        let (socket, local) = hear("127.0.0.1");
        let mut ingress = Ingress::new(socket, handle, Labels::new(), LIMITS).expect("a socket");
        assert!(ingress.parcel(Ends { peer: local, local }, b"echo".to_vec()).is_err());
        // A port that nobody can have has no label.
        let nobody = SocketAddr::new(ip("127.0.0.1"), 0);
        assert!(ingress.parcel(Ends { peer: nobody, local }, b"echo".to_vec()).is_err());
    });
}

#[test]
fn an_ingress_stops_when_it_is_told_to() {
    alone(async {
        let (socket, server) = hear("127.0.0.1");
        let (handle, far) = handle();
        let stop = watch::Sender::new(false);
        let running = run_udp(socket, handle, Labels::new(), LIMITS, stop.subscribe());
        let (ended, ()) = tokio::join!(running, async {
            peer("127.0.0.1", server).send(b"hello").expect("somebody hears");
            let push = next_push(&far).await;
            stop.send_replace(true);
            deliver(&far, push.id).await;
        });
        ended.expect("it was told to stop");
    });
}
