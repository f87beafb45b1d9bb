//! A UDP client on plain `std::net`: sends a datagram to each of several servers and prints what they answer.
//!
//! `udp-dial HOST:PORT... [--text TEXT | --size BYTES] [--connect] [--bind ADDRESS] [--timeout MILLISECONDS] [--times N]`
//!
//! With `--connect` the socket is connected to each server in turn, and else one socket speaks to all. Prints
//! `PEER answered TEXT`, or `PEER answered N bytes, the same` for `--size`, in the order of arrival. A failure is one line
//! `udp-dial: KIND: MESSAGE` on standard error, which does not keep the others from being asked; exit code 1 at the end.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks for an answer.
const PAUSE: Duration = Duration::from_millis(1);

struct Plan {
    servers: Vec<String>,
    payload: Vec<u8>,
    is_text: bool,
    connect: bool,
    bind: Option<String>,
    timeout: Duration,
    times: usize,
}

fn main() -> ExitCode {
    let plan = parse();
    let outcome = if plan.connect { one_after_the_other(&plan) } else { all_at_once(&plan) };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Plan {
    let mut plan = Plan {
        servers: Vec::new(),
        payload: b"hello".to_vec(),
        is_text: true,
        connect: false,
        bind: None,
        timeout: Duration::from_secs(60),
        times: 1,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--text" => plan.payload = value().into_bytes(),
            "--size" => {
                let size: usize = value().parse().expect("BYTES is a number");
                plan.payload = (0..size).map(|index| (index % 251) as u8).collect();
                plan.is_text = false;
            }
            "--connect" => plan.connect = true,
            "--bind" => plan.bind = Some(value()),
            "--timeout" => plan.timeout = Duration::from_millis(value().parse().expect("MILLISECONDS is a number")),
            "--times" => plan.times = value().parse().expect("N is a number"),
            _ => plan.servers.push(word),
        }
    }
    plan
}

fn bind(plan: &Plan, server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    UdpSocket::bind(plan.bind.as_deref().unwrap_or(any))
}

fn resolve(name: &str) -> io::Result<SocketAddr> {
    name.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))
}

/// Waits for the next datagram, but not for ever.
fn receive(plan: &Plan, socket: &UdpSocket) -> io::Result<(Vec<u8>, SocketAddr)> {
    let started = Instant::now();
    let mut buffer = vec![0; 64 * 1024];
    // WASI's C library knows no time-outs for UDP, so waiting is up to this program.
    socket.set_nonblocking(true)?;
    let received = loop {
        match socket.recv_from(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && started.elapsed() < plan.timeout => sleep(PAUSE),
            answer => break answer,
        }
    };
    socket.set_nonblocking(false)?;
    let (length, peer) = received?;
    buffer.truncate(length);
    Ok((buffer, peer))
}

/// One socket for all servers. How many failed.
fn all_at_once(plan: &Plan) -> io::Result<usize> {
    let servers = plan.servers.iter().map(|name| resolve(name)).collect::<io::Result<Vec<_>>>()?;
    let socket = bind(plan, *servers.first().expect("usage: udp-dial HOST:PORT..."))?;
    let (mut failed, mut asked) = (0, 0);
    for _ in 0..plan.times {
        for server in &servers {
            match socket.send_to(&plan.payload, server) {
                Ok(_) => asked += 1,
                Err(error) => {
                    complain(&error);
                    failed += 1;
                }
            }
        }
    }
    for _ in 0..asked {
        let (answer, peer) = receive(plan, &socket)?;
        show(plan, peer, &answer);
    }
    Ok(failed)
}

/// The socket is connected to one server after the other. How many failed.
fn one_after_the_other(plan: &Plan) -> io::Result<usize> {
    let first = resolve(plan.servers.first().expect("usage: udp-dial HOST:PORT..."))?;
    let socket = bind(plan, first)?;
    let mut failed = 0;
    for server in &plan.servers {
        for _ in 0..plan.times {
            if let Err(error) = ask(plan, &socket, resolve(server)?) {
                complain(&error);
                failed += 1;
            }
        }
    }
    Ok(failed)
}

fn ask(plan: &Plan, socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    socket.connect(server)?;
    socket.send(&plan.payload)?;
    let (answer, _) = receive(plan, socket)?;
    show(plan, socket.peer_addr()?, &answer);
    Ok(())
}

fn show(plan: &Plan, peer: SocketAddr, answer: &[u8]) {
    if plan.is_text {
        println!("{peer} answered {}", String::from_utf8_lossy(answer));
    } else {
        let same = if answer == plan.payload { "the same" } else { "CHANGED" };
        println!("{peer} answered {} bytes, {same}", answer.len());
    }
}

fn complain(error: &io::Error) {
    eprintln!("udp-dial: {:?}: {error}", error.kind());
}
