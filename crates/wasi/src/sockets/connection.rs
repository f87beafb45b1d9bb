//! A connected stream socket and its two halves, as guests read and write them: [`reader`] and [`writer`].
//!
//! Reading goes straight to the kernel. So does writing; what the kernel does not take is kept, at most one write's
//! worth, and a task hands it over. Until then the stream takes nothing more. A write half that is closed or dropped
//! sends what is left first and the end of the stream after it, as a kernel does for a process that exits.

mod reader;
mod writer;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use wasmtime_wasi_io::streams::StreamError;

use crate::sockets::network::Slot;
use crate::sockets::pending::Tasks;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

/// The most that is read or written at once.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// So much can be written at once whatever else the guest has: what one call that waits takes.
const MIN_CHUNK_BYTES: usize = 4096;

/// A connected socket. Its halves and the socket resource share it; the last one closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    fd: AsyncFd<OwnedFd>,
    /// Whether the guest still wants to read.
    reading: Mutex<bool>,
    writing: Mutex<Writing>,
    /// Told whenever `writing` leaves [`Writing::Busy`].
    written: Notify,
    tasks: Tasks,
    /// Counted as a socket until the last half is gone.
    slot: Option<Slot>,
}

/// The state of the write half.
#[derive(Debug)]
enum Writing {
    /// Takes a write. To any other state.
    Idle,
    /// A task hands the rest of a write to the kernel. To `Idle`, `Failed`, or (with `close`) `Closed`.
    Busy {
        /// The end of the stream follows.
        close: bool,
    },
    /// The kernel refused; the guest has not been told. To `Closed`.
    Failed(Errno),
    /// Takes nothing more.
    Closed,
}

