//! One push of an accepted connection, and what its outcome says about trying again.

use super::is_scarcity;
use capability::{Labels, LimitKind, Refusal, UnreachableCause};
use client::{Handle, RequestError};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// An accepted connection that no server has taken yet.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) socket: OwnedFd,
    pub(crate) labels: Labels,
    /// When it was accepted.
    pub(crate) since: Instant,
}

/// A push that ended.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Which it was, in the order of arrival.
    pub(crate) number: u64,
    pub(crate) arrival: Arrival,
    pub(crate) verdict: Verdict,
}

/// What becomes of a connection after a push.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A server has it.
    Taken,
    /// The server, or the switchboard, has no room for it at the moment.
    NoRoom(RequestError),
    /// No server is there.
    NoServer(RequestError),
    /// It was refused for good.
    Refused(RequestError),
    /// Nobody said what became of it. It may have reached a server all the same, so nothing may be done to it.
    Unanswered,
    /// The handle is of no use any more.
    Broken(RequestError),
}

/// Pushes a connection once. `time` is what the switchboard gets for it.
pub(crate) async fn push(handle: Handle, number: u64, arrival: Arrival, time: Duration) -> Pushed {
    let verdict = offer(&handle, &arrival.labels, arrival.socket.as_fd(), Vec::new(), time).await;
    Pushed { number, arrival, verdict }
}

/// Pushes a socket once, with what came before it. `time` is what the switchboard gets for it.
pub(crate) async fn offer(
    handle: &Handle,
    labels: &Labels,
    socket: BorrowedFd<'_>,
    datagrams: Vec<Vec<u8>>,
    time: Duration,
) -> Verdict {
    match timeout(time, handle.push(labels, socket, datagrams)).await {
        Ok(Ok(_labels)) => Verdict::Taken,
        Ok(Err(error)) => Verdict::of(error),
        Err(_elapsed) => Verdict::Unanswered,
    }
}

impl Verdict {
    pub(crate) fn of(error: RequestError) -> Self {
        match error {
            RequestError::Refused(Refusal::NotFound) => Self::NoServer(error),
            RequestError::Refused(
                Refusal::Limit { limit: LimitKind::Backlog | LimitKind::Descriptors | LimitKind::Requests }
                // The next decision does not choose it any more.
                | Refusal::Unreachable { cause: UnreachableCause::TargetGone },
            )
            | RequestError::OutOfDescriptors => Self::NoRoom(error),
            RequestError::Refused(_) | RequestError::Fault | RequestError::Unsendable(_) => Self::Refused(error),
            RequestError::Io(ref cause) if is_scarcity(cause) => Self::NoRoom(error),
            RequestError::Io(_) | RequestError::Gone | RequestError::Protocol(_) => Self::Broken(error),
        }
    }
}

/// Closes a connection that nobody else holds so that the client learns it was refused. Closed as usual, it would look
/// like a server that answers nothing.
pub(crate) fn reset(socket: OwnedFd) {
    // If it cannot be set, the client sees an end instead.
    let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
}

/// Those whose client has broken the connection off. A client that has only said all it has to say is still there.
pub(crate) fn broken_off<'a>(waiting: impl Iterator<Item = (u64, &'a Arrival)>) -> Vec<u64> {
    let (numbers, mut polled): (Vec<u64>, Vec<PollFd<'_>>) =
        waiting.map(|(number, arrival)| (number, PollFd::new(&arrival.socket, PollFlags::empty()))).unzip();
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if rustix::event::poll(&mut polled, Some(&at_once)).is_err() {
        return Vec::new();
    }
    let is_gone = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR);
    numbers.into_iter().zip(polled).filter(|(_, fd)| is_gone(fd)).map(|(number, _)| number).collect()
}
