//! The socket of one connection, and when its other end counts as gone.
//!
//! A client that takes none of what is written for the limit is gone. So is one that resets the connection, which is noticed
//! also while nothing is read and nothing written, once all that it sent was read. A client that only shuts down its half
//! of the connection is there, and gets its answer.

use crate::activity::Activity;
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

pub(crate) struct Transport {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// How long a write may make no progress.
    write_limit: Duration,
    patience: Option<Pin<Box<Sleep>>>,
    /// Whether a write waits, so that `patience` runs.
    is_blocked: bool,
    /// Whether the socket may still tell something new while nobody reads: neither an end nor unread bytes were seen.
    is_watched: bool,
}

impl Transport {
    pub(crate) fn new(socket: OwnedFd, activity: Arc<Activity>, write_limit: Duration) -> io::Result<Self> {
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        let stream = TcpStream::from_std(socket)?;
        // What is written is whole already. Of a socket pair there is nothing to set.
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, activity, write_limit, patience: None, is_blocked: false, is_watched: true })
    }

    /// From now on closing the socket tells the other end that something went wrong.
    pub(crate) fn reset_on_close(&self) {
        // A socket pair knows no reset: its other end sees the end.
        let _ = self.stream.set_zero_linger();
    }

    /// What a write came to: its progress, or how long it has waited. Before it counts as stuck the system itself is asked,
    /// because a socket is announced as writable only when a good part of its buffer is free.
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.is_blocked = false;
            return written;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(self.write_limit)));
        if !self.is_blocked {
            self.is_blocked = true;
            patience.as_mut().reset(Instant::now() + self.write_limit);
        }
        if patience.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.is_blocked = false;
        match rustix::net::send(&self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(Errno::AGAIN) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    /// Looks for a reset while a request is under way and nobody reads.
    fn watch_end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.is_watched || !self.activity.is_busy() {
            return Ok(());
        }
        let mut byte = [0];
        match self.stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Pending => Ok(()),
            // The end of what the client says, or more of it. No news will come after either until it is read.
            Poll::Ready(Ok(_)) => {
                self.is_watched = false;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            let is_end = buf.filled().len() == before;
            self.is_watched = !is_end;
            if !is_end {
                self.activity.note_read();
            }
        }
        read
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch_write(cx, written, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.watch_write(cx, written, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver of a connection flushes whenever it has looked at everything else.
        Poll::Ready(self.watch_end(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
