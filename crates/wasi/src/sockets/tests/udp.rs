//! UDP: whom the switchboard is asked for, what reaches whom, and what each state admits.

use std::net::{SocketAddr, UdpSocket as KernelSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use capability::{Labels, Refusal};
use protocol::message::Call;

use super::{World, addresses, at, connected, refused, started};
use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::options::HopLimit;
use crate::sockets::udp::UdpSocket;

const SERVE: &str = "serve server_port=5353 transport=udp";

fn new(world: &World, family: Family) -> UdpSocket {
    UdpSocket::new(&world.network, family).unwrap()
}

async fn bound(world: &World, local: &str) -> UdpSocket {
    let mut socket = new(world, Family::of(at(local).ip()));
    socket.bind(at(local)).await.unwrap();
    socket
}

/// A peer outside, and a socket connected to it, as an egress or an ingress makes it.
fn outside() -> (KernelSocket, KernelSocket) {
    let (peer, near) = (KernelSocket::bind("127.0.0.1:0").unwrap(), KernelSocket::bind("127.0.0.1:0").unwrap());
    near.connect(peer.local_addr().unwrap()).unwrap();
    (peer, near)
}

/// A world in which every request for a peer leads to one real socket, whatever address was asked for.
fn dialling_world() -> (World, KernelSocket) {
    let (peer, _) = outside();
    let address = peer.local_addr().unwrap();
    let world = World::new(move |request| {
        assert!(request.starts_with("connect network=outside"), "{request}");
        let near = KernelSocket::bind("127.0.0.1:0").unwrap();
        near.connect(address).unwrap();
        connected(near, &[])
    });
    (world, peer)
}

fn heard(peer: &KernelSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 100];
    let (count, from) = peer.recv_from(&mut buffer).unwrap();
    (String::from_utf8_lossy(&buffer[..count]).into_owned(), from)
}

#[tokio::test]
async fn a_datagram_leaves_when_the_switchboard_gave_a_socket_and_answers_come_back() {
    let (world, peer) = dialling_world();
    let socket = bound(&world, "0.0.0.0:0").await;
    let io = socket.datagrams();
    let to = at("192.0.2.9:53");
    assert_eq!(io.try_send(b"early", Some(to)), Err(Fault::WouldBlock));
    io.sendable().await;
    assert_eq!(io.try_send(b"one", Some(to)), Ok(()));
    io.send(b"two", Some(to)).await.unwrap();
    let (text, from) = heard(&peer);
    assert_eq!((text.as_str(), heard(&peer).0.as_str()), ("one", "two"));
    peer.send_to(b"answer", from).unwrap();
    assert_eq!(io.receive().await, Ok((b"answer".to_vec(), to)), "told with the address that the guest knows");
    let asked = "connect network=outside server_address=192.0.2.9 server_port=53 transport=udp";
    assert_eq!(world.asked(), [asked], "one question for a peer");
    assert_eq!(socket.remote_address(), Err(Fault::InvalidState));
}

#[tokio::test]
async fn a_name_that_was_looked_up_is_asked_for() {
    let (peer, near) = outside();
    let near = Mutex::new(Some(near));
    let world = World::new(move |request| match request {
        "resolve network=outside server_hostname=ns.example.com" => addresses(&["192.0.2.9"]),
        "connect network=outside server_hostname=ns.example.com server_port=53 transport=udp" => {
            connected(near.lock().unwrap().take().unwrap(), &[])
        }
        other => panic!("{other}"),
    });
    let crate::sockets::network::Lookup::Asked(mut lookup) = world.network.lookup("ns.example.com").unwrap() else {
        panic!("known")
    };
    std::future::poll_fn(|cx| lookup.poll_ready(cx)).await;
    let socket = new(&world, Family::V4);
    socket.datagrams().send(b"query", Some(at("192.0.2.9:53"))).await.unwrap();
    assert_eq!(heard(&peer).0, "query");
}

#[tokio::test]
async fn a_refused_peer_costs_its_own_datagram_alone() {
    let (peer, _) = outside();
    let address = peer.local_addr().unwrap();
    let world = World::new(move |request| {
        if request.contains("server_port=1 ") {
            return refused(Refusal::Grant);
        }
        let near = KernelSocket::bind("127.0.0.1:0").unwrap();
        near.connect(address).unwrap();
        connected(near, &[])
    });
    let socket = bound(&world, "0.0.0.0:0").await;
    let io = socket.datagrams();
    assert_eq!(io.send(b"no", Some(at("192.0.2.9:1"))).await, Err(Fault::AccessDenied));
    assert_eq!(io.send(b"yes", Some(at("192.0.2.9:2"))).await, Ok(()));
    assert_eq!(heard(&peer).0, "yes");
    assert_eq!(world.denials(), ["connect to udp://192.0.2.9:1 denied: no grant covers it"]);
}

