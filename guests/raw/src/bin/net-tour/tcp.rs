//! TCP with the standard library.

use crate::tour::Tour;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(30);

/// Everything of this file.
pub fn walk(tour: &mut Tour) {
    for (name, any) in [
        ("tcp-v4", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)),
        ("tcp-v6", SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)),
    ] {
        tour.section(name);
        binding(tour, any).expect("a free port");
        connecting(tour, any).expect("a connection");
        options(tour, any).expect("a connection");
        waiting(tour, any).expect("a connection");
        ending(tour, any).expect("a connection");
        refused(tour, any).expect("a free port");
        several_listeners(tour, any).expect("listeners");
        closing_and_listening_again(tour, any).expect("a listener");
    }
}

fn pair(any: SocketAddr) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(any)?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

fn binding(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(any)?;
    let address = listener.local_addr()?;
    tour.address("bind", Ok(address));
    tour.done("bind the same again", &TcpListener::bind(address));
    let other: SocketAddr = if any.is_ipv4() { "192.0.2.1:0" } else { "[2001:db8::1]:0" }.parse().expect("an address");
    tour.done("bind elsewhere", &TcpListener::bind(other));
    let multicast: SocketAddr = if any.is_ipv4() { "224.0.0.1:0" } else { "[ff02::1]:0" }.parse().expect("an address");
    tour.done("bind multicast", &TcpListener::bind(multicast));
    let wildcard = TcpListener::bind(if any.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" });
    tour.address("bind wildcard", wildcard.and_then(|listener| listener.local_addr()));
    tour.address("bind the first that works", TcpListener::bind(&[other, any][..]).and_then(|l| l.local_addr()));
    drop(listener);
    tour.done("bind what was closed", &TcpListener::bind(address));
    Ok(())
}

fn connecting(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(any)?;
    let address = listener.local_addr()?;
    tour.address("listener", Ok(address));
    let mut client = TcpStream::connect(address)?;
    let (mut server, peer) = listener.accept()?;
    tour.address("client local", client.local_addr());
    tour.address("client peer", client.peer_addr());
    tour.address("server local", server.local_addr());
    tour.address("server peer", server.peer_addr());
    tour.address("accepted peer", Ok(peer));
    tour.done("client writes", &client.write_all(b"hello server"));
    tour.show("server reads", read_text(&mut server, 12));
    tour.done("server writes", &server.write_all(b"hello client"));
    let mut peeked = [0; 5];
    tour.show("client peeks", client.peek(&mut peeked));
    tour.show("client reads", read_text(&mut client, 12));
    let parts = [IoSlice::new(b"in "), IoSlice::new(b"two "), IoSlice::new(b"parts")];
    tour.show("client writes parts", client.write_vectored(&parts).map(|sent| sent > 0));
    let (mut first, mut second) = ([0; 2], [0; 10]);
    let got = server.read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)]);
    tour.show("server reads parts", got.map(|length| length > 0));
    tour.done("by connect_timeout", &TcpStream::connect_timeout(&address, LONG));
    tour.done("to several addresses", &TcpStream::connect(&[SocketAddr::new(any.ip(), 0), address][..]));
    Ok(())
}

