//! The native peers, in one small program that needs nothing but the standard library.
//!
//! `native hello` says hello. `native threads` and `native serial` are echo servers with a thread for each connection and
//! with one for all; `native far` is the other end of the guest `stream`; all three print where they listen. `native inetd`
//! sends back what comes on standard input. `native stream HOST PORT ...` is the guest of that name as a native program;
//! `native pair ...` is it over a socket pair, without HOST and PORT, and `native end` the pair's other end.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "programs to compare with: they stand for others")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::num::ParseIntError;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::str::FromStr;
use std::thread;

#[path = "../../../guests/std/src/bin/stream.rs"]
#[expect(dead_code, clippy::panic, reason = "the same source as the guest's, whose `main` is another one")]
mod stream;

#[path = "../far.rs"]
mod far;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["hello"] => {
            println!("hello");
            Ok(())
        }
        ["inetd"] => echo(&mut io::stdin().lock(), &mut io::stdout().lock()),
        // Its clients have an address of loopback each.
        ["threads"] => listen("0.0.0.0:0", |stream| drop(thread::spawn(move || serve(&stream)))),
        ["serial"] => listen("127.0.0.1:0", |stream| serve(&stream)),
        ["far"] => listen("127.0.0.1:0", |stream| {
            let _ = stream.set_nodelay(true);
            thread::spawn(move || far::end(stream));
        }),
        ["stream", host, port, mode, size, count] => {
            let stream = TcpStream::connect((host, number(port)?))?;
            stream.set_nodelay(true)?;
            move_bytes(stream, mode, size, count)
        }
        ["pair", mode, size, count] => {
            // A process for each end, as there is everywhere else.
            let (near, far) = UnixStream::pair()?;
            let mut end = Command::new(std::env::current_exe()?);
            let mut end = end.arg("end").stdin(OwnedFd::from(far)).spawn()?;
            move_bytes(near, mode, size, count)?;
            end.wait().map(drop)
        }
        ["end"] => {
            far::end(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?));
            Ok(())
        }
        _ => Err(io::Error::other("usage: native hello|inetd|threads|serial|far|stream ...|pair ...")),
    }
}

fn move_bytes(mut stream: impl Read + Write, mode: &str, size: &str, count: &str) -> io::Result<()> {
    println!("{}", stream::run(&mut stream, mode, number(size)?, number(count)?)?);
    Ok(())
}

fn number<T: FromStr<Err = ParseIntError>>(text: &str) -> io::Result<T> {
    text.parse().map_err(io::Error::other)
}

fn listen(address: &str, mut each: impl FnMut(TcpStream)) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        each(stream?);
    }
    Ok(())
}

fn serve(mut stream: &TcpStream) {
    // A client that breaks off is no fault of the others.
    let _ = echo(&mut { stream }, &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
}

fn echo(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
        to.flush()?;
    }
}