#[tokio::test]
async fn a_connected_socket_has_one_peer() {
    let (world, peer) = dialling_world();
    let mut socket = new(&world, Family::V4);
    let to = at("192.0.2.9:53");
    socket.connect(to).await.unwrap();
    assert_eq!(socket.remote_address(), Ok(to));
    let io = socket.datagrams();
    assert_eq!(io.try_send(b"a", None), Ok(()));
    assert_eq!(io.try_send(b"b", Some(to)), Ok(()));
    assert_eq!(io.try_send(b"c", Some(at("192.0.2.8:53"))), Err(Fault::InvalidArgument));
    let (_, from) = heard(&peer);
    assert_eq!(socket.local_address(), Ok(from), "the socket's own address is the real one");
    socket.disconnect().unwrap();
    assert_eq!(socket.disconnect(), Err(Fault::InvalidState));
    assert_eq!(io.try_send(b"d", None), Err(Fault::InvalidArgument));
    assert_ne!(socket.local_address().unwrap().port(), 0);
}

#[tokio::test]
async fn a_peer_that_does_not_listen_refuses_a_connected_socket() {
    let (world, peer) = dialling_world();
    let mut socket = new(&world, Family::V4);
    socket.connect(at("192.0.2.9:53")).await.unwrap();
    drop(peer);
    let io = socket.datagrams();
    io.send(b"x", None).await.unwrap();
    assert_eq!(io.receive().await, Err(Fault::ConnectionRefused));
}

#[tokio::test]
async fn connecting_to_what_nobody_granted_is_denied() {
    let world = World::new(|_| refused(Refusal::Grant));
    let mut socket = new(&world, Family::V4);
    assert_eq!(socket.connect(at("192.0.2.9:53")).await, Err(Fault::AccessDenied));
    assert_eq!(socket.remote_address(), Err(Fault::InvalidState));
    let alone = World::without_network();
    let mut socket = new(&alone, Family::V6);
    assert_eq!(socket.connect(at("[2001:db8::1]:53")).await, Err(Fault::AccessDenied));
    assert_eq!(alone.denials(), ["connect to udp://[2001:db8::1]:53 denied: it has no access to the network"]);
}

#[tokio::test]
async fn peers_that_write_first_arrive_with_what_they_wrote_and_are_answered() {
    let (answer, end) = started();
    let answer = Mutex::new(Some(answer));
    let world = World::new(move |request| {
        assert_eq!(request, SERVE);
        answer.lock().unwrap().take().unwrap()
    });
    let socket = bound(&world, "0.0.0.0:5353").await;
    let io = socket.datagrams();
    let mut peers = Vec::new();
    for number in 0..3 {
        let (peer, near) = outside();
        let datagrams = vec![format!("first of {number}").into_bytes(), Vec::new()];
        end.try_send(&Call::Connection { labels: Labels::new(), datagrams }, Some(near.as_fd())).unwrap();
        let from = peer.local_addr().unwrap();
        assert_eq!(io.receive().await, Ok((format!("first of {number}").into_bytes(), from)));
        assert_eq!(io.receive().await, Ok((Vec::new(), from)));
        peers.push((peer, near.local_addr().unwrap()));
    }
    for (number, (peer, port)) in peers.iter().enumerate() {
        peer.send_to(format!("later of {number}").as_bytes(), port).unwrap();
        let (data, from) = io.receive().await.unwrap();
        assert_eq!(data, format!("later of {number}").as_bytes());
        assert_eq!(io.try_send(b"answer", Some(from)), Ok(()));
        assert_eq!(heard(peer), ("answer".to_owned(), *port));
    }
    assert_eq!(world.asked(), [SERVE], "nobody is asked for a peer that wrote first");
}

#[tokio::test]
async fn sockets_of_one_guest_reach_each_other() {
    let world = World::without_network();
    for (one, other, to) in [
        ("127.0.0.1:0", "0.0.0.0:0", "127.0.0.1"),
        ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
        ("[::1]:0", "[::]:0", "::1"),
    ] {
        let (one, other) = (bound(&world, one).await, bound(&world, other).await);
        let to = SocketAddr::new(to.parse().unwrap(), other.local_address().unwrap().port());
        one.datagrams().try_send(b"hello", Some(to)).unwrap();
        let (data, from) = other.datagrams().receive().await.unwrap();
        assert_eq!((data.as_slice(), Ok(from)), (&b"hello"[..], one.local_address()));
        other.datagrams().try_send(b"back", Some(from)).unwrap();
        assert_eq!(one.datagrams().receive().await, Ok((b"back".to_vec(), to)));
    }
    assert_eq!(world.denials(), [""; 0]);
}

