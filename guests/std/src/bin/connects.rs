//! Connects and closes, one time after the other: what making a connection costs, without any use of it.
//!
//! `connects HOST PORT COUNT`
//!
//! Prints `connected COUNT times` at the end.

use std::io;
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, count] = arguments.as_slice() else {
        panic!("usage: connects HOST PORT COUNT");
    };
    let port: u16 = port.parse().expect("PORT is a number up to 65535");
    let count: u32 = count.parse().expect("COUNT is a number");
    for _ in 0..count {
        drop(TcpStream::connect((host.as_str(), port))?);
    }
    println!("connected {count} times");
    Ok(())
}
