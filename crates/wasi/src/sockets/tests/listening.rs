//! Binding, listening and accepting: whom the switchboard is asked for what, and how what it delivers reaches the guest.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use capability::{Labels, LimitKind, Refusal, Right};
use channel::{Channel, SendError};
use protocol::message::{Call, Reply};
use wasmtime_wasi_io::streams::InputStream;

use super::{World, any_pair, at, refused, started};
use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::options::KeepAlive;
use crate::sockets::tcp::TcpSocket;

const SERVE: &str = "serve server_port=8080 transport=tcp";

type ServerEnd = Channel<Reply, Call>;

/// A world that lets the guest serve at every port, and the switchboard's end of the first registration.
fn serving_world() -> (World, ServerEnd) {
    let (answer, end) = started();
    let answer = Mutex::new(Some(answer));
    let world = World::new(move |request| match request {
        SERVE => answer.lock().unwrap().take().expect("one registration for a port"),
        _ => any_pair(),
    });
    (world, end)
}

fn deliver(end: &ServerEnd, socket: &impl AsFd, labels: &[(&str, &str)]) -> Result<(), SendError> {
    let labels = Labels::try_from_pairs(labels.iter().copied()).unwrap();
    end.try_send(&Call::Connection { labels, datagrams: Vec::new() }, Some(socket.as_fd()))
}

async fn listening(world: &World, family: Family, local: &str) -> TcpSocket {
    let mut socket = TcpSocket::new(&world.network, family).unwrap();
    socket.bind(at(local)).await.unwrap();
    socket.listen().unwrap();
    socket
}

async fn accept(socket: &TcpSocket) -> TcpSocket {
    poll_fn(|cx| socket.poll_acceptable(cx)).await;
    socket.accept().unwrap()
}

/// A client, and the socket that was accepted from it.
#[expect(clippy::disallowed_methods, reason = "plays the ingress and its client")]
fn outside_connection(address: &str) -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0.into())
}

#[tokio::test]
async fn what_the_switchboard_delivers_is_accepted() {
    let (world, end) = serving_world();
    let socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    assert_eq!(world.asked(), [SERVE]);
    assert_eq!(socket.local_address(), Ok(at("0.0.0.0:8080")));
    assert_eq!(socket.accept().err(), Some(Fault::WouldBlock));

    let (mut client, accepted) = outside_connection("127.0.0.1:0");
    deliver(&end, &accepted, &[]).unwrap();
    drop(accepted);
    let mut guest = accept(&socket).await;
    assert_eq!(guest.local_address(), Ok(client.peer_addr().unwrap()));
    assert_eq!(guest.remote_address(), Ok(client.local_addr().unwrap()));
    client.write_all(b"hello").unwrap();
    assert_eq!(guest.take_reader().unwrap().blocking_read(100).await.unwrap(), "hello");
    drop(guest);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    assert_eq!(socket.accept().err(), Some(Fault::WouldBlock));
}

#[tokio::test]
async fn a_socket_pair_tells_the_addresses_of_its_labels() {
    let (world, end) = serving_world();
    let socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    let (_client, pair) = UnixStream::pair().unwrap();
    let labels = [
        ("client_address", "127.8.8.8"),
        ("client_port", "99"),
        ("server_address", "127.7.7.7"),
        ("server_port", "8080"),
    ];
    deliver(&end, &pair, &labels).unwrap();
    let guest = accept(&socket).await;
    assert_eq!(guest.remote_address(), Ok(at("127.8.8.8:99")));
    assert_eq!(guest.local_address(), Ok(at("127.7.7.7:8080")));
    deliver(&end, &pair, &[]).unwrap();
    let guest = accept(&socket).await;
    assert_eq!(guest.remote_address(), Ok(at("0.0.0.0:0")));
    assert_eq!(guest.local_address(), Ok(at("0.0.0.0:8080")));
}

