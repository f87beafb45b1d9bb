//! A guest that serves what `cord run --publish` opens for it, and clients of that.

use crate::cord::Cord;
use crate::process::{Running, children};
use crate::wait;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// What has not come after so long never comes: a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(100);

/// A running guest, and where it is reached.
#[derive(Debug)]
pub struct Published {
    running: Running,
    addresses: Vec<SocketAddr>,
}

impl Published {
    /// Runs a guest with these flags for `cord run`, and waits until every `-p` of them that names port 0 has got a port.
    #[must_use]
    pub fn start(flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        Self::start_in(Vec::new(), flags, guest, arguments)
    }

    /// The same, in another network for example.
    #[must_use]
    pub fn start_in(wrapper: Vec<OsString>, flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        let cord = Cord::run_guest(flags, guest, arguments).wrapped(wrapper).piped_stdin();
        let mut running = cord.watched().start();
        let awaited = flags.iter().filter(|flag| flag.contains(":0:") || flag.starts_with("0:")).count();
        let addresses = wait::for_some(format!("{awaited} published addresses"), || {
            let addresses = published(&running.stderr());
            assert!(addresses.len() == awaited || running.is_running(), "it ended: {running:#?}");
            (addresses.len() == awaited).then_some(addresses)
        });
        Self { running, addresses }
    }

    /// Waits until the guest has printed `text`, which says that it is ready.
    #[must_use]
    pub fn ready(self, text: &str) -> Self {
        self.wait_for_stdout(text);
        self
    }

    /// Waits until the guest has printed `text`.
    pub fn wait_for_stdout(&self, text: &str) {
        self.running.wait_for_stdout(text);
    }

    /// What the guest has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.running.stdout()
    }

    /// What was said on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.running.stderr()
    }

    /// Where the first `-p` is reached.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where each `-p` is reached, in their order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// The numbers of the runner and of the broker beside it.
    #[must_use]
    pub fn processes(&self) -> [u32; 2] {
        let runner = self.running.pid();
        let broker = wait::for_some("the broker", || children(runner).first().map(|child| child.0));
        [runner, broker]
    }

    /// Gives the process up, to wait for its end.
    #[must_use]
    pub fn into_process(self) -> Running {
        self.running
    }
}

/// The addresses that `cord run` says it has chosen.
fn published(stderr: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let (address, rest) = line.strip_prefix("cord: ")?.split_once(" is ")?;
        let is_published = rest.starts_with("port ") || rest.starts_with("UDP port ");
        is_published.then(|| address.parse().ok())?
    };
    stderr.lines().filter_map(address).collect()
}

/// Connects, and gives up on a server that is silent for too long.
#[must_use]
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = crate::servers::connect(address);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `text`, ends the sending side, and tells what comes back.
#[must_use]
pub fn ask(mut stream: TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("no answer to {text:?}: {error}"));
    answer
}

/// A client of what is published at `address`, by datagrams.
#[must_use]
pub fn connect_udp(address: SocketAddr) -> UdpSocket {
    let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends a datagram and tells what comes back.
#[must_use]
pub fn ask_udp(socket: &UdpSocket, data: &[u8]) -> Vec<u8> {
    assert_eq!(socket.send(data).unwrap(), data.len());
    let mut answer = vec![0; 70_000];
    let length = socket.recv(&mut answer).unwrap_or_else(|error| panic!("no answer of {} bytes: {error}", data.len()));
    answer.truncate(length);
    answer
}
