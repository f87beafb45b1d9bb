//! A connection as standard input and output, as inetd gives it.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi_io::streams::{InputStream, OutputStream};

use crate::sockets::{Connection, Reader, Tasks, Writer};

/// How long a peer that still sends is listened to after the guest's end.
const FAREWELL: Duration = Duration::from_secs(2);

/// How much of that is taken, in bytes.
const MAX_UNREAD_BYTES: usize = 1024 * 1024;

/// A connected stream socket that is a guest's standard input and output.
///
/// Unless [`StdioConnection::close`] ends it, the connection is reset when it goes, so that the peer never takes a guest
/// that failed, or a process that was killed, for one that had no more to say.
#[derive(Debug)]
pub struct StdioConnection {
    connection: Arc<Connection>,
    tasks: Tasks,
}

impl StdioConnection {
    /// Takes over a connected socket.
    ///
    /// # Errors
    ///
    /// The system cannot watch it, or this is no tokio runtime with I/O.
    pub fn new(socket: OwnedFd) -> io::Result<StdioConnection> {
        let tasks = Tasks::default();
        // A Unix socket has no such option, and no reset.
        let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
        let connection = Arc::new(Connection::new(socket, &tasks, None)?);
        Ok(StdioConnection { connection, tasks })
    }

    /// Ends the connection as the peer expects it: what the guest has written goes out, then the end of the stream.
    ///
    /// A socket that is closed with something unread in it resets the connection, and the peer may lose what it was
    /// sent last. So what still comes is read and forgotten, for a bounded time and a bounded amount.
    pub async fn close(&self) {
        self.tasks.clone().finish().await;
        let _ = rustix::net::sockopt::set_socket_linger(&*self.connection, None);
        self.connection.close_writing();
        // Who goes on sending all the same is reset by the kernel.
        let _ = tokio::time::timeout(FAREWELL, self.drain()).await;
    }

    async fn drain(&self) {
        let mut reader = Reader::shared(&self.connection);
        let mut buffer = vec![0; 16 * 1024];
        let mut taken = 0;
        while taken < MAX_UNREAD_BYTES {
            match std::future::poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await {
                Ok(count) if count > 0 => taken += count,
                _ => return,
            }
        }
    }

    pub(super) fn input(&self) -> Input {
        Input(Arc::clone(&self.connection))
    }

    pub(super) fn output(&self) -> Output {
        Output(Arc::clone(&self.connection))
    }
}

/// Makes streams that read. They share what comes.
#[derive(Debug)]
pub(super) struct Input(Arc<Connection>);

/// Makes streams that write.
#[derive(Debug)]
pub(super) struct Output(Arc<Connection>);

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(AsyncReader(Reader::shared(&self.0)))
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(Reader::shared(&self.0))
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(AsyncWriter(Writer::shared(&self.0)))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer::shared(&self.0))
    }
}

/// A reader for WASI 0.3.
struct AsyncReader(Reader);

/// A writer for WASI 0.3.
struct AsyncWriter(Writer);

impl AsyncRead for AsyncReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.0.poll_read(cx, buffer.initialize_unfilled())).map_err(io::Error::other)?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for AsyncWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        // A peer that is gone is a broken pipe, which the interfaces have a code for.
        self.0.poll_write(cx, data).map_err(|fault| io::Error::new(io::ErrorKind::BrokenPipe, fault))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The connection goes on until the guest ends: it may open the stream again.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use bytes::Bytes;

    use super::*;

    fn pair() -> (StdioConnection, UnixStream) {
        let (ours, peer) = UnixStream::pair().unwrap();
        (StdioConnection::new(ours.into()).unwrap(), peer)
    }

    #[tokio::test]
    async fn streams_share_one_connection_and_end_nothing() {
        let (connection, mut peer) = pair();
        for turn in ["one", "two"] {
            peer.write_all(turn.as_bytes()).unwrap();
            let mut input = connection.input().p2_stream();
            input.ready().await;
            assert_eq!(input.read(100).unwrap(), turn);
            let mut output = connection.output().p2_stream();
            output.write(Bytes::from(turn)).unwrap();
        }
        let mut heard = [0; 6];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"onetwo");
    }

    #[tokio::test]
    async fn what_was_written_goes_out_before_the_end() {
        const MUCH: usize = 60 * 1024;
        let (connection, mut peer) = pair();
        let mut written = 0;
        let mut output = connection.output().p2_stream();
        // Until the kernel takes no more, so that something is left for a task.
        while output.check_write().unwrap() > 0 {
            output.write(Bytes::from(vec![7; MUCH])).unwrap();
            written += MUCH;
        }
        drop(output);
        let reading = tokio::task::spawn_blocking(move || {
            let mut heard = Vec::new();
            peer.read_to_end(&mut heard).unwrap();
            heard.len()
        });
        connection.close().await;
        assert_eq!(reading.await.unwrap(), written);
    }

    #[tokio::test]
    async fn a_peer_that_said_more_than_was_read_still_gets_its_answer() {
        let (connection, mut peer) = pair();
        peer.write_all(b"asked, and much that nobody reads").unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let mut heard = String::new();
            peer.read_to_string(&mut heard).map(|_| heard)
        });
        connection.output().p2_stream().write(Bytes::from_static(b"answer")).unwrap();
        connection.close().await;
        drop(connection);
        assert_eq!(reading.await.unwrap().unwrap(), "answer");
    }

    #[tokio::test]
    async fn a_guest_that_ends_badly_resets_its_connection() {
        let listener = std::net::Ipv4Addr::LOCALHOST;
        let socket = |kind| rustix::net::socket(rustix::net::AddressFamily::INET, kind, None).unwrap();
        let (server, client) = (socket(rustix::net::SocketType::STREAM), socket(rustix::net::SocketType::STREAM));
        rustix::net::bind(&server, &std::net::SocketAddr::from((listener, 0))).unwrap();
        rustix::net::listen(&server, 1).unwrap();
        let address = rustix::net::getsockname(&server).unwrap();
        rustix::net::connect(&client, &address).unwrap();
        let connection = StdioConnection::new(rustix::net::accept(&server).unwrap()).unwrap();
        drop(connection);
        let mut nothing = [0; 1];
        let read = rustix::io::read(&client, &mut nothing);
        assert_eq!(read, Err(rustix::io::Errno::CONNRESET));
    }
}
