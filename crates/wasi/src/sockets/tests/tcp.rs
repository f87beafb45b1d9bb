//! The states of a TCP socket, and what it tells of its ends.

use std::future::poll_fn;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use capability::{Refusal, UnreachableCause};
use wasmtime_wasi_io::streams::{InputStream, OutputStream};

use super::{World, any_pair, at, connected, refused, unreachable};
use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::network::Network;
use crate::sockets::options::{HopLimit, KeepAlive, SendBuffer};
use crate::sockets::tcp::{Halves, TcpSocket};

async fn connect(network: &Network, family: Family, address: &str) -> Result<TcpSocket, Fault> {
    let mut socket = TcpSocket::new(network, family)?;
    socket.start_connect(at(address))?;
    poll_fn(|cx| socket.poll_connected(cx)).await;
    socket.finish_connect().map(|()| socket)
}

/// A world in which every connection leads to one real listener.
#[expect(clippy::disallowed_methods, reason = "plays the egress")]
fn listening_world(address: &str) -> (World, TcpListener) {
    let listener = TcpListener::bind(address).unwrap();
    let target = listener.local_addr().unwrap();
    rustix::net::listen(&listener, 1000).unwrap();
    (World::new(move |_| connected(std::net::TcpStream::connect(target).unwrap(), &[])), listener)
}

#[tokio::test]
async fn a_socket_goes_from_new_to_connected() {
    let (world, listener) = listening_world("127.0.0.1:0");
    let target = listener.local_addr().unwrap();
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    assert_eq!(socket.finish_connect().err(), Some(Fault::NotInProgress));
    assert_eq!(socket.local_address(), Err(Fault::InvalidState));
    assert_eq!(socket.remote_address(), Err(Fault::InvalidState));
    assert_eq!(socket.shutdown(Halves::Both), Err(Fault::InvalidState));

    socket.start_connect(target).unwrap();
    assert_eq!(socket.finish_connect().err(), Some(Fault::WouldBlock));
    assert_eq!(socket.start_connect(target), Err(Fault::ConcurrencyConflict));
    assert_eq!(socket.bind(target).await, Err(Fault::ConcurrencyConflict));
    assert_eq!(socket.listen(), Err(Fault::ConcurrencyConflict));
    assert_eq!(socket.option::<KeepAlive>(), Err(Fault::InvalidState));
    assert_eq!(socket.local_address(), Err(Fault::InvalidState));

    poll_fn(|cx| socket.poll_connected(cx)).await;
    socket.finish_connect().unwrap();
    let (mut reader, mut writer) = (socket.take_reader().unwrap(), socket.take_writer().unwrap());
    assert_eq!(socket.take_reader().err(), Some(Fault::InvalidState));
    assert_eq!(socket.take_writer().err(), Some(Fault::InvalidState));
    assert_eq!(socket.remote_address(), Ok(target));
    let (mut peer, from) = listener.accept().unwrap();
    assert_eq!(socket.local_address(), Ok(from));
    assert_eq!(socket.finish_connect().err(), Some(Fault::NotInProgress));
    assert_eq!(socket.start_connect(target), Err(Fault::InvalidState));
    assert_eq!(socket.set_backlog(1), Err(Fault::InvalidState));
    assert_eq!(socket.bind(target).await, Err(Fault::InvalidState));
    assert_eq!(socket.listen(), Err(Fault::InvalidState));
    assert_eq!(socket.accept().err(), Some(Fault::InvalidState));

    writer.write("ping".into()).unwrap();
    let mut bytes = [0; 4];
    std::io::Read::read_exact(&mut peer, &mut bytes).unwrap();
    std::io::Write::write_all(&mut peer, b"pong").unwrap();
    assert_eq!(&bytes, b"ping");
    assert_eq!(reader.blocking_read(100).await.unwrap(), "pong");
}

#[tokio::test]
async fn a_socket_that_was_refused_stays_closed() {
    let world = World::new(|_| refused(Refusal::Grant));
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    socket.start_connect(at("10.0.0.1:22")).unwrap();
    poll_fn(|cx| socket.poll_connected(cx)).await;
    assert_eq!(socket.finish_connect().err(), Some(Fault::AccessDenied));
    assert_eq!(socket.finish_connect().err(), Some(Fault::NotInProgress));
    assert_eq!(socket.start_connect(at("10.0.0.1:22")), Err(Fault::InvalidState));
    assert_eq!(socket.remote_address(), Err(Fault::InvalidState));
}

