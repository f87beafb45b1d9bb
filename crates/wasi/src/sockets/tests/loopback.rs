//! A guest talks to itself: no switchboard is there to be asked.

use std::future::poll_fn;
use std::net::SocketAddr;

use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError};

use super::{World, at};
use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::tcp::TcpSocket;

fn new(world: &World, family: Family) -> TcpSocket {
    TcpSocket::new(&world.network, family).unwrap()
}

async fn listening(world: &World, family: Family, local: &str) -> TcpSocket {
    let mut socket = new(world, family);
    socket.bind(at(local)).await.unwrap();
    socket.listen().unwrap();
    socket
}

async fn connect(mut socket: TcpSocket, to: SocketAddr) -> Result<TcpSocket, Fault> {
    socket.start_connect(to)?;
    poll_fn(|cx| socket.poll_connected(cx)).await;
    socket.finish_connect().map(|()| socket)
}

#[tokio::test]
async fn a_guest_reaches_its_own_listener() {
    let world = World::without_network();
    for (family, local, to) in [
        (Family::V4, "127.0.0.1:0", "127.0.0.1"),
        (Family::V4, "0.0.0.0:0", "127.9.9.9"),
        (Family::V4, "127.0.0.2:0", "127.0.0.2"),
        (Family::V6, "[::1]:0", "::1"),
        (Family::V6, "[::]:0", "::1"),
    ] {
        let listener = listening(&world, family, local).await;
        let to = SocketAddr::new(to.parse().unwrap(), listener.local_address().unwrap().port());
        let mut client = connect(new(&world, family), to).await.unwrap();
        let mut server = listener.accept().unwrap();
        assert_eq!(client.remote_address(), Ok(to));
        assert_eq!(server.local_address(), Ok(to));
        assert_eq!(server.remote_address(), client.local_address());
        assert_eq!(client.local_address().unwrap().ip(), family.loopback());
        client.take_writer().unwrap().write("ping".into()).unwrap();
        assert_eq!(server.take_reader().unwrap().blocking_read(9).await.unwrap(), "ping");
    }
    assert_eq!(world.denials(), [""; 0]);
}

#[tokio::test]
async fn a_client_may_choose_its_port() {
    let world = World::without_network();
    let listener = listening(&world, Family::V4, "127.0.0.1:7000").await;
    let mut client = new(&world, Family::V4);
    client.bind(at("127.0.0.3:6000")).await.unwrap();
    let client = connect(client, at("127.0.0.1:7000")).await.unwrap();
    assert_eq!(client.local_address(), Ok(at("127.0.0.3:6000")));
    assert_eq!(listener.accept().unwrap().remote_address(), Ok(at("127.0.0.3:6000")));
    let mut other = new(&world, Family::V4);
    assert_eq!(other.bind(at("127.0.0.3:6000")).await, Err(Fault::AddressInUse), "as long as the connection lives");
    drop(client);
    assert_eq!(other.bind(at("127.0.0.3:6000")).await, Ok(()));
}

#[tokio::test]
async fn a_port_that_is_only_held_refuses() {
    let world = World::without_network();
    let mut held = new(&world, Family::V4);
    held.bind(at("127.0.0.1:7000")).await.unwrap();
    assert_eq!(connect(new(&world, Family::V4), at("127.0.0.1:7000")).await.err(), Some(Fault::ConnectionRefused));
    assert_eq!(world.denials(), [""; 0]);
    drop(held);
    // Now it is the host's, which nobody granted.
    assert_eq!(connect(new(&world, Family::V4), at("127.0.0.1:7000")).await.err(), Some(Fault::AccessDenied));
    assert_eq!(world.denials(), ["connect to 127.0.0.1:7000 denied: it has no access to the network"]);
}

#[tokio::test]
async fn a_listener_can_close_and_listen_again() {
    let world = World::without_network();
    for _ in 0..3 {
        let listener = listening(&world, Family::V4, "127.0.0.1:7000").await;
        let mut waiting = connect(new(&world, Family::V4), at("127.0.0.1:7000")).await.unwrap();
        drop(listener);
        // What was not accepted is reset.
        let error = waiting.take_reader().unwrap().blocking_read(9).await.unwrap_err();
        let StreamError::LastOperationFailed(error) = error else { panic!("{error}") };
        assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_full_queue_makes_the_next_one_wait() {
    let world = World::without_network();
    let mut listener = new(&world, Family::V4);
    listener.bind(at("127.0.0.1:7000")).await.unwrap();
    listener.set_backlog(2).unwrap();
    listener.listen().unwrap();
    let _first = connect(new(&world, Family::V4), at("127.0.0.1:7000")).await.unwrap();
    let _second = connect(new(&world, Family::V4), at("127.0.0.1:7000")).await.unwrap();
    let mut third = new(&world, Family::V4);
    third.start_connect(at("127.0.0.1:7000")).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(third.finish_connect(), Err(Fault::WouldBlock));
    let _accepted = listener.accept().unwrap();
    poll_fn(|cx| third.poll_connected(cx)).await;
    assert_eq!(third.finish_connect(), Ok(()));
}

#[tokio::test]
async fn a_guest_that_connects_and_never_accepts_meets_its_limit() {
    let world = World::without_network();
    let mut listener = new(&world, Family::V4);
    listener.bind(at("127.0.0.1:7000")).await.unwrap();
    listener.set_backlog(4096).unwrap();
    listener.listen().unwrap();
    let mut waiting = 0;
    let refused = loop {
        match connect(new(&world, Family::V4), at("127.0.0.1:7000")).await {
            Ok(_dropped) => waiting += 1,
            Err(fault) => break fault,
        }
        assert!(waiting < 4096);
    };
    assert_eq!(refused, Fault::NewSocketLimit);
    // The listener, and the client that was refused, have one each.
    assert_eq!(waiting, super::MAX_SOCKETS - 2);
    drop(listener.accept().unwrap());
    assert!(connect(new(&world, Family::V4), at("127.0.0.1:7000")).await.is_ok());
}
