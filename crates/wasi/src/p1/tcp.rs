//! Stream sockets: what Linux makes of each call in each state, over the state machine of a TCP socket.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use wasmtime_wasi::p1::types::{Errno, Error, Riflags};
use wiggle::GuestMemory;

use crate::p1::memory::Pieces;
use crate::p1::poll::{Direction, Readiness};
use crate::p1::socket::Received;
use crate::p1::wait::Patience;
use crate::sockets::{Family, Fault, Halves, Network, Reader, SocketOption, TcpSocket, Writer};

/// The most that is taken out of several pieces for one write, and read at once where it cannot go straight into one.
const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// A stream socket.
#[derive(Debug)]
pub(super) struct Tcp {
    socket: TcpSocket,
    /// The two halves, once it is connected.
    stream: Option<(Reader, Writer)>,
    /// Whether a connection has been asked for and its outcome not been looked at.
    connecting: bool,
    /// What went wrong and has not been told.
    failure: Option<Errno>,
}

impl Tcp {
    pub(super) fn new(network: &Network, family: Family) -> Result<Tcp, Fault> {
        Ok(Tcp { socket: TcpSocket::new(network, family)?, stream: None, connecting: false, failure: None })
    }

    /// Takes over a connected socket.
    pub(super) fn connected(mut socket: TcpSocket) -> Result<Tcp, Fault> {
        let stream = Some((socket.take_reader()?, socket.take_writer()?));
        Ok(Tcp { socket, stream, connecting: false, failure: None })
    }

    pub(super) fn family(&self) -> Family {
        self.socket.family()
    }

    pub(super) fn is_listening(&self) -> bool {
        self.socket.is_listening()
    }

    pub(super) async fn bind(&mut self, local: SocketAddr) -> Result<(), Errno> {
        Ok(self.socket.bind(local).await?)
    }

    pub(super) async fn listen(&mut self, backlog: u32) -> Result<(), Errno> {
        // Linux takes 0 for "as few as possible".
        self.socket.set_backlog(u64::from(backlog.max(1)))?;
        if self.socket.is_listening() {
            return Ok(());
        }
        if !self.socket.is_bound() {
            self.socket.bind(SocketAddr::new(self.family().unspecified(), 0)).await?;
        }
        Ok(self.socket.listen()?)
    }

    pub(super) async fn accept(&mut self, patience: Patience) -> Result<Tcp, Error> {
        if !self.socket.is_listening() {
            return Err(Errno::Inval.into());
        }
        let socket = &self.socket;
        let next = poll_fn(|cx| {
            loop {
                ready!(socket.poll_acceptable(cx));
                match socket.accept() {
                    Err(Fault::WouldBlock) => {}
                    outcome => return Poll::Ready(outcome.map_err(Error::from)),
                }
            }
        });
        Ok(Tcp::connected(patience.wait(Errno::Again, next).await?)?)
    }

