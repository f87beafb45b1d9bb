//! A connected stream socket and its two halves, as guests read and write them.
//!
//! Reading goes straight to the kernel. So does writing; what the kernel does not take is kept, at most one write's
//! worth, and a task hands it over. Until then the stream takes nothing more. A write half that is closed or dropped
//! sends what is left first and the end of the stream after it, as a kernel does for a process that exits.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::sockets::fault::Fault;
use crate::sockets::pending::Tasks;

/// The most that is read or written at once.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

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
    pub(crate) fn new(socket: OwnedFd, tasks: &Tasks) -> io::Result<Connection> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Connection {
            fd: watched(socket)?,
            reading: Mutex::new(true),
            writing: Mutex::new(Writing::Idle),
            written: Notify::new(),
            tasks: tasks.clone(),
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

/// The half that a guest reads.
#[derive(Debug)]
pub(crate) struct Reader(Arc<Connection>);

impl Reader {
    pub(crate) fn new(connection: &Arc<Connection>) -> Reader {
        Reader(Arc::clone(connection))
    }

    /// Reads into `buffer`; 0 is the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Fault>> {
        if !self.0.is_reading() {
            return Poll::Ready(Ok(0));
        }
        let outcome = ready!(self.0.poll_receive(cx, buffer, RecvFlags::empty()));
        if !matches!(outcome, Ok(1..)) && !buffer.is_empty() {
            self.0.close_reading();
        }
        Poll::Ready(outcome.map_err(Fault::from))
    }

    /// Waits until there is something to read, the end of the stream and errors included.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_reading() { self.0.poll_readable(cx) } else { Poll::Ready(()) }
    }

    /// As [`Reader::poll_read`], but what is read stays to be read again.
    pub(crate) fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Fault>> {
        if !self.0.is_reading() {
            return Poll::Ready(Ok(0));
        }
        self.0.poll_receive(cx, buffer, RecvFlags::PEEK).map_err(Fault::from)
    }

    /// How many bytes can be read without waiting; 0 from a readable stream is its end.
    pub(crate) fn available(&self) -> u64 {
        if self.0.is_reading() { rustix::io::ioctl_fionread(&*self.0).unwrap_or(0) } else { 0 }
    }
}

#[async_trait::async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if !self.0.is_reading() {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.0.receive(size.min(MAX_CHUNK_BYTES)) {
            Ok(Some(data)) if data.is_empty() => {
                self.0.close_reading();
                Err(StreamError::Closed)
            }
            Ok(Some(data)) => Ok(data.into()),
            Ok(None) => Ok(Bytes::new()),
            Err(errno) => {
                self.0.close_reading();
                Err(failed(errno))
            }
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        loop {
            let data = self.read(size)?;
            if !data.is_empty() {
                return Ok(data);
            }
            self.ready().await;
            if size == 0 {
                return Ok(Bytes::new());
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        poll_fn(|cx| self.poll_readable(cx)).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.close_reading();
    }
}

/// The half that a guest writes.
#[derive(Debug)]
pub(crate) struct Writer(Arc<Connection>);

impl Writer {
    pub(crate) fn new(connection: &Arc<Connection>) -> Writer {
        Writer(Arc::clone(connection))
    }

    /// Hands `data` to the kernel and tells how much of it was taken, which is not 0 unless `data` is empty.
    ///
    /// A writer is used either so, or as an [`OutputStream`] that keeps what the kernel does not take: not both.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Fault>> {
        match *self.0.writing() {
            Writing::Idle => {}
            Writing::Failed(errno) => return Poll::Ready(Err(errno.into())),
            Writing::Busy { .. } | Writing::Closed => return Poll::Ready(Err(Fault::ConnectionBroken)),
        }
        let outcome = ready!(self.0.poll_send(cx, data));
        if outcome.is_err() {
            *self.0.writing() = Writing::Closed;
        }
        Poll::Ready(outcome.map_err(Fault::from))
    }

    /// Waits until the kernel takes something, or says why it does not.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(*self.0.writing(), Writing::Idle) {
            return Poll::Ready(());
        }
        self.0.poll_writable(cx)
    }

    /// Tells a failure, once; then the stream is closed.
    fn check(&self) -> StreamResult<MutexGuard<'_, Writing>> {
        let mut writing = self.0.writing();
        match *writing {
            Writing::Failed(errno) => {
                *writing = Writing::Closed;
                Err(failed(errno))
            }
            Writing::Closed | Writing::Busy { close: true } => Err(StreamError::Closed),
            Writing::Idle | Writing::Busy { close: false } => Ok(writing),
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut writing = self.check()?;
        if !matches!(*writing, Writing::Idle) || bytes.len() > MAX_CHUNK_BYTES {
            return Err(StreamError::trap("the guest wrote more than `check-write` allowed"));
        }
        match self.0.send_now(bytes) {
            Ok(rest) if rest.is_empty() => Ok(()),
            Ok(rest) => {
                *writing = Writing::Busy { close: false };
                drop(writing);
                let connection = Arc::clone(&self.0);
                self.0.tasks.spawn(async move {
                    let result = connection.send_all(rest).await;
                    connection.write_done(result);
                });
                Ok(())
            }
            Err(Errno::PIPE) => {
                *writing = Writing::Closed;
                Err(StreamError::Closed)
            }
            Err(errno) => {
                *writing = Writing::Closed;
                Err(failed(errno))
            }
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        // Everything is on its way already; a busy stream is ready when it is gone.
        self.check().map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let writing = self.check()?;
        Ok(if matches!(*writing, Writing::Idle) { MAX_CHUNK_BYTES } else { 0 })
    }
}

#[async_trait::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        self.0.writable().await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.close_writing();
    }
}
