//! Servers to be compared, each in a process of its own, and where the programs are.

#![expect(
    clippy::disallowed_methods,
    reason = "how xtask hands over where the programs are, and whether a port answers"
)]

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a server may take to be there: it may have to compile its guest first.
const START_TIME: Duration = Duration::from_secs(120);

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Peer {
    /// What it is called in the comparison.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    child: Child,
}

impl Peer {
    /// Starts a server that says where it listens, in its first line with an address, on either stream.
    ///
    /// # Errors
    /// If it cannot be started, or says nothing of the kind.
    pub fn start(name: &str, command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, receiver) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            listen_to(stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            listen_to(stderr, sender);
        }
        let mut peer = Self { name: name.to_owned(), port: 0, child };
        let mut said = String::new();
        // Ends also when the server does.
        while let Ok(line) = receiver.recv_timeout(START_TIME) {
            if let Some(address) = address_in(&line) {
                peer.port = address.port();
                return Ok(peer);
            }
            said.push_str(&line);
        }
        Err(io::Error::other(format!("{name} did not say where it listens: {said}")))
    }

    /// Starts a server that is told where to listen, and waits until it does.
    ///
    /// # Errors
    /// If it cannot be started, or nobody listens there.
    pub fn start_at(name: &str, port: u16, command: &mut Command) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let peer = Self { name: name.to_owned(), port, child };
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(peer);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other(format!("{name} does not listen on port {port}")))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
///
/// # Errors
/// As the system says.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("0.0.0.0:0")?.local_addr()?.port())
}

/// The program `cord`.
///
/// # Panics
/// If `CORD_BIN` does not say where it is.
#[must_use]
pub fn cord() -> PathBuf {
    named("CORD_BIN")
}

/// The guest of this name.
///
/// # Panics
/// If `CORD_GUESTS` does not say where it is.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    named("CORD_GUESTS").join(name)
}

/// `wasmtime`, if there is one: `CORD_WASMTIME`, else the one on the search path.
#[must_use]
pub fn wasmtime() -> Option<PathBuf> {
    let named = std::env::var("CORD_WASMTIME").ok().filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| installed("wasmtime"))
}

/// The program of this name on the search path.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").ok()?;
    path.split(':').map(|folder| Path::new(folder).join(name)).find(|program| program.is_file())
}

#[expect(clippy::panic, reason = "a benchmark that cannot be set up has nothing to report")]
fn named(variable: &str) -> PathBuf {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; run cargo xtask bench")).into()
}