#[tokio::test]
async fn a_peer_that_is_down_says_so() {
    let world = World::new(|_| unreachable(UnreachableCause::ConnectionRefused));
    let refused = connect(&world.network, Family::V4, "10.0.0.1:22").await;
    assert_eq!(refused.err(), Some(Fault::ConnectionRefused));
    assert_eq!(world.denials(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_address_to_connect_to_is_never_asked_for() {
    let world = World::new(|_| any_pair());
    let check = |family: Family, address: &str| {
        let mut socket = TcpSocket::new(&world.network, family).unwrap();
        assert_eq!(socket.start_connect(at(address)), Err(Fault::InvalidArgument), "{address}");
    };
    for address in ["0.0.0.0:22", "10.0.0.1:0", "224.0.0.1:22", "255.255.255.255:22", "[::1]:22"] {
        check(Family::V4, address);
    }
    for address in ["[::]:22", "[::1]:0", "[ff02::1]:22", "[::ffff:10.0.0.1]:22", "[::10.0.0.1]:22", "10.0.0.1:22"] {
        check(Family::V6, address);
    }
    tokio::task::yield_now().await;
    assert_eq!(world.asked(), [""; 0]);
}

#[tokio::test]
async fn there_are_only_so_many_sockets() {
    let world = World::without_network();
    let mut sockets: Vec<TcpSocket> =
        std::iter::from_fn(|| TcpSocket::new(&world.network, Family::V4).ok()).take(1000).collect();
    assert_eq!(sockets.len(), super::MAX_SOCKETS);
    assert_eq!(TcpSocket::new(&world.network, Family::V6).err(), Some(Fault::NewSocketLimit));
    sockets.pop();
    assert!(TcpSocket::new(&world.network, Family::V6).is_ok());
}

#[tokio::test]
async fn a_stream_that_outlives_its_socket_still_counts() {
    let (world, _listener) = listening_world("127.0.0.1:0");
    let mut streams = Vec::new();
    for _ in 0..super::MAX_SOCKETS {
        let mut socket = connect(&world.network, Family::V4, "192.0.2.1:22").await.unwrap();
        streams.push(socket.take_reader().unwrap());
    }
    assert_eq!(TcpSocket::new(&world.network, Family::V4).err(), Some(Fault::NewSocketLimit));
    streams.clear();
    assert!(TcpSocket::new(&world.network, Family::V4).is_ok());
}

#[tokio::test]
async fn a_socket_pair_tells_the_addresses_of_its_labels() {
    let labels = [
        ("server_address", "127.7.7.7"),
        ("server_port", "5432"),
        ("client_address", "127.8.8.8"),
        ("client_port", "40000"),
    ];
    let world = World::new(move |_| connected(UnixStream::pair().unwrap().0, &labels));
    let socket = connect(&world.network, Family::V4, "127.9.9.9:5432").await.unwrap();
    assert_eq!(socket.remote_address(), Ok(at("127.7.7.7:5432")));
    assert_eq!(socket.local_address(), Ok(at("127.8.8.8:40000")));

    let world = World::new(|_| any_pair());
    let socket = connect(&world.network, Family::V6, "[fd00::9]:5432").await.unwrap();
    assert_eq!(socket.remote_address(), Ok(at("[fd00::9]:5432")));
    assert_eq!(socket.local_address(), Ok(at("[::]:0")));
}

#[tokio::test]
async fn a_peer_of_the_other_family_is_told_as_it_was_asked_for() {
    let (world, listener) = listening_world("[::1]:0");
    let socket = connect(&world.network, Family::V4, "192.0.2.1:22").await.unwrap();
    let (_, from) = listener.accept().unwrap();
    assert_eq!(socket.remote_address(), Ok(at("192.0.2.1:22")));
    assert_eq!(socket.local_address(), Ok(at(&format!("0.0.0.0:{}", from.port()))));
}

#[tokio::test]
async fn options_are_given_to_the_connection() {
    let (world, _listener) = listening_world("127.0.0.1:0");
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    socket.set_option::<KeepAlive>(true).unwrap();
    socket.set_option::<HopLimit>(42).unwrap();
    assert_eq!(socket.set_option::<SendBuffer>(0), Err(Fault::InvalidArgument));
    socket.start_connect(at("127.0.0.1:22")).unwrap();
    poll_fn(|cx| socket.poll_connected(cx)).await;
    socket.finish_connect().unwrap();
    assert_eq!(socket.option::<KeepAlive>(), Ok(true));
    assert_eq!(socket.option::<HopLimit>(), Ok(42));
}

#[tokio::test]
async fn many_connect_at_once() {
    let (world, _listener) = listening_world("127.0.0.1:0");
    let mut sockets: Vec<TcpSocket> = (0..200).map(|_| TcpSocket::new(&world.network, Family::V4).unwrap()).collect();
    for socket in &mut sockets {
        socket.start_connect(at("127.0.0.1:22")).unwrap();
    }
    for socket in &mut sockets {
        poll_fn(|cx| socket.poll_connected(cx)).await;
        socket.finish_connect().unwrap();
    }
    assert_eq!(world.asked().len(), 200);
}

#[tokio::test]
async fn a_socket_dropped_while_connecting_gives_the_answer_up() {
    let (ours, peer) = UnixStream::pair().unwrap();
    let ours = std::sync::Mutex::new(Some(ours));
    let world = World::new(move |_| connected(ours.lock().unwrap().take().unwrap(), &[]));
    let mut socket = TcpSocket::new(&world.network, Family::V4).unwrap();
    socket.start_connect(at("127.0.0.1:22")).unwrap();
    drop(socket);
    world.network.finish().await;
    // Whether the question was still asked or not, nobody keeps the connection.
    peer.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    drop(world.switchboard);
    tokio::task::yield_now().await;
    assert_eq!(std::io::Read::read(&mut &peer, &mut [0]).unwrap(), 0);
}
