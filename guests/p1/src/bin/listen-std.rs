//! Echoes connections on a listening descriptor it was given, by the standard library alone.
//!
//! ```text
//! listen-std FD COUNT    serve COUNT connections, one after the other
//! ```
#![expect(unsafe_code, reason = "the descriptor is a number in an argument")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::FromRawFd;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let numbers: Vec<i32> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [fd, count] = numbers[..] else { return Err("usage: listen-std FD COUNT".into()) };
    // SAFETY: it was given to this program for this, and nothing else has it.
    let listener = unsafe { TcpListener::from_raw_fd(fd) };
    for _ in 0..count {
        let (mut stream, _) = listener.accept()?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        stream.write_all(&text)?;
    }
    Ok(())
}
