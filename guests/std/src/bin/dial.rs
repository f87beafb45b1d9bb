//! A small TCP client: sends its standard input to a server and prints what comes back.
//!
//! `dial HOST PORT [--text TEXT] [--half-close] [--read-timeout MILLISECONDS] [--quiet]`
//!
//! With `--text` it sends that text and a line end instead of standard input. With `--half-close` it shuts its side
//! down after sending and reads until the server closes; without, it reads as many bytes as it sent (an echo server
//! never closes first). `Connected to ADDRESS` goes to standard error, unless `--quiet`.
//! Exit code 1 and one line `dial: KIND: MESSAGE` on standard error if anything fails.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

struct Plan {
    host: String,
    port: u16,
    text: Option<String>,
    half_close: bool,
    read_timeout: Option<Duration>,
    quiet: bool,
}

fn main() -> ExitCode {
    let plan = parse();
    match dial(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dial: {:?}: {error}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Plan {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().unwrap_or_else(|| panic!("{what} is missing"));
    let mut plan = Plan {
        host: next("HOST"),
        port: next("PORT").parse().expect("PORT is a number up to 65535"),
        text: None,
        half_close: false,
        read_timeout: None,
        quiet: false,
    };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--text" => plan.text = Some(value() + "\n"),
            "--half-close" => plan.half_close = true,
            "--read-timeout" => {
                let milliseconds = value().parse().expect("MILLISECONDS is a number");
                plan.read_timeout = Some(Duration::from_millis(milliseconds));
            }
            "--quiet" => plan.quiet = true,
            other => panic!("unknown flag {other}"),
        }
    }
    plan
}

fn dial(plan: &Plan) -> io::Result<()> {
    let mut stream = TcpStream::connect((plan.host.as_str(), plan.port))?;
    if !plan.quiet {
        eprintln!("Connected to {}", stream.peer_addr()?);
    }
    stream.set_read_timeout(plan.read_timeout)?;
    let sent = match &plan.text {
        Some(text) => {
            stream.write_all(text.as_bytes())?;
            text.len() as u64
        }
        None => io::copy(&mut io::stdin().lock(), &mut stream)?,
    };
    let mut stdout = io::stdout().lock();
    if plan.half_close {
        stream.shutdown(Shutdown::Write)?;
        io::copy(&mut stream, &mut stdout)?;
    } else {
        io::copy(&mut stream.take(sent), &mut stdout)?;
    }
    stdout.flush()
}
