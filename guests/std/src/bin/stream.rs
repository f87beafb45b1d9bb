//! Moves bytes over one connection, and prints how long that took, in nanoseconds.
//!
//! `stream HOST PORT send|receive|ping SIZE COUNT`
//!
//! `send` writes COUNT times SIZE bytes and waits until the other end says that it has all of them; `receive` reads as many,
//! SIZE at a time; `ping` writes SIZE bytes and reads them back, COUNT times. The other end learns what to do from the first
//! 17 bytes: a letter and two numbers.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, mode, size, count] = arguments.as_slice() else {
        panic!("usage: stream HOST PORT send|receive|ping SIZE COUNT")
    };
    let number = |text: &str| text.parse().expect("PORT, SIZE and COUNT are numbers");
    let mut stream = TcpStream::connect((host.as_str(), port.parse().expect("PORT is a number")))?;
    stream.set_nodelay(true)?;
    let nanoseconds = run(&mut stream, mode, number(size), number(count))?;
    println!("{nanoseconds}");
    Ok(())
}

/// The work, over whatever carries bytes.
pub(crate) fn run(stream: &mut (impl Read + Write), mode: &str, size: u64, count: u64) -> io::Result<u128> {
    let mut head = [mode.as_bytes()[0]; 17];
    head[1..9].copy_from_slice(&size.to_be_bytes());
    head[9..].copy_from_slice(&count.to_be_bytes());
    stream.write_all(&head)?;
    let mut buffer = vec![b'x'; usize::try_from(size).expect("SIZE fits into memory")];
    // The other end is ready.
    stream.read_exact(&mut head[..1])?;
    let began = Instant::now();
    for _ in 0..count {
        if mode != "receive" {
            stream.write_all(&buffer)?;
        }
        if mode != "send" {
            stream.read_exact(&mut buffer)?;
        }
    }
    if mode == "send" {
        stream.read_exact(&mut head[..1])?;
    }
    Ok(began.elapsed().as_nanos())
}
