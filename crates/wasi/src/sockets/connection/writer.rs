//! The half of a connection that a guest writes.

use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::Errno;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use super::{Connection, MIN_CHUNK_BYTES, Writing, failed};
use crate::sockets::fault::Fault;

/// The half that a guest writes.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Arc<Connection>,
    /// Whether dropping it ends the half.
    owns: bool,
    /// How much the next write may be.
    permitted_bytes: usize,
}

impl Writer {
    pub(crate) fn new(connection: &Arc<Connection>) -> Writer {
        Writer { connection: Arc::clone(connection), owns: true, permitted_bytes: MIN_CHUNK_BYTES }
    }

    /// One of several: dropping it ends nothing.
    pub(crate) fn shared(connection: &Arc<Connection>) -> Writer {
        Writer { connection: Arc::clone(connection), owns: false, permitted_bytes: MIN_CHUNK_BYTES }
    }

    /// Hands `data` to the kernel and tells how much of it was taken, which is not 0 unless `data` is empty.
    ///
    /// A writer is used either so, or as an [`OutputStream`] that keeps what the kernel does not take: not both.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Fault>> {
        match *self.connection.writing() {
            Writing::Idle => {}
            Writing::Failed(errno) => return Poll::Ready(Err(errno.into())),
            Writing::Busy { .. } | Writing::Closed => return Poll::Ready(Err(Fault::ConnectionBroken)),
        }
        let outcome = ready!(self.connection.poll_send(cx, data));
        if outcome.is_err() {
            *self.connection.writing() = Writing::Closed;
        }
        Poll::Ready(outcome.map_err(Fault::from))
    }

    /// Waits until the kernel takes something, or says why it does not.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(*self.connection.writing(), Writing::Idle) {
            return Poll::Ready(());
        }
        self.connection.poll_writable(cx)
    }

    /// Tells a failure, once; then the stream is closed.
    fn check(&self) -> StreamResult<MutexGuard<'_, Writing>> {
        let mut writing = self.connection.writing();
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
        if !matches!(*writing, Writing::Idle) || bytes.len() > self.permitted_bytes {
            return Err(StreamError::trap("the guest wrote more than `check-write` allowed"));
        }
        match self.connection.send_now(bytes) {
            Ok(rest) if rest.is_empty() => Ok(()),
            Ok(rest) => {
                *writing = Writing::Busy { close: false };
                drop(writing);
                let connection = Arc::clone(&self.connection);
                self.connection.tasks.spawn(async move {
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
        if !matches!(*self.check()?, Writing::Idle) {
            return Ok(0);
        }
        self.permitted_bytes = self.connection.chunk_bytes();
        Ok(self.permitted_bytes)
    }
}

#[async_trait::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        self.connection.writable().await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.owns {
            self.connection.close_writing();
        }
    }
}