impl Connection {
    /// Takes over a connected socket.
    ///
    /// # Errors
    ///
    /// The system cannot watch it, or this is no tokio runtime with I/O.
    pub(crate) fn new(socket: OwnedFd, tasks: &Tasks, slot: Option<Slot>) -> io::Result<Connection> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Connection {
            fd: watched(socket)?,
            reading: Mutex::new(true),
            writing: Mutex::new(Writing::Idle),
            written: Notify::new(),
            tasks: tasks.clone(),
            slot,
        })
    }

    /// Ends the read half: what is in the queue is gone for the guest, and so is what comes.
    pub(crate) fn close_reading(&self) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Ends the write half once everything written has gone.
    pub(crate) fn close_writing(&self) {
        let mut writing = self.writing();
        match &mut *writing {
            Writing::Idle => {
                *writing = Writing::Closed;
                self.send_end();
            }
            Writing::Busy { close } => *close = true,
            Writing::Failed(_) | Writing::Closed => {}
        }
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much one write may be: it may have to be kept.
    fn chunk_bytes(&self) -> usize {
        let bytes = self.slot.as_ref().map_or(MAX_CHUNK_BYTES, |slot| slot.unsent_bytes());
        bytes.clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES)
    }

    fn is_reading(&self) -> bool {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_end(&self) {
        // A peer that is gone already needs no end.
        let _ = rustix::net::shutdown(self.fd.get_ref(), Shutdown::Write);
    }

    /// Receives what is there. `None`: nothing is.
    fn receive(&self, max: usize) -> Result<Option<Vec<u8>>, Errno> {
        // If tokio thinks that the socket is not ready, the kernel may know better: asked in any case. If the kernel says
        // so, tokio must learn it: asked through tokio first.
        let mut asked = false;
        let through_tokio = self.fd.try_io(Interest::READABLE, |_| {
            asked = true;
            self.receive_now(max).map_err(io::Error::from)
        });
        let result = match through_tokio {
            Err(_) if !asked => self.receive_now(max),
            result => result.map_err(errno_of),
        };
        match result {
            Ok(data) => Ok(Some(data)),
            Err(Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn receive_now(&self, max: usize) -> Result<Vec<u8>, Errno> {
        let mut data = Vec::with_capacity(max);
        loop {
            match rustix::net::recv(self.as_fd(), rustix::buffer::spare_capacity(&mut data), RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                result => return result.map(|_| data),
            }
        }
    }

    fn send(&self, data: &[u8]) -> Result<usize, Errno> {
        loop {
            match rustix::net::send(self.as_fd(), data, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                result => return result,
            }
        }
    }

    /// Sends what the kernel takes now and returns the rest.
    fn send_now(&self, mut data: Bytes) -> Result<Bytes, Errno> {
        while !data.is_empty() {
            match self.send(&data) {
                Ok(count) => drop(data.split_to(count)),
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(data)
    }

    async fn send_all(&self, mut data: Bytes) -> Result<(), Errno> {
        while !data.is_empty() {
            let sent = self.fd.async_io(Interest::WRITABLE, |_| self.send(&data).map_err(io::Error::from)).await;
            match sent {
                Ok(count) => drop(data.split_to(count)),
                Err(error) => return Err(errno_of(error)),
            }
        }
        Ok(())
    }

    /// Receives into `buffer`, or waits.
    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8], flags: RecvFlags) -> Poll<Result<usize, Errno>> {
        self.poll_io(cx, Interest::READABLE, || {
            rustix::net::recv(self.as_fd(), &mut *buffer, flags).map(|(count, _)| count)
        })
    }

    fn poll_send(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Errno>> {
        self.poll_io(cx, Interest::WRITABLE, || self.send(data))
    }

    /// Tries at once, because the kernel may know better than tokio; after that, when tokio says so.
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut io: impl FnMut() -> Result<usize, Errno>,
    ) -> Poll<Result<usize, Errno>> {
        loop {
            match io() {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut guard = match interest {
                        Interest::READABLE => ready!(self.fd.poll_read_ready(cx)),
                        _ => ready!(self.fd.poll_write_ready(cx)),
                    }
                    .map_err(errno_of)?;
                    match guard.try_io(|_| io().map_err(io::Error::from)) {
                        Ok(outcome) => return Poll::Ready(outcome.map_err(errno_of)),
                        // tokio was behind; it waits for the kernel's next word now.
                        Err(_would_block) => {}
                    }
                }
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_events(cx, Interest::READABLE)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_events(cx, Interest::WRITABLE)
    }

    /// Waits for readiness that is the kernel's own, not what tokio remembers of the past.
    fn poll_events(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<()> {
        let flags = if interest == Interest::READABLE { PollFlags::IN } else { PollFlags::OUT };
        loop {
            let ready = match interest {
                Interest::READABLE => ready!(self.fd.poll_read_ready(cx)),
                _ => ready!(self.fd.poll_write_ready(cx)),
            };
            let Ok(mut guard) = ready else { return Poll::Ready(()) };
            match rustix::event::poll(&mut [PollFd::new(self, flags)], Some(&Timespec::default())) {
                Ok(0) => guard.clear_ready(),
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Ends the write that a task has carried out.
    fn write_done(&self, result: Result<(), Errno>) {
        let mut writing = self.writing();
        let close = matches!(*writing, Writing::Busy { close: true });
        *writing = match result {
            Ok(()) if close => Writing::Closed,
            Ok(()) => Writing::Idle,
            Err(Errno::PIPE) => Writing::Closed,
            Err(errno) => Writing::Failed(errno),
        };
        if close {
            self.send_end();
        }
        drop(writing);
        self.written.notify_waiters();
    }

    async fn writable(&self) {
        loop {
            let written = self.written.notified();
            if !matches!(*self.writing(), Writing::Busy { .. }) {
                return;
            }
            written.await;
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for types that change their descriptor, which OwnedFd never does"
)]
pub(crate) fn watched(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(socket)
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// tokio says "would block" in its own words; everything else is the kernel's.
fn errno_of(error: io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::WouldBlock => Errno::AGAIN,
        _ => Errno::from_io_error(&error).unwrap_or(Errno::IO),
    }
}

fn failed(errno: Errno) -> StreamError {
    // An `io::Error`, so that `network-error-code` finds the code in it.
    StreamError::LastOperationFailed(io::Error::from(errno).into())
}
