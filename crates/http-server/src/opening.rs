//! The first bytes of a connection, which tell the version of HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Most bytes that are read before the version is known: a common head is in them.
const FIRST_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// Reads until the version is clear. `None` if the client said nothing, or went before that.
pub(crate) async fn open<I: AsyncRead + Unpin>(mut io: I) -> io::Result<Option<(Version, Opened<I>)>> {
    let mut first = Vec::with_capacity(FIRST_BYTES);
    loop {
        let count = io.read_buf(&mut first).await?;
        match version(&first) {
            Some(version) => return Ok(Some((version, Opened { first, taken: 0, io }))),
            // What is left of a preface is an HTTP/1 request that was broken off.
            None if count == 0 => return Ok(None),
            None => {}
        }
    }
}

fn version(first: &[u8]) -> Option<Version> {
    let common = first.len().min(PREFACE.len());
    if first[..common] != PREFACE[..common] {
        Some(Version::Http1)
    } else if common == PREFACE.len() {
        Some(Version::Http2)
    } else {
        None
    }
}

/// A connection whose first bytes are read again.
pub(crate) struct Opened<I> {
    first: Vec<u8>,
    taken: usize,
    io: I,
}

impl<I> Opened<I> {
    pub(crate) fn io(&self) -> &I {
        &self.io
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Opened<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = &this.first[this.taken..];
        if left.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let count = left.len().min(buf.remaining());
        buf.put_slice(&left[..count]);
        this.taken += count;
        if this.taken == this.first.len() {
            (this.first, this.taken) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Opened<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