#[tokio::test]
async fn both_families_of_one_port_are_one_server() {
    let (world, end) = serving_world();
    let v4 = listening(&world, Family::V4, "0.0.0.0:8080").await;
    let v6 = listening(&world, Family::V6, "[::]:8080").await;
    assert_eq!(world.asked(), [SERVE]);
    let (client_v6, accepted_v6) = outside_connection("[::1]:0");
    let (client_v4, accepted_v4) = outside_connection("127.0.0.1:0");
    deliver(&end, &accepted_v6, &[]).unwrap();
    deliver(&end, &accepted_v4, &[]).unwrap();
    assert_eq!(accept(&v6).await.remote_address(), Ok(client_v6.local_addr().unwrap()));
    assert_eq!(accept(&v4).await.remote_address(), Ok(client_v4.local_addr().unwrap()));

    // Whoever is left takes both, and tells IPv4 in the form that IPv6 has for it.
    drop(v4);
    deliver(&end, &accepted_v4, &[]).unwrap();
    let port = client_v4.local_addr().unwrap().port();
    assert_eq!(accept(&v6).await.remote_address(), Ok(at(&format!("[::ffff:127.0.0.1]:{port}"))));
}

#[tokio::test]
async fn a_port_is_registered_for_as_long_as_a_socket_has_it() {
    let (world, end) = serving_world();
    let socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    let mut again = TcpSocket::new(&world.network, Family::V4).unwrap();
    assert_eq!(again.bind(at("0.0.0.0:8080")).await, Err(Fault::AddressInUse));
    drop(socket);
    assert!(matches!(end.receive().await, Ok(None)), "the registration is gone");
    let mut next = TcpSocket::new(&world.network, Family::V6).unwrap();
    next.bind(at("[::1]:0")).await.unwrap();
    assert_eq!(world.asked(), [SERVE], "a port that the guest did not name is nobody else's business");
}

#[tokio::test]
async fn what_nobody_granted_is_denied_and_told_but_on_loopback() {
    for refusal in [Refusal::Grant, Refusal::Right { right: Right::ServerStart }] {
        let told = format!("bind to 0.0.0.0:8080 denied: {refusal}");
        let world = World::new(move |_| refused(refusal.clone()));
        let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
        assert_eq!(socket.bind(at("0.0.0.0:8080")).await, Err(Fault::AccessDenied));
        assert_eq!(world.denials(), [told]);
        assert_eq!(socket.bind(at("127.0.0.1:8080")).await, Ok(()), "a bind that failed can be tried again");
        assert_eq!(world.asked(), [SERVE, SERVE]);
        assert_eq!(world.denials().len(), 1);
    }
    let alone = World::without_network();
    let mut socket = TcpSocket::new(&alone.network, Family::V6).unwrap();
    assert_eq!(socket.bind(at("[::]:8080")).await, Err(Fault::AccessDenied));
    assert_eq!(alone.denials(), ["bind to [::]:8080 denied: it has no access to the network"]);
    assert_eq!(socket.bind(at("[::1]:8080")).await, Ok(()));
}

#[tokio::test]
async fn a_limit_of_the_switchboard_is_a_limit() {
    let world = World::new(|_| refused(Refusal::Limit { limit: LimitKind::Targets }));
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    assert_eq!(socket.bind(at("0.0.0.0:8080")).await, Err(Fault::NewSocketLimit));
    assert_eq!(world.denials(), ["bind to 0.0.0.0:8080 denied: too many targets"]);
}

