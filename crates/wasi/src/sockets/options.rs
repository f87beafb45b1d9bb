//! Socket options: what a guest may set, before and after there is a socket.
//!
//! A guest sets options on a socket that does not exist before its connection arrives. They are kept, told when asked,
//! and given to the kernel with the connection. A socket pair to another service knows nothing of TCP; for those options
//! it goes on telling what was set.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, sockopt};

use crate::sockets::fault::Fault;

/// What Linux takes: whole seconds, so many bits.
const KEEP_ALIVE_SECONDS: std::ops::RangeInclusive<u64> = 1..=32_767;

/// What Linux takes.
const KEEP_ALIVE_COUNT: std::ops::RangeInclusive<u32> = 1..=127;

const NANOSECONDS: u64 = 1_000_000_000;

/// The options of one socket: what was set, or Linux's defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    keep_alive: Option<bool>,
    keep_alive_idle: Option<Duration>,
    keep_alive_interval: Option<Duration>,
    keep_alive_count: Option<u32>,
    hop_limit: Option<u8>,
    no_delay: Option<bool>,
    receive_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

/// One option: how to check it, keep it, and exchange it with the kernel.
pub(crate) trait SocketOption {
    /// What WASI calls its value.
    type Wasi: Copy;
    /// What is kept.
    type Kept: Copy;
    /// What a new Linux socket has.
    const DEFAULT: Self::Kept;