#[tokio::test]
async fn a_connected_socket_on_loopback_hears_one_peer() {
    let world = World::without_network();
    let (mut one, other, third) =
        (bound(&world, "127.0.0.1:0").await, bound(&world, "127.0.0.1:0").await, bound(&world, "127.0.0.1:0").await);
    let (at_one, at_other) = (one.local_address().unwrap(), other.local_address().unwrap());
    third.datagrams().try_send(b"before", Some(at_one)).unwrap();
    one.connect(at_other).await.unwrap();
    third.datagrams().try_send(b"after", Some(at_one)).unwrap();
    other.datagrams().try_send(b"mine", Some(at_one)).unwrap();
    assert_eq!(one.datagrams().receive().await, Ok((b"mine".to_vec(), at_other)));
    assert_eq!(one.datagrams().try_receive(), Err(Fault::WouldBlock));
}

#[tokio::test]
async fn every_state_admits_what_it_should() {
    let world = World::without_network();
    let mut socket = new(&world, Family::V4);
    assert_eq!(socket.local_address(), Err(Fault::InvalidState));
    assert_eq!(socket.remote_address(), Err(Fault::InvalidState));
    assert_eq!(socket.disconnect(), Err(Fault::InvalidState));
    assert_eq!(socket.datagrams().try_receive(), Err(Fault::InvalidState));
    for local in ["[::1]:0", "224.0.0.1:0"] {
        assert_eq!(socket.bind(at(local)).await, Err(Fault::InvalidArgument), "{local}");
    }
    assert_eq!(socket.bind(at("10.0.0.1:0")).await, Err(Fault::AddressNotBindable));
    assert_eq!(socket.bind(at("0.0.0.0:5353")).await, Err(Fault::AccessDenied));
    assert_eq!(world.denials(), ["bind to udp://0.0.0.0:5353 denied: it has no access to the network"]);
    socket.bind(at("127.0.0.1:5353")).await.unwrap();
    assert_eq!(socket.bind(at("127.0.0.1:5354")).await, Err(Fault::InvalidState));
    let io = socket.datagrams();
    for to in ["0.0.0.0:53", "127.0.0.1:0", "[::1]:53"] {
        assert_eq!(io.try_send(b"", Some(at(to))), Err(Fault::InvalidArgument), "{to}");
        assert_eq!(socket.connect(at(to)).await, Err(Fault::InvalidArgument), "{to}");
    }
    assert_eq!(io.try_send(b"", None), Err(Fault::InvalidArgument));
    assert_eq!(io.try_send(&vec![0; 65_507], Some(at("127.0.0.1:5353"))), Ok(()), "to itself");
    assert_eq!(io.receive().await.map(|(data, _)| data.len()), Ok(65_507));
    assert_eq!(io.try_send(&vec![0; 65_508], Some(at("127.0.0.1:5353"))), Err(Fault::DatagramTooLarge));
}

#[tokio::test]
async fn the_port_is_held_until_the_last_stream_is_gone() {
    let world = World::without_network();
    let socket = bound(&world, "127.0.0.1:5353").await;
    let io = socket.datagrams();
    drop(socket);
    let mut other = new(&world, Family::V4);
    assert_eq!(other.bind(at("127.0.0.1:5353")).await, Err(Fault::AddressInUse));
    drop(io);
    assert_eq!(other.bind(at("127.0.0.1:5353")).await, Ok(()));
}

#[tokio::test]
async fn options_are_given_to_every_peer() {
    let sockets = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&sockets);
    let world = World::new(move |_| {
        let (_peer, near) = outside();
        kept.lock().unwrap().push(near.try_clone().unwrap());
        connected(near, &[])
    });
    let mut socket = bound(&world, "0.0.0.0:0").await;
    socket.set_option::<HopLimit>(42).unwrap();
    assert_eq!(socket.option::<HopLimit>(), Ok(42));
    assert_eq!(socket.set_option::<HopLimit>(0), Err(Fault::InvalidArgument));
    socket.datagrams().send(b"x", Some(at("192.0.2.1:1"))).await.unwrap();
    assert_eq!(sockets.lock().unwrap()[0].ttl().unwrap(), 42);
    socket.set_option::<HopLimit>(43).unwrap();
    assert_eq!(sockets.lock().unwrap()[0].ttl().unwrap(), 43);
}

#[tokio::test]
async fn there_are_only_so_many_peers() {
    let (world, _peer) = dialling_world();
    let socket = bound(&world, "0.0.0.0:0").await;
    for port in 1..=2 * super::MAX_SOCKETS as u16 {
        socket.datagrams().send(b"x", Some(SocketAddr::from(([192, 0, 2, 1], port)))).await.unwrap();
    }
    assert_eq!(world.network.slot().err(), Some(Fault::NewSocketLimit));
    drop(socket);
    assert!(world.network.slot().is_ok());
}
