//! Sockets by WasmEdge's calls of an older generation, through the last version of its crate that used them.
//!
//! ```text
//! wasmedge-old serve PORT COUNT          echo that many TCP connections, one after the other
//! wasmedge-old connect HOST PORT TEXT    send a text, print what comes back
//! wasmedge-old udp-serve PORT COUNT      echo that many datagrams
//! ```

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown};

use wasmedge_wasi_socket_old::{TcpListener, TcpStream, UdpSocket};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", port, count] => serve(port.parse()?, count.parse()?),
        ["connect", host, port, text] => connect(host, port.parse()?, text),
        ["udp-serve", port, count] => udp_serve(port.parse()?, count.parse()?),
        _ => Err("see the first lines of the source for what can be asked".into()),
    }
}

fn serve(port: u16, count: usize) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port), false)?;
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
        println!("datagram from {}", from.ip());
        socket.send_to(&buffer[..length], from)?;
    }
    Ok(())
}
