//! The native peers of `cord run --per-connection`: an echo with a thread for each connection, and one for a super-server.
//!
//! `native-echo threads` listens at a port that the system picks and prints it; `native-echo inetd` sends back what comes on
//! standard input until that ends. It needs nothing but the standard library, so that it can be linked statically.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a server to compare with: it stands for others")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;

fn main() -> io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("threads") => threads(),
        Some("inetd") => echo(&mut io::stdin().lock(), &mut io::stdout().lock()),
        _ => Err(io::Error::other("usage: native-echo threads|inetd")),
    }
}

fn threads() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            // A client that breaks off is no fault of the others.
            let _ = echo(&mut &stream, &mut &stream);
            let _ = stream.shutdown(Shutdown::Write);
        });
    }
    Ok(())
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
