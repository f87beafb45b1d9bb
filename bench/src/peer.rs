//! Servers that are compared, each in a process of its own.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a server may take to be there: it may have to compile its guest first.
const START_TIME: Duration = Duration::from_secs(120);

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where it listens.
    pub(crate) port: u16,
    pub(crate) process: Process,
}

impl Peer {
    /// Starts a server that says where it listens, in its first line with an address, on either stream.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().with_context(|| format!("cannot start {name}"))?);
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = process.0.stdout.take() {
            listen_to(stdout, sender.clone());
        }
        if let Some(stderr) = process.0.stderr.take() {
            listen_to(stderr, sender);
        }
        let mut said = String::new();
        // Ends also when the server does.
        while let Ok(line) = receiver.recv_timeout(START_TIME) {
            if let Some(address) = address_in(&line) {
                return Ok(Self { port: address.port(), process });
            }
            said.push_str(&line);
        }
        bail!("{name} did not say where it listens: {said}")
    }

    /// Starts a server that is told where to listen, and waits until it does.
    pub(crate) fn start_at(port: u16, command: &mut Command) -> Result<Self> {
        let process = Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(Self { port, process });
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("{} does not listen on port {port}", command.get_program().display())
    }
}

/// Reads a stream to its end, so that nobody who writes to it has to wait.
fn listen_to(stream: impl Read + Send + 'static, lines: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            // After the first address nobody listens any more.
            let _ = lines.send(line);
        }
    });
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.split([' ', '/']).find_map(|word| word.parse().ok())
}

/// A port that nobody uses at the moment.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("0.0.0.0:0")?.local_addr()?.port())
}
