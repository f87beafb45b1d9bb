//! A UDP echo server on plain `std::net`.
//!
//! `udp-echo ADDRESS [--datagrams N] [--quiet]`
//!
//! Prints `bound to ADDRESS`, sends each datagram back to where it came from, and prints `PEER sent N bytes` for each
//! unless `--quiet`. Ends after N datagrams, if told.

use std::io;
use std::net::UdpSocket;

fn main() -> io::Result<()> {
    let (mut address, mut left, mut quiet) = (None, u64::MAX, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--datagrams" => left = arguments.next().and_then(|n| n.parse().ok()).expect("--datagrams needs a number"),
            "--quiet" => quiet = true,
            _ => address = Some(word),
        }
    }
    let socket = UdpSocket::bind(address.expect("usage: udp-echo ADDRESS [--datagrams N] [--quiet]"))?;
    println!("bound to {}", socket.local_addr()?);
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        if !quiet {
            println!("{peer} sent {length} bytes");
        }
        socket.send_to(&buffer[..length], peer)?;
        left -= 1;
    }
    Ok(())
}
