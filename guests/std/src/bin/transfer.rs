//! Reads a long stream to its end and says how much came and whether it is what was sent.
//!
//! `transfer HOST PORT [HOST PORT]`
//!
//! Prints `connected`, then after the end of the stream `received COUNT fnv1a64 CHECKSUM` (sixteen hexadecimal digits).
//! With a second HOST PORT it then tries to connect there and prints `second connected` or `second failed KIND: MESSAGE`:
//! tests kill the broker in between.

use std::io::{self, Read, Write};
use std::net::TcpStream;

const BUFFER_BYTES: usize = 64 * 1024;
/// The two constants of the 64-bit Fowler-Noll-Vo hash.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (first, second) = match arguments.as_slice() {
        [host, port] => ((host, port), None),
        [host, port, second_host, second_port] => ((host, port), Some((second_host, second_port))),
        _ => panic!("usage: transfer HOST PORT [HOST PORT]"),
    };
    let mut stream = connect(first)?;
    println!("connected");
    io::stdout().flush()?;
    let (count, checksum) = drain(&mut stream)?;
    println!("received {count} fnv1a64 {checksum:016x}");
    if let Some(second) = second {
        match connect(second) {
            Ok(_) => println!("second connected"),
            Err(error) => println!("second failed {:?}: {error}", error.kind()),
        }
    }
    Ok(())
}

fn connect((host, port): (&String, &String)) -> io::Result<TcpStream> {
    TcpStream::connect((host.as_str(), port.parse().expect("PORT is a number up to 65535")))
}

fn drain(stream: &mut TcpStream) -> io::Result<(u64, u64)> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut count, mut checksum) = (0, FNV_OFFSET);
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok((count, checksum)),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        count += length as u64;
        for byte in &buffer[..length] {
            checksum = (checksum ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}
