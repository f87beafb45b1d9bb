//! Sockets by WasmEdge's calls, through the newest version of its crate.
//!
//! ```text
//! wasmedge serve PORT COUNT          echo that many TCP connections, one after the other
//! wasmedge connect HOST PORT TEXT    send a text, print what comes back
//! wasmedge udp-serve PORT COUNT      echo that many datagrams
//! wasmedge udp-send HOST PORT TEXT   send a datagram, print the answer
//! wasmedge lookup HOST               print the addresses of a name
//! wasmedge options                   set and read socket options
//! ```

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use wasmedge_wasi_socket::socket::{AddressFamily, Socket, SocketOptLevel, SocketOptName, SocketType};
use wasmedge_wasi_socket::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket, nslookup};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", port, count] => serve(port.parse()?, count.parse()?),
        ["connect", host, port, text] => connect(host, port.parse()?, text),
        ["udp-serve", port, count] => udp_serve(port.parse()?, count.parse()?),
        ["udp-send", host, port, text] => udp_send(host, port.parse()?, text),
        ["lookup", host] => lookup(host),
        ["options"] => options(),
        _ => Err("see the first lines of the source for what can be asked".into()),
    }
}

fn serve(port: u16, count: usize) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port), false)?;
    println!("listening at {}", listener.as_ref().get_local()?);
    for _ in 0..count {
        let (mut stream, peer) = listener.accept(false)?;
        println!("connection from {}", peer.ip());
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        stream.write_all(&text)?;
    }
    Ok(())
}

fn connect(host: &str, port: u16, text: &str) -> Outcome<()> {
    let mut stream = TcpStream::connect((host, port))?;
    println!("connected to {}", stream.peer_addr()?);
    stream.write_all(text.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    println!("{answer}");
    Ok(())
}

fn udp_serve(port: u16, count: usize) -> Outcome<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("bound to port {port}");
    let mut buffer = [0; 65_536];
    for _ in 0..count {
        let (length, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], from)?;
    }
    Ok(())
}

fn udp_send(host: &str, port: u16, text: &str) -> Outcome<()> {
    let to = address(host, port)?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.send_to(text.as_bytes(), to)?;
    let mut buffer = [0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer)?;
    println!("{from} said {}", String::from_utf8_lossy(&buffer[..length]));
    Ok(())
}

fn address(host: &str, port: u16) -> Outcome<SocketAddr> {
    (host, port).to_socket_addrs()?.next().ok_or_else(|| format!("{host} has no address").into())
}

fn lookup(host: &str) -> Outcome<()> {
    for address in nslookup(host, "http")? {
        println!("{address}");
    }
    Ok(())
}

fn options() -> Outcome<()> {
    let socket = Socket::new(AddressFamily::Inet4, SocketType::Stream)?;
    let on: i32 = 1;
    socket.setsockopt(SocketOptLevel::SolSocket, SocketOptName::SoReuseaddr, on)?;
    socket.setsockopt(SocketOptLevel::SolSocket, SocketOptName::SoKeepalive, on)?;
    socket.set_recv_timeout(Some(Duration::from_millis(1500)))?;
    println!("reuse address {}, keep alive {}", socket.reuse_address()?, socket.keepalive()?);
    println!("receive timeout {:?}, send timeout {:?}", socket.get_recv_timeout()?, socket.get_send_timeout()?);
    println!("kind {:?}, listens {}", socket.r#type()?, socket.is_listener()?);
    println!("buffers {}", socket.recv_buffer_size()? > 0 && socket.send_buffer_size()? > 0);
    socket.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))?;
    socket.listen(8)?;
    println!("listens {}, error {:?}", socket.is_listener()?, socket.take_error());
    println!("device {:?}", socket.device()?);
    Ok(())
}