    /// Checks a value; what the kernel would shorten is shortened here.
    fn check(value: Self::Wasi) -> Result<Self::Kept, Fault>;
    /// The kept value as WASI calls it.
    fn tell(kept: Self::Kept) -> Self::Wasi;
    /// Where it is kept.
    fn place(options: &mut Options) -> &mut Option<Self::Kept>;
    /// Reads it from a socket.
    fn read(socket: BorrowedFd<'_>) -> Result<Self::Kept, Errno>;
    /// Sets it on a socket.
    fn write(socket: BorrowedFd<'_>, kept: Self::Kept) -> Result<(), Errno>;
}

impl Options {
    /// The value of an option.
    pub(crate) fn get<O: SocketOption>(&self, socket: Option<BorrowedFd<'_>>) -> Result<O::Wasi, Fault> {
        let kept = O::place(&mut self.clone()).unwrap_or(O::DEFAULT);
        let Some(socket) = socket else { return Ok(O::tell(kept)) };
        match O::read(socket) {
            Ok(value) => Ok(O::tell(value)),
            Err(errno) if is_unknown(errno) => Ok(O::tell(kept)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets an option.
    pub(crate) fn set<O: SocketOption>(&mut self, socket: Option<BorrowedFd<'_>>, value: O::Wasi) -> Result<(), Fault> {
        let kept = O::check(value)?;
        if let Some(socket) = socket {
            write::<O>(socket, kept)?;
        }
        *O::place(self) = Some(kept);
        Ok(())
    }

    /// Gives everything that was set to a socket that has just arrived. What it does not take stays as it was: the
    /// connection is worth more than its options.
    pub(crate) fn apply(&mut self, socket: &impl AsFd) {
        fn one<O: SocketOption>(options: &mut Options, socket: BorrowedFd<'_>) {
            if let Some(kept) = *O::place(options)
                && let Err(fault) = write::<O>(socket, kept)
            {
                tracing::debug!(?fault, "a socket option was not taken");
            }
        }
        let socket = socket.as_fd();
        one::<KeepAlive>(self, socket);
        one::<KeepAliveIdle>(self, socket);
        one::<KeepAliveInterval>(self, socket);
        one::<KeepAliveCount>(self, socket);
        one::<HopLimit>(self, socket);
        one::<NoDelay>(self, socket);
        one::<ReceiveBuffer>(self, socket);
        one::<SendBuffer>(self, socket);
    }
}

fn write<O: SocketOption>(socket: BorrowedFd<'_>, kept: O::Kept) -> Result<(), Fault> {
    match O::write(socket, kept) {
        Ok(()) => Ok(()),
        Err(errno) if is_unknown(errno) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The socket is a Unix one, which has no such option.
fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::OPNOTSUPP | Errno::NOPROTOOPT)
}

/// Whether the kernel looks after an idle connection.
pub(crate) enum KeepAlive {}
/// How long a connection must be idle for that.
pub(crate) enum KeepAliveIdle {}
/// How long the kernel waits between its probes.
pub(crate) enum KeepAliveInterval {}
/// How many probes go unanswered before the connection is given up.
pub(crate) enum KeepAliveCount {}
/// How many routers a packet may pass.
pub(crate) enum HopLimit {}
/// Whether small writes go out at once.
pub(crate) enum NoDelay {}
/// Bytes the kernel keeps for reading.
pub(crate) enum ReceiveBuffer {}
/// Bytes the kernel keeps for sending.
pub(crate) enum SendBuffer {}

impl SocketOption for KeepAlive {
    type Wasi = bool;
    type Kept = bool;
    const DEFAULT: bool = false;

    fn check(value: bool) -> Result<bool, Fault> {
        Ok(value)
    }
    fn tell(kept: bool) -> bool {
        kept
    }
    fn place(options: &mut Options) -> &mut Option<bool> {
        &mut options.keep_alive
    }
    fn read(socket: BorrowedFd<'_>) -> Result<bool, Errno> {
        sockopt::socket_keepalive(socket)
    }
    fn write(socket: BorrowedFd<'_>, kept: bool) -> Result<(), Errno> {
        sockopt::set_socket_keepalive(socket, kept)
    }
}

impl SocketOption for KeepAliveIdle {
    type Wasi = u64;
    type Kept = Duration;
    const DEFAULT: Duration = Duration::from_secs(7200);

    fn check(value: u64) -> Result<Duration, Fault> {
        whole_seconds(value)
    }
    fn tell(kept: Duration) -> u64 {
        nanoseconds(kept)
    }
    fn place(options: &mut Options) -> &mut Option<Duration> {
        &mut options.keep_alive_idle
    }
    fn read(socket: BorrowedFd<'_>) -> Result<Duration, Errno> {
        sockopt::tcp_keepidle(socket)
    }
    fn write(socket: BorrowedFd<'_>, kept: Duration) -> Result<(), Errno> {
        sockopt::set_tcp_keepidle(socket, kept)
    }
}

impl SocketOption for KeepAliveInterval {
    type Wasi = u64;
    type Kept = Duration;
    const DEFAULT: Duration = Duration::from_secs(75);

    fn check(value: u64) -> Result<Duration, Fault> {
        whole_seconds(value)
    }
    fn tell(kept: Duration) -> u64 {
        nanoseconds(kept)
    }
    fn place(options: &mut Options) -> &mut Option<Duration> {
        &mut options.keep_alive_interval
    }
    fn read(socket: BorrowedFd<'_>) -> Result<Duration, Errno> {
        sockopt::tcp_keepintvl(socket)
    }
    fn write(socket: BorrowedFd<'_>, kept: Duration) -> Result<(), Errno> {
        sockopt::set_tcp_keepintvl(socket, kept)
    }
}

impl SocketOption for KeepAliveCount {
    type Wasi = u32;
    type Kept = u32;
    const DEFAULT: u32 = 9;

    fn check(value: u32) -> Result<u32, Fault> {
        not_zero(value.into())?;
        Ok(value.clamp(*KEEP_ALIVE_COUNT.start(), *KEEP_ALIVE_COUNT.end()))
    }
    fn tell(kept: u32) -> u32 {
        kept
    }
    fn place(options: &mut Options) -> &mut Option<u32> {
        &mut options.keep_alive_count
    }
    fn read(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
        sockopt::tcp_keepcnt(socket)
    }
    fn write(socket: BorrowedFd<'_>, kept: u32) -> Result<(), Errno> {
        sockopt::set_tcp_keepcnt(socket, kept)
    }
}

impl SocketOption for HopLimit {
    type Wasi = u8;
    type Kept = u8;
    const DEFAULT: u8 = 64;

    fn check(value: u8) -> Result<u8, Fault> {
        not_zero(value.into())?;
        Ok(value)
    }
    fn tell(kept: u8) -> u8 {
        kept
    }
    fn place(options: &mut Options) -> &mut Option<u8> {
        &mut options.hop_limit
    }
    fn read(socket: BorrowedFd<'_>) -> Result<u8, Errno> {
        if sockopt::socket_domain(socket)? == AddressFamily::INET6 {
            return sockopt::ipv6_unicast_hops(socket);
        }
        sockopt::ip_ttl(socket).map(|hops| u8::try_from(hops).unwrap_or(u8::MAX))
    }
    fn write(socket: BorrowedFd<'_>, kept: u8) -> Result<(), Errno> {
        if sockopt::socket_domain(socket)? == AddressFamily::INET6 {
            return sockopt::set_ipv6_unicast_hops(socket, Some(kept));
        }
        sockopt::set_ip_ttl(socket, kept.into())
    }
}

impl SocketOption for NoDelay {
    type Wasi = bool;
    type Kept = bool;
    const DEFAULT: bool = false;

    fn check(value: bool) -> Result<bool, Fault> {
        Ok(value)
    }
    fn tell(kept: bool) -> bool {
        kept
    }
    fn place(options: &mut Options) -> &mut Option<bool> {
        &mut options.no_delay
    }
    fn read(socket: BorrowedFd<'_>) -> Result<bool, Errno> {
        sockopt::tcp_nodelay(socket)
    }
    fn write(socket: BorrowedFd<'_>, kept: bool) -> Result<(), Errno> {
        sockopt::set_tcp_nodelay(socket, kept)
    }
}

impl SocketOption for ReceiveBuffer {
    type Wasi = u64;
    type Kept = usize;
    const DEFAULT: usize = 65_536;

    fn check(value: u64) -> Result<usize, Fault> {
        buffer_bytes(value)
    }
    fn tell(kept: usize) -> u64 {
        kept as u64
    }
    fn place(options: &mut Options) -> &mut Option<usize> {
        &mut options.receive_buffer
    }
    fn read(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        sockopt::socket_recv_buffer_size(socket).map(without_overhead)
    }
    fn write(socket: BorrowedFd<'_>, kept: usize) -> Result<(), Errno> {
        sockopt::set_socket_recv_buffer_size(socket, kept)
    }
}

impl SocketOption for SendBuffer {
    type Wasi = u64;
    type Kept = usize;
    const DEFAULT: usize = 8_192;

    fn check(value: u64) -> Result<usize, Fault> {
        buffer_bytes(value)
    }
    fn tell(kept: usize) -> u64 {
        kept as u64
    }
    fn place(options: &mut Options) -> &mut Option<usize> {
        &mut options.send_buffer
    }
    fn read(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        sockopt::socket_send_buffer_size(socket).map(without_overhead)
    }
    fn write(socket: BorrowedFd<'_>, kept: usize) -> Result<(), Errno> {
        sockopt::set_socket_send_buffer_size(socket, kept)
    }
}

/// Linux doubles a buffer size for its own bookkeeping, and tells the double.
fn without_overhead(told: usize) -> usize {
    told / 2
}

fn not_zero(value: u64) -> Result<(), Fault> {
    if value == 0 { Err(Fault::InvalidArgument) } else { Ok(()) }
}

fn buffer_bytes(value: u64) -> Result<usize, Fault> {
    not_zero(value)?;
    Ok(usize::try_from(value.min(i32::MAX as u64)).unwrap_or(usize::MAX))
}

fn whole_seconds(value: u64) -> Result<Duration, Fault> {
    not_zero(value)?;
    let seconds = value.div_ceil(NANOSECONDS);
    Ok(Duration::from_secs(seconds.clamp(*KEEP_ALIVE_SECONDS.start(), *KEEP_ALIVE_SECONDS.end())))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a real connection to set options on")]
    fn connection(address: &str) -> OwnedFd {
        let listener = std::net::TcpListener::bind(address).unwrap();
        std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap().into()
    }

    fn sockets() -> [OwnedFd; 3] {
        let (pair, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        [connection("127.0.0.1:0"), connection("[::1]:0"), pair.into()]
    }

    /// Sets, asks, lets the connection arrive, asks, sets again, asks.
    fn check<O: SocketOption>(first: O::Wasi, second: O::Wasi)
    where
        O::Wasi: PartialEq + std::fmt::Debug,
    {
        for socket in sockets() {
            let mut options = Options::default();
            options.set::<O>(None, first).unwrap();
            assert_eq!(options.get::<O>(None), Ok(first));
            options.apply(&socket);
            assert_eq!(options.get::<O>(Some(socket.as_fd())), Ok(first));
            options.set::<O>(Some(socket.as_fd()), second).unwrap();
            assert_eq!(options.get::<O>(Some(socket.as_fd())), Ok(second));
        }
    }

    #[test]
    fn options_hold_before_and_after_the_connection() {
        check::<KeepAlive>(true, false);
        check::<KeepAliveIdle>(42 * NANOSECONDS, 43 * NANOSECONDS);
        check::<KeepAliveInterval>(42 * NANOSECONDS, 43 * NANOSECONDS);
        check::<KeepAliveCount>(3, 127);
        check::<HopLimit>(42, 255);
        check::<ReceiveBuffer>(20_000, 30_000);
        check::<SendBuffer>(20_000, 30_000);
    }

    #[test]
    fn zero_is_no_value() {
        let mut options = Options::default();
        assert_eq!(options.set::<KeepAliveIdle>(None, 0), Err(Fault::InvalidArgument));
        assert_eq!(options.set::<KeepAliveInterval>(None, 0), Err(Fault::InvalidArgument));
        assert_eq!(options.set::<KeepAliveCount>(None, 0), Err(Fault::InvalidArgument));
        assert_eq!(options.set::<HopLimit>(None, 0), Err(Fault::InvalidArgument));
        assert_eq!(options.set::<ReceiveBuffer>(None, 0), Err(Fault::InvalidArgument));
        assert_eq!(options.set::<SendBuffer>(None, 0), Err(Fault::InvalidArgument));
    }

    #[test]
    fn too_much_is_shortened() {
        let [socket, ..] = sockets();
        for socket in [None, Some(socket.as_fd())] {
            let mut options = Options::default();
            options.set::<KeepAliveIdle>(socket, u64::MAX).unwrap();
            assert_eq!(options.get::<KeepAliveIdle>(socket), Ok(32_767 * NANOSECONDS));
            options.set::<KeepAliveIdle>(socket, 1).unwrap();
            assert_eq!(options.get::<KeepAliveIdle>(socket), Ok(NANOSECONDS));
            options.set::<KeepAliveCount>(socket, u32::MAX).unwrap();
            assert_eq!(options.get::<KeepAliveCount>(socket), Ok(127));
            options.set::<SendBuffer>(socket, u64::MAX).unwrap();
            options.set::<ReceiveBuffer>(socket, 1).unwrap();
        }
    }

    #[test]
    fn what_was_not_set_is_as_in_a_new_socket() {
        let [socket, ..] = sockets();
        let options = Options::default();
        assert_eq!(options.get::<KeepAliveIdle>(None), options.get::<KeepAliveIdle>(Some(socket.as_fd())));
        assert_eq!(options.get::<KeepAliveCount>(None), options.get::<KeepAliveCount>(Some(socket.as_fd())));
        assert_eq!(options.get::<HopLimit>(None), options.get::<HopLimit>(Some(socket.as_fd())));
    }
}
