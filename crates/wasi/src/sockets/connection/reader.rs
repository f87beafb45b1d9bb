//! The half of a connection that a guest reads.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::net::RecvFlags;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, StreamError, StreamResult};

use super::{Connection, MAX_CHUNK_BYTES, failed};
use crate::sockets::fault::Fault;

/// The half that a guest reads.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Arc<Connection>,
    /// Whether dropping it ends the half.
    owns: bool,
}

impl Reader {
    pub(crate) fn new(connection: &Arc<Connection>) -> Reader {
        Reader { connection: Arc::clone(connection), owns: true }
    }

    /// One of several: dropping it ends nothing.
    pub(crate) fn shared(connection: &Arc<Connection>) -> Reader {
        Reader { connection: Arc::clone(connection), owns: false }
    }

    /// Reads into `buffer`; 0 is the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Fault>> {
        if !self.connection.is_reading() {
            return Poll::Ready(Ok(0));
        }
        let outcome = ready!(self.connection.poll_receive(cx, buffer, RecvFlags::empty()));
        if !matches!(outcome, Ok(1..)) && !buffer.is_empty() {
            self.connection.close_reading();
        }
        Poll::Ready(outcome.map_err(Fault::from))
    }

    /// Waits until there is something to read, the end of the stream and errors included.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.connection.is_reading() { self.connection.poll_readable(cx) } else { Poll::Ready(()) }
    }

    /// As [`Reader::poll_read`], but what is read stays to be read again.
    pub(crate) fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Fault>> {
        if !self.connection.is_reading() {
            return Poll::Ready(Ok(0));
        }
        self.connection.poll_receive(cx, buffer, RecvFlags::PEEK).map_err(Fault::from)
    }

    /// How many bytes can be read without waiting; 0 from a readable stream is its end.
    pub(crate) fn available(&self) -> u64 {
        if self.connection.is_reading() { rustix::io::ioctl_fionread(&*self.connection).unwrap_or(0) } else { 0 }
    }
}

#[async_trait::async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if !self.connection.is_reading() {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.connection.receive(size.min(MAX_CHUNK_BYTES)) {
            Ok(Some(data)) if data.is_empty() => {
                self.connection.close_reading();
                Err(StreamError::Closed)
            }
            Ok(Some(data)) => Ok(data.into()),
            Ok(None) => Ok(Bytes::new()),
            Err(errno) => {
                self.connection.close_reading();
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
        if self.owns {
            self.connection.close_reading();
        }
    }
}