    pub(super) async fn connect(&mut self, remote: SocketAddr, patience: Patience) -> Result<(), Error> {
        self.settle();
        if self.stream.is_some() || self.socket.is_listening() {
            return Err(Errno::Isconn.into());
        }
        if self.connecting {
            return Err(Errno::Already.into());
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure.into());
        }
        if remote.port() == 0 {
            return Err(Errno::Connrefused.into());
        }
        self.socket.start_connect(remote).map_err(|fault| match fault {
            // Not an address of one host.
            Fault::InvalidArgument => Errno::Netunreach,
            fault => fault.into(),
        })?;
        self.connecting = true;
        self.settled(patience, Errno::Inprogress).await
    }

    /// Looks at the outcome of a connection that was asked for, if it is there.
    fn settle(&mut self) {
        if !self.connecting {
            return;
        }
        let outcome = match self.socket.finish_connect() {
            Err(Fault::WouldBlock) => return,
            Err(fault) => Err(fault),
            Ok(()) => self.socket.take_reader().and_then(|reader| Ok((reader, self.socket.take_writer()?))),
        };
        self.connecting = false;
        match outcome {
            Ok(stream) => self.stream = Some(stream),
            Err(fault) => {
                self.failure = Some(fault.into());
                self.socket.reset();
            }
        }
    }

    /// Waits for the outcome of a connection that was asked for, and tells what went wrong last.
    async fn settled(&mut self, patience: Patience, unsettled: Errno) -> Result<(), Error> {
        self.settle();
        if self.connecting {
            let arrived = poll_fn(|cx| self.socket.poll_connected(cx).map(Ok));
            patience.wait(unsettled, arrived).await?;
            self.settle();
        }
        match self.failure.take() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    pub(super) async fn receive(
        &mut self,
        memory: &mut GuestMemory<'_>,
        pieces: &Pieces,
        flags: Riflags,
        patience: Patience,
    ) -> Result<Received, Error> {
        self.settled(patience, Errno::Again).await?;
        let (reader, _) = self.stream.as_mut().ok_or(Errno::Notconn)?;
        let count = if pieces.len() == 0 {
            0
        } else if flags.contains(Riflags::RECV_PEEK) {
            peek(reader, memory, pieces, patience).await?
        } else if flags.contains(Riflags::RECV_WAITALL) {
            let (count, failure) = read_all(reader, memory, pieces, patience).await?;
            self.failure = failure;
            count
        } else {
            read(reader, memory, pieces, 0, patience).await?
        };
        let from = self.socket.remote_address().ok();
        Ok(Received { count, truncated: false, from })
    }

    /// Sends everything, or with no patience what the kernel takes now.
    pub(super) async fn send(
        &mut self,
        memory: &GuestMemory<'_>,
        pieces: &Pieces,
        patience: Patience,
    ) -> Result<usize, Error> {
        self.settled(patience, Errno::Again).await?;
        let (_, writer) = self.stream.as_mut().ok_or(Errno::Pipe)?;
        let data = pieces.read(memory, MAX_CHUNK_BYTES)?;
        let mut sent = 0;
        while sent < data.len() {
            let rest = &data[sent..];
            let written = poll_fn(|cx| writer.poll_write(cx, rest).map_err(Error::from));
            match patience.wait(Errno::Again, written).await {
                Ok(count) => sent += count,
                Err(error) if sent == 0 => return Err(error),
                Err(error) => {
                    self.failure = later(error)?;
                    break;
                }
            }
        }
        Ok(sent)
    }

    pub(super) fn shutdown(&mut self, halves: Halves) -> Result<(), Errno> {
        self.settle();
        if self.socket.is_listening() {
            if halves != Halves::Write {
                self.socket.reset();
            }
            return Ok(());
        }
        if self.stream.is_none() {
            return Err(Errno::Notconn);
        }
        Ok(self.socket.shutdown(halves)?)
    }

    pub(super) fn local_address(&mut self) -> Option<SocketAddr> {
        self.settle();
        self.socket.local_address().ok()
    }

    pub(super) fn remote_address(&mut self) -> Option<SocketAddr> {
        self.settle();
        self.socket.remote_address().ok()
    }

    pub(super) fn take_error(&mut self) -> Option<Errno> {
        self.settle();
        self.failure.take()
    }

    pub(super) fn option<O: SocketOption>(&self) -> Result<O::Wasi, Errno> {
        Ok(self.socket.option::<O>()?)
    }

    pub(super) fn set_option<O: SocketOption>(&mut self, value: O::Wasi) -> Result<(), Errno> {
        Ok(self.socket.set_option::<O>(value)?)
    }

    /// As poll(2): a socket that was never connected is ready, because no call on it would wait.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>, direction: Direction) -> Poll<Readiness> {
        if self.connecting {
            ready!(self.socket.poll_connected(cx));
            self.settle();
        }
        if self.failure.is_some() {
            return Poll::Ready(Readiness::HUNG_UP);
        }
        if self.socket.is_listening() {
            return match direction {
                Direction::Read => self.socket.poll_acceptable(cx).map(|()| Readiness::of(1)),
                // There will never be anything to write to.
                Direction::Write => Poll::Pending,
            };
        }
        let Some((reader, writer)) = &mut self.stream else { return Poll::Ready(Readiness::HUNG_UP) };
        match direction {
            Direction::Read => reader.poll_readable(cx).map(|()| match reader.available() {
                0 => Readiness::HUNG_UP,
                bytes => Readiness::of(bytes),
            }),
            Direction::Write => writer.poll_writable(cx).map(|()| Readiness::of(1)),
        }
    }
}

/// Reads once, `skip` bytes behind the beginning of `pieces`: straight into the first piece, where that can be.
async fn read(
    reader: &mut Reader,
    memory: &mut GuestMemory<'_>,
    pieces: &Pieces,
    skip: usize,
    patience: Patience,
) -> Result<usize, Error> {
    if skip == 0
        && let Some(buffer) = pieces.first(memory)?
    {
        let bytes = poll_fn(|cx| reader.poll_read(cx, buffer).map_err(Error::from));
        return patience.wait(Errno::Again, bytes).await;
    }
    let mut buffer = vec![0; (pieces.len() - skip).min(MAX_CHUNK_BYTES)];
    let bytes = poll_fn(|cx| reader.poll_read(cx, &mut buffer).map_err(Error::from));
    let count = patience.wait(Errno::Again, bytes).await?;
    pieces.fill(memory, skip, &buffer[..count])
}

/// Reads until `pieces` are full or no more comes. An error behind the first bytes is for the next call.
async fn read_all(
    reader: &mut Reader,
    memory: &mut GuestMemory<'_>,
    pieces: &Pieces,
    patience: Patience,
) -> Result<(usize, Option<Errno>), Error> {
    let mut count = 0;
    while count < pieces.len() {
        match read(reader, memory, pieces, count, patience).await {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if count == 0 => return Err(error),
            Err(error) => return Ok((count, later(error)?)),
        }
    }
    Ok((count, None))
}

/// Reads without taking.
async fn peek(
    reader: &mut Reader,
    memory: &mut GuestMemory<'_>,
    pieces: &Pieces,
    patience: Patience,
) -> Result<usize, Error> {
    let mut buffer = vec![0; pieces.len().min(MAX_CHUNK_BYTES)];
    let bytes = poll_fn(|cx| reader.poll_peek(cx, &mut buffer).map_err(Error::from));
    let count = patience.wait(Errno::Again, bytes).await?;
    pieces.fill(memory, 0, &buffer[..count])
}

/// An error that comes after a part has been done: told by the next call, unless it only means that there is no more now.
fn later(error: Error) -> Result<Option<Errno>, Error> {
    let errno = error.downcast().map_err(Error::trap)?;
    Ok((errno != Errno::Again).then_some(errno))
}
