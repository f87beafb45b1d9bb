//! UDP with the standard library.

use crate::tour::Tour;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// Everything of this file.
pub fn walk(tour: &mut Tour) {
    for (name, any) in [
        ("udp-v4", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)),
        ("udp-v6", SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)),
    ] {
        tour.section(name);
        binding(tour, any).expect("a free port");
        unconnected(tour, any).expect("sockets");
        connected(tour, any).expect("sockets");
        sizes(tour, any).expect("sockets");
        waiting(tour, any).expect("a socket");
        unheard(tour, any).expect("sockets");
        options(tour, any).expect("a socket");
    }
}

/// What came, and from where.
fn receive(tour: &mut Tour, name: &str, socket: &UdpSocket) {
    let mut buffer = [0; 64];
    match socket.recv_from(&mut buffer) {
        Ok((length, peer)) => {
            let peer = tour.name(peer);
            tour.say(name, format!("{:?} from {peer}", String::from_utf8_lossy(&buffer[..length])));
        }
        Err(error) => tour.done(name, &Err::<(), _>(error)),
    }
}

fn binding(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(any)?;
    let address = socket.local_addr()?;
    tour.address("bind", Ok(address));
    tour.address("peer before connect", socket.peer_addr());
    tour.done("bind the same again", &UdpSocket::bind(address));
    let elsewhere = if any.is_ipv4() { "192.0.2.1:0" } else { "[2001:db8::1]:0" };
    tour.done("bind elsewhere", &UdpSocket::bind(elsewhere));
    let wildcard = if any.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    tour.address("bind wildcard", UdpSocket::bind(wildcard).and_then(|socket| socket.local_addr()));
    drop(socket);
    tour.done("bind what was closed", &UdpSocket::bind(address));
    Ok(())
}

fn unconnected(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let (server, one, two) = (UdpSocket::bind(any)?, UdpSocket::bind(any)?, UdpSocket::bind(any)?);
    let address = server.local_addr()?;
    tour.address("server", Ok(address));
    tour.show("one sends", one.send_to(b"from one", address));
    tour.show("two sends", two.send_to(b"from two", address));
    receive(tour, "server hears", &server);
    receive(tour, "server hears", &server);
    tour.show("server answers two", server.send_to(b"to two", two.local_addr()?));
    tour.show("server answers one", server.send_to(b"to one", one.local_addr()?));
    receive(tour, "one hears", &one);
    receive(tour, "two hears", &two);
    tour.show("one sends nowhere", one.send(b"nowhere"));
    tour.show("one sends to port 0", one.send_to(b"x", SocketAddr::new(any.ip(), 0)));
    let other_family: SocketAddr = if any.is_ipv4() { "[::1]:9" } else { "127.0.0.1:9" }.parse().expect("an address");
    tour.show("one sends to the other family", one.send_to(b"x", other_family));
    tour.show("peek", one.send_to(b"peeked", address).and_then(|_| server.peek_from(&mut [0; 64])).map(|(n, _)| n));
    receive(tour, "after the peek", &server);
    Ok(())
}

fn connected(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let (server, client, stranger) = (UdpSocket::bind(any)?, UdpSocket::bind(any)?, UdpSocket::bind(any)?);
    tour.done("connect", &client.connect(server.local_addr()?));
    tour.address("peer", client.peer_addr());
    tour.address("local", client.local_addr());
    tour.show("send", client.send(b"connected"));
    receive(tour, "server hears", &server);
    tour.show("stranger sends", stranger.send_to(b"strange", client.local_addr()?));
    tour.show("server sends", server.send_to(b"known", client.local_addr()?));
    receive(tour, "client hears", &client);
    client.set_nonblocking(true)?;
    receive(tour, "client hears no more", &client);
    client.set_nonblocking(false)?;
    tour.done("connect to port 0", &UdpSocket::bind(any)?.connect(SocketAddr::new(any.ip(), 0)));
    Ok(())
}

fn sizes(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let (from, to) = (UdpSocket::bind(any)?, UdpSocket::bind(any)?);
    let address = to.local_addr()?;
    let mut buffer = vec![0; 70_000];
    for size in [0, 1, 1472, 65_507] {
        tour.show(&format!("send {size}"), from.send_to(&vec![7; size], address));
        tour.show(&format!("receive {size}"), to.recv_from(&mut buffer).map(|(length, _)| length));
    }
    tour.show("send too much", from.send_to(&vec![7; 65_536], address));
    from.send_to(b"longer than the room", address)?;
    from.send_to(b"next", address)?;
    let mut room = [0; 6];
    let got = to.recv_from(&mut room).map(|(length, _)| length);
    tour.show("receive with little room", got);
    tour.say("what fits", String::from_utf8_lossy(&room));
    receive(tour, "the rest is gone", &to);
    Ok(())
}

fn waiting(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(any)?;
    tour.done("set_read_timeout", &socket.set_read_timeout(Some(LONG)));
    tour.done("set_write_timeout", &socket.set_write_timeout(Some(LONG)));
    tour.done("set_nonblocking", &socket.set_nonblocking(true));
    tour.show("receive would block", socket.recv(&mut [0; 16]));
    tour.show("send does not", socket.send_to(b"self", socket.local_addr()?));
    socket.set_nonblocking(false)?;
    receive(tour, "hears itself", &socket);
    Ok(())
}

/// Nobody is bound where the datagram goes.
fn unheard(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let nobody = UdpSocket::bind(any)?.local_addr()?;
    let socket = UdpSocket::bind(any)?;
    tour.show("send to nobody", socket.send_to(b"x", nobody));
    socket.set_nonblocking(true)?;
    tour.show("nothing comes of it", socket.recv(&mut [0; 16]));
    let socket = UdpSocket::bind(any)?;
    tour.done("connect to nobody", &socket.connect(nobody));
    tour.show("send to nobody, connected", socket.send(b"x"));
    tour.show("which is told", socket.recv(&mut [0; 16]));
    Ok(())
}

fn options(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(any)?;
    tour.done("sets ttl", &socket.set_ttl(42));
    tour.show("ttl", socket.ttl());
    tour.done("sets broadcast", &socket.set_broadcast(true));
    tour.show("broadcast", socket.broadcast());
    tour.show("take_error", socket.take_error().map(|error| error.is_some()));
    tour.show("read timeout", socket.read_timeout().map(|t| t.is_some()));
    tour.done("clones", &socket.try_clone());
    tour.done("joins a group", &socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::UNSPECIFIED));
    Ok(())
}