fn read_text(stream: &mut TcpStream, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn options(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let (client, server) = pair(any)?;
    for (who, stream) in [("client", &client), ("server", &server)] {
        let label = |what: &str| format!("{who} {what}");
        tour.show(&label("nodelay at first"), stream.nodelay());
        tour.done(&label("sets nodelay"), &stream.set_nodelay(true));
        tour.show(&label("nodelay"), stream.nodelay());
        tour.done(&label("sets ttl"), &stream.set_ttl(42));
        tour.show(&label("ttl"), stream.ttl());
        tour.done(&label("sets ttl 0"), &stream.set_ttl(0));
        tour.show(&label("take_error"), stream.take_error().map(|error| error.is_some()));
        tour.show(&label("read timeout at first"), stream.read_timeout().map(|t| t.is_some()));
        tour.done(&label("sets read timeout"), &stream.set_read_timeout(Some(LONG)));
        tour.show(&label("read timeout"), stream.read_timeout().map(|t| t == Some(LONG)));
        tour.done(&label("sets read timeout 0"), &stream.set_read_timeout(Some(Duration::ZERO)));
        tour.done(&label("sets write timeout"), &stream.set_write_timeout(Some(LONG)));
        tour.show(&label("write timeout"), stream.write_timeout().map(|t| t == Some(LONG)));
        tour.done(&label("clones"), &stream.try_clone());
    }
    let listener = TcpListener::bind(any)?;
    tour.done("listener sets ttl", &listener.set_ttl(64));
    tour.show("listener ttl", listener.ttl());
    tour.show("listener take_error", listener.take_error().map(|error| error.is_some()));
    tour.done("listener clones", &listener.try_clone());
    Ok(())
}

/// Nobody says anything.
fn waiting(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let (mut client, mut server) = pair(any)?;
    let mut buffer = [0; 16];
    client.set_read_timeout(Some(SHORT))?;
    tour.show("read times out", client.read(&mut buffer));
    client.set_read_timeout(None)?;
    tour.done("set_nonblocking", &client.set_nonblocking(true));
    tour.show("read would block", client.read(&mut buffer));
    tour.show("peek would block", client.peek(&mut buffer));
    let chunk = vec![1; 1 << 20];
    let full = (0..64).find_map(|_| client.write(&chunk).err());
    tour.say("write would block", full.map_or_else(|| "never".to_string(), |error| format!("{:?}", error.kind())));
    client.set_nonblocking(false)?;
    server.set_nonblocking(true)?;
    let mut total = 0;
    while let Ok(length) = server.read(&mut buffer)
        && total < 64
    {
        total += length;
    }
    tour.say("some of it came", total >= 64);
    let listener = TcpListener::bind(any)?;
    listener.set_nonblocking(true)?;
    tour.done("accept would block", &listener.accept());
    let client = TcpStream::connect(listener.local_addr()?)?;
    tour.done("accept", &listener.accept());
    drop(client);
    Ok(())
}

fn ending(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let mut buffer = [0; 16];
    let (mut client, mut server) = pair(any)?;
    client.write_all(b"end")?;
    tour.done("shut the sending side", &client.shutdown(Shutdown::Write));
    tour.show("write after that", client.write(b"more"));
    tour.show("the other reads", server.read(&mut buffer));
    tour.show("the other reads the end", server.read(&mut buffer));
    tour.show("the other still writes", server.write(b"answer"));
    tour.show("and is read", client.read(&mut buffer));
    tour.done("shut the receiving side", &client.shutdown(Shutdown::Read));
    tour.show("read after that", client.read(&mut buffer));
    let (client, mut server) = pair(any)?;
    tour.done("shut both sides", &client.shutdown(Shutdown::Both));
    tour.address("peer after that", client.peer_addr());
    tour.show("the other reads the end too", server.read(&mut buffer));
    let (client, mut server) = pair(any)?;
    drop(client);
    tour.show("after a drop the other reads", server.read(&mut buffer));
    Ok(())
}

fn refused(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let closed = TcpListener::bind(any)?.local_addr()?;
    tour.done("connect where nobody listens", &TcpStream::connect(closed));
    tour.done("connect to port 0", &TcpStream::connect(SocketAddr::new(any.ip(), 0)));
    let wildcard = if any.is_ipv4() { "0.0.0.0:9" } else { "[::]:9" };
    tour.done("connect to the wildcard", &TcpStream::connect(wildcard));
    let multicast = if any.is_ipv4() { "224.0.0.1:9" } else { "[ff02::1]:9" };
    tour.done("connect to multicast", &TcpStream::connect(multicast));
    Ok(())
}

fn several_listeners(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let listeners = (0..3).map(|_| TcpListener::bind(any)).collect::<io::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    // Clients come in another order than they are served in.
    let mut clients = Vec::new();
    for index in [2, 0, 1] {
        let mut client = TcpStream::connect(addresses[index])?;
        client.write_all(format!("for {index}").as_bytes())?;
        clients.push(client);
    }
    for (index, listener) in listeners.iter().enumerate() {
        let (mut server, _) = listener.accept()?;
        tour.show(&format!("listener {index}"), read_text(&mut server, 5));
    }
    Ok(())
}

fn closing_and_listening_again(tour: &mut Tour, any: SocketAddr) -> io::Result<()> {
    let first = TcpListener::bind(any)?;
    let address = first.local_addr()?;
    let client = TcpStream::connect(address)?;
    drop(first.accept()?);
    drop(client);
    drop(first);
    tour.done("connect to the closed", &TcpStream::connect(address));
    let again = TcpListener::bind(address);
    tour.address("listen again", again.as_ref().map_err(copy).and_then(TcpListener::local_addr));
    tour.done("connect to it again", &TcpStream::connect(address));
    Ok(())
}

fn copy(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}
