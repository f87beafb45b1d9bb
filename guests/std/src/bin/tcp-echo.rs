//! A TCP echo server without threads, on plain `std::net`.
//!
//! `tcp-echo ADDRESS... [--connections N] [--rounds N] [--wait]`
//!
//! Prints `listening on ADDRESS` for each listener. One listener accepts in a blocking loop; several take turns without
//! blocking. Each connection is served to its end before the next is accepted: `PEER at LOCAL` when it is accepted,
//! `PEER sent N bytes` at its end. With `--connections` the listeners are closed after so many, and with `--rounds` all
//! of that is done so often. With `--wait` nothing is accepted before a line came on standard input.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// How long all listeners are left alone when nobody waits at any.
const PAUSE: Duration = Duration::from_millis(2);

struct Plan {
    addresses: Vec<String>,
    connections: Option<u64>,
    rounds: u64,
    wait: bool,
}

fn main() -> io::Result<()> {
    let plan = parse();
    for _ in 0..plan.rounds {
        serve(&plan)?;
    }
    Ok(())
}

fn parse() -> Plan {
    let mut plan = Plan { addresses: Vec::new(), connections: None, rounds: 1, wait: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{word} needs a number"));
        match word.as_str() {
            "--connections" => plan.connections = Some(number()),
            "--rounds" => plan.rounds = number(),
            "--wait" => plan.wait = true,
            _ => plan.addresses.push(word),
        }
    }
    assert!(!plan.addresses.is_empty(), "usage: tcp-echo ADDRESS... [--connections N] [--rounds N] [--wait]");
    plan
}

fn serve(plan: &Plan) -> io::Result<()> {
    let listeners = plan.addresses.iter().map(TcpListener::bind).collect::<io::Result<Vec<_>>>()?;
    for listener in &listeners {
        println!("listening on {}", listener.local_addr()?);
    }
    if plan.wait {
        io::stdin().read_line(&mut String::new())?;
    }
    let mut left = plan.connections.unwrap_or(u64::MAX);
    match listeners.as_slice() {
        [listener] => {
            while left > 0 {
                let (stream, _) = listener.accept()?;
                echo(stream)?;
                left -= 1;
            }
        }
        several => {
            several.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
            while left > 0 {
                left = left.saturating_sub(take_turns(several)?);
            }
        }
    }
    Ok(())
}

/// Serves whoever waits at one of the listeners, one connection each. How many there were.
fn take_turns(listeners: &[TcpListener]) -> io::Result<u64> {
    let mut served = 0;
    for listener in listeners {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                echo(stream)?;
                served += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    if served == 0 {
        std::thread::sleep(PAUSE);
    }
    Ok(served)
}

/// Sends back all that comes. A client that breaks off is its own fault.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let peer = stream.peer_addr()?;
    println!("{peer} at {}", stream.local_addr()?);
    let mut buffer = vec![0; 16 * 1024];
    let mut count = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                count += length;
                if let Err(error) = stream.write_all(&buffer[..length]) {
                    println!("{peer} went: {:?}", error.kind());
                    break;
                }
            }
            Err(error) => {
                println!("{peer} went: {:?}", error.kind());
                break;
            }
        }
    }
    println!("{peer} sent {count} bytes");
    Ok(())
}
