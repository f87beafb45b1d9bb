//! Runs one test at a time, each in a runtime of its own, and fails it if it leaves a descriptor behind. Also the far
//! ends: a fake switchboard, somebody who listens, somebody who does not answer.

use channel::Channel;
use protocol::message::{Call, CallId, Reply, ReplyBody};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// Longer than any test takes that does not wait for what never comes.
const TOO_LONG: Duration = Duration::from_secs(120);

/// Held while a test runs, because descriptors are counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `test` on the real clock.
pub(crate) fn alone(test: impl Future<Output = ()>) {
    run(Builder::new_current_thread().enable_all(), test);
}

/// Runs `test` on a clock that stands still while anything can be done, and otherwise jumps to the next timer.
pub(crate) fn alone_on_paused_clock(test: impl Future<Output = ()>) {
    run(Builder::new_current_thread().enable_all().start_paused(true), test);
}

fn run(builder: &mut Builder, test: impl Future<Output = ()>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = open_descriptors();
    let runtime = builder.build().expect("a runtime can be built");
    // On a paused clock, at once if nothing else can happen; on the real one, rather than never.
    let ended = runtime.block_on(async { timeout(TOO_LONG, test).await });
    ended.expect("the test ends");
    drop(runtime);
    assert_eq!(open_descriptors(), before, "descriptors after and before the test");
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is there").count()
}

/// While this lives, the process can open no further descriptor.
pub(crate) struct NoDescriptors(Rlimit);

impl NoDescriptors {
    pub(crate) fn left() -> Self {
        let usual = getrlimit(Resource::Nofile);
        let none = Rlimit { current: Some(0), ..usual };
        setrlimit(Resource::Nofile, none).expect("a limit can be lowered");
        Self(usual)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).expect("a limit can be put back");
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

/// Listens on some port of `address`.
pub(crate) fn listen(address: &str) -> (TcpListener, SocketAddr) {
    listen_at(SocketAddr::new(ip(address), 0))
}

#[expect(clippy::disallowed_methods, reason = "the other end of the connections under test")]
pub(crate) fn listen_at(address: SocketAddr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    (listener, address)
}

#[expect(clippy::disallowed_methods, reason = "the other end of the connections under test")]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("somebody listens")
}

/// Whether nobody has connected to `listener` yet.
pub(crate) fn saw_nobody(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).expect("the mode can be set");
    let accepted = listener.accept();
    accepted.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// An address that answers no connection request, as the queue of its listener is full until somebody accepts.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    _queued: TcpStream,
}

impl BlackHole {
    pub(crate) fn at(address: &str) -> Self {
        let (listener, address) = listen(address);
        rustix::net::listen(&listener, 0).expect("the queue can be made shorter");
        Self { address, listener, _queued: connect(address) }
    }

    /// Takes what is first in the queue, and with it room for one who asks again. Where that one called from.
    pub(crate) fn accept(&self) -> SocketAddr {
        let (_accepted, from) = self.listener.accept().expect("somebody is in the queue");
        from
    }
}

/// The fake switchboard's end of a target channel.
pub(crate) type FarEnd = Channel<Reply, Call>;

/// Both ends of a target channel.
pub(crate) fn target_channel() -> (Channel<Call, Reply>, FarEnd) {
    let (near, far) = fdpass::pair().expect("a pair of sockets can be made");
    let near = Channel::new(near).expect("it is a seqpacket socket");
    (near, Channel::new(far).expect("it is a seqpacket socket"))
}

/// The next reply, with what it carries.
pub(crate) async fn next_reply(far: &FarEnd) -> (CallId, ReplyBody, Option<OwnedFd>) {
    let received = far.receive().await.expect("it is a reply");
    let (Reply { id, body }, socket) = received.expect("the target still serves");
    (id, body, socket)
}
