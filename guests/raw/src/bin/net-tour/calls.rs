//! The interface itself, where the standard library cannot say what is asked.

use crate::tour::Tour;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

const ANY: (u8, u8, u8, u8) = (127, 0, 0, 1);

/// Everything of this file.
pub fn walk(tour: &mut Tour) {
    tour.section("calls-tcp");
    fresh(tour);
    listening(tour);
    connected(tour);
    tour.section("calls-udp");
    datagrams(tour);
}

fn code<T>(result: &Result<T, ErrorCode>) -> &'static str {
    result.as_ref().map_or_else(|code| code.name(), |_| "ok")
}

fn wire(address: (u8, u8, u8, u8), port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
}

fn plain(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), v4.port)
        }
        IpSocketAddress::Ipv6(_) => unreachable!("all sockets here are IPv4"),
    }
}

fn address(tour: &mut Tour, name: &str, result: Result<IpSocketAddress, ErrorCode>) {
    match result {
        Ok(address) => {
            let shown = tour.name(plain(address));
            tour.say(name, shown);
        }
        Err(code) => tour.say(name, code.name()),
    }
}

fn fresh(tour: &mut Tour) {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    tour.say("fresh accept", code(&socket.accept()));
    tour.say("fresh listen", code(&socket.start_listen()));
    tour.say("fresh shutdown", code(&socket.shutdown(ShutdownType::Both)));
    tour.say("fresh finish-bind", code(&socket.finish_bind()));
    tour.say("fresh finish-listen", code(&socket.finish_listen()));
    tour.say("fresh finish-connect", code(&socket.finish_connect()));
    address(tour, "fresh local-address", socket.local_address());
    address(tour, "fresh remote-address", socket.remote_address());
    tour.say("fresh backlog 0", code(&socket.set_listen_backlog_size(0)));
    tour.say("fresh backlog", code(&socket.set_listen_backlog_size(16)));
    let bad = [((192, 0, 2, 1), 0), ((224, 0, 0, 1), 0), ((255, 255, 255, 255), 0)];
    for (at, port) in bad {
        tour.say(&format!("bind {at:?}"), code(&bind(&socket, at, port)));
    }
    let bad = [((0, 0, 0, 0), 9), ((127, 0, 0, 1), 0), ((224, 0, 0, 1), 9), ((255, 255, 255, 255), 9)];
    for (at, port) in bad {
        tour.say(&format!("connect {at:?}:{port}"), code(&socket.start_connect(&instance_network(), wire(at, port))));
    }
}

fn bind(socket: &TcpSocket, at: (u8, u8, u8, u8), port: u16) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), wire(at, port))?;
    loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}

/// A socket that listens, and its port.
fn listen(tour: &mut Tour) -> (TcpSocket, u16) {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    tour.say("bind", code(&bind(&socket, ANY, 0)));
    tour.say("start-listen", code(&socket.start_listen()));
    tour.say("start-listen again", code(&socket.start_listen()));
    while socket.finish_listen() == Err(ErrorCode::WouldBlock) {
        socket.subscribe().block();
    }
    let port = socket.local_address().map(|address| plain(address).port()).expect("it is bound");
    (socket, port)
}

fn listening(tour: &mut Tour) {
    let (socket, port) = listen(tour);
    address(tour, "listening local-address", socket.local_address());
    address(tour, "listening remote-address", socket.remote_address());
    tour.say("listening is-listening", socket.is_listening());
    tour.say("listening accept", code(&socket.accept()));
    tour.say("listening start-listen", code(&socket.start_listen()));
    tour.say("listening bind", code(&bind(&socket, ANY, 0)));
    tour.say("listening shutdown", code(&socket.shutdown(ShutdownType::Send)));
    tour.say("listening ready", socket.subscribe().ready());
    let connect = socket.start_connect(&instance_network(), wire(ANY, port));
    tour.say("listening connect", code(&connect));
}

fn connected(tour: &mut Tour) {
    let (listener, port) = listen(tour);
    tour.say("set hop limit", code(&listener.set_hop_limit(77)));
    tour.say("set keep-alive", code(&listener.set_keep_alive_enabled(true)));
    let client = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    tour.say("start-connect", code(&client.start_connect(&instance_network(), wire(ANY, port))));
    tour.say("start-connect again", code(&client.start_connect(&instance_network(), wire(ANY, port))));
    let finished = loop {
        match client.finish_connect() {
            Err(ErrorCode::WouldBlock) => client.subscribe().block(),
            answer => break answer,
        }
    };
    tour.say("finish-connect", code(&finished));
    tour.say("finish-connect again", code(&client.finish_connect()));
    listener.subscribe().block();
    let Ok((server, input, output)) = listener.accept() else {
        return tour.say("accept", "nobody");
    };
    address(tour, "server local-address", server.local_address());
    address(tour, "server remote-address", server.remote_address());
    tour.say("server hop limit", format!("{:?}", server.hop_limit()));
    tour.say("server keep-alive", format!("{:?}", server.keep_alive_enabled()));
    tour.say("server backlog", code(&server.set_listen_backlog_size(1)));
    tour.say("server start-listen", code(&server.start_listen()));
    tour.say("server shutdown", code(&server.shutdown(ShutdownType::Both)));
    tour.say("server check-write", if output.check_write().is_err() { "closed" } else { "open" });
    tour.say("server read", if input.read(1).is_err() { "closed" } else { "open" });
}

fn datagrams(tour: &mut Tour) {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).expect("a socket");
    tour.say("fresh finish-bind", code(&socket.finish_bind()));
    tour.say("fresh stream", code(&socket.stream(None)));
    address(tour, "fresh local-address", socket.local_address());
    address(tour, "fresh remote-address", socket.remote_address());
    tour.say("bind elsewhere", code(&bind_udp(&socket, (192, 0, 2, 1))));
    tour.say("bind", code(&bind_udp(&socket, ANY)));
    tour.say("bind again", code(&bind_udp(&socket, ANY)));
    let here = socket.local_address().expect("it is bound");
    address(tour, "local-address", Ok(here));
    for (at, port) in [((0, 0, 0, 0), 9), (ANY, 0)] {
        tour.say(&format!("stream to {at:?}:{port}"), code(&socket.stream(Some(wire(at, port)))));
    }
    let (incoming, outgoing) = socket.stream(None).expect("streams");
    tour.say("check-send", outgoing.check_send().is_ok_and(|permit| permit > 0));
    tour.say("receive nothing", incoming.receive(8).map_or(99, |found| found.len()));
    let datagrams = |to| [OutgoingDatagram { data: b"self".to_vec(), remote_address: to }];
    tour.say("send nowhere", code(&outgoing.send(&datagrams(None))));
    tour.say("check-send", outgoing.check_send().is_ok_and(|permit| permit > 0));
    tour.say("send", format!("{:?}", outgoing.send(&datagrams(Some(here)))));
    incoming.subscribe().block();
    let found = incoming.receive(8).unwrap_or_default();
    tour.say("receive", found.len());
    for datagram in found {
        address(tour, "from", Ok(datagram.remote_address));
    }
}

fn bind_udp(socket: &UdpSocket, at: (u8, u8, u8, u8)) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), wire(at, 0))?;
    loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}