#[tokio::test]
async fn every_state_admits_what_it_should() {
    let world = World::without_network();
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    assert_eq!(socket.listen(), Err(Fault::InvalidState));
    assert_eq!(socket.local_address(), Err(Fault::InvalidState));
    assert_eq!(socket.set_backlog(0), Err(Fault::InvalidArgument));
    assert_eq!(socket.set_backlog(1), Ok(()));
    for (local, fault) in [
        ("[::]:0", Fault::InvalidArgument),
        ("224.0.0.1:0", Fault::InvalidArgument),
        ("255.255.255.255:0", Fault::InvalidArgument),
        ("10.0.0.1:0", Fault::AddressNotBindable),
    ] {
        assert_eq!(socket.bind(at(local)).await, Err(fault), "{local}");
    }
    socket.bind(at("127.0.0.1:0")).await.unwrap();
    let local = socket.local_address().unwrap();
    assert_ne!(local.port(), 0);
    assert_eq!(socket.bind(local).await, Err(Fault::InvalidState));
    assert_eq!(socket.accept().err(), Some(Fault::InvalidState));
    assert!(!socket.is_listening());
    socket.listen().unwrap();
    assert!(socket.is_listening());
    assert_eq!(socket.local_address(), Ok(local));
    assert_eq!(socket.remote_address(), Err(Fault::InvalidState));
    assert_eq!(socket.listen(), Err(Fault::InvalidState));
    assert_eq!(socket.bind(local).await, Err(Fault::InvalidState));
    assert_eq!(socket.start_connect(local), Err(Fault::InvalidState));
    assert_eq!(socket.finish_connect(), Err(Fault::NotInProgress));
    assert_eq!(socket.take_reader().err(), Some(Fault::InvalidState));
    assert_eq!(socket.set_backlog(5), Ok(()));
}

#[tokio::test]
async fn a_listener_hands_its_options_on() {
    let (world, end) = serving_world();
    let mut socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    socket.set_option::<KeepAlive>(true).unwrap();
    let (_client, accepted) = outside_connection("127.0.0.1:0");
    deliver(&end, &accepted, &[]).unwrap();
    assert_eq!(accept(&socket).await.option::<KeepAlive>(), Ok(true));
}

#[tokio::test]
async fn a_guest_that_does_not_accept_holds_up_the_switchboard_and_loses_nothing() {
    let (world, end) = serving_world();
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    socket.bind(at("0.0.0.0:8080")).await.unwrap();
    socket.set_backlog(4).unwrap();
    socket.listen().unwrap();
    let mut clients = Vec::new();
    while clients.len() < 100_000 {
        let (client, accepted) = UnixStream::pair().unwrap();
        match deliver(&end, &accepted, &[]) {
            Ok(()) => clients.push(client),
            Err(SendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    assert!((5..10_000).contains(&clients.len()), "{}", clients.len());
    for (number, mut client) in clients.into_iter().enumerate() {
        client.write_all(&number.to_le_bytes()).unwrap();
        let mut reader = accept(&socket).await.take_reader().unwrap();
        assert_eq!(*reader.blocking_read(100).await.unwrap(), number.to_le_bytes());
    }
    assert_eq!(socket.accept().err(), Some(Fault::WouldBlock));
}

#[tokio::test]
async fn a_guest_without_room_for_a_socket_accepts_when_it_has() {
    let (world, end) = serving_world();
    let socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    let mut others: Vec<TcpSocket> =
        std::iter::from_fn(|| TcpSocket::new(&world.network, Family::V4).ok()).take(1000).collect();
    let (_client, accepted) = UnixStream::pair().unwrap();
    deliver(&end, &accepted, &[]).unwrap();
    poll_fn(|cx| socket.poll_acceptable(cx)).await;
    assert_eq!(socket.accept().err(), Some(Fault::NewSocketLimit));
    others.pop();
    assert!(socket.accept().is_ok());
}

#[tokio::test]
async fn what_waits_at_a_listener_that_closes_is_reset() {
    let (world, end) = serving_world();
    let socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    let (mut client, accepted) = outside_connection("127.0.0.1:0");
    deliver(&end, &accepted, &[]).unwrap();
    drop(accepted);
    poll_fn(|cx| socket.poll_acceptable(cx)).await;
    drop(socket);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_switchboard_that_is_gone_is_told() {
    let (world, end) = serving_world();
    let _socket = listening(&world, Family::V4, "0.0.0.0:8080").await;
    drop(end);
    while world.denials().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = "bind to 0.0.0.0:8080 denied: the switchboard is gone; nothing arrives here any more";
    assert_eq!(world.denials(), [told]);
}
