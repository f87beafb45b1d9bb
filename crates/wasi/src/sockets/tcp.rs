//! The state machine of a guest's TCP socket, whatever version of WASI it is seen through.
//!
//! It has no kernel socket before it is connected: binding takes one of the guest's own ports ([`Ports`]), listening opens
//! a queue there, and what is connected arrives as a descriptor. A connection to a port that the guest itself holds is a
//! socket pair, made here; every other one is asked of the switchboard.
//!
//! [`Ports`]: crate::sockets::ports::Ports

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::sockets::arrived::{Addresses, Arrived, Family, is_multicast};
use crate::sockets::connection::{Connection, Reader, Writer};
use crate::sockets::fault::Fault;
use crate::sockets::listener::Listener;
use crate::sockets::loopback;
use crate::sockets::network::{Binding, Network, Slot};
use crate::sockets::options::{Options, SocketOption};
use crate::sockets::pending::{Pending, Tasks};
use crate::sockets::ports::Transport;

/// Connections that wait for a listener which did not say how many may.
const DEFAULT_BACKLOG: usize = 128;

/// Most connections that may wait for a listener: each is an open descriptor.
const MAX_BACKLOG: usize = 4096;

/// Which halves of a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halves {
    Read,
    Write,
    Both,
}

/// A guest's TCP socket.
#[derive(Debug)]
pub(crate) struct TcpSocket {
    network: Network,
    family: Family,
    state: State,
    options: SharedOptions,
    backlog: usize,
    slot: Slot,
}

#[derive(Debug)]
enum State {
    /// New. To `Bound` or `Connecting`.
    Unbound,
    /// Has a local address. To `Connecting` or `Listening`.
    Bound(Binding),
    /// The other end has been asked. To `Connected` or `Closed`, when the guest asks for the result.
    Connecting { binding: Option<Binding>, answer: Pending<(Arrived, Option<Binding>)> },
    /// Connected. Stays so, whatever becomes of the two halves.
    Connected(Connected),
    /// Takes connections. Stays so, unless the socket is made new again.
    Listening(Arc<Listener>),
    /// The connection was not made. Stays so, unless the socket is made new again.
    Closed,
}

#[derive(Debug)]
struct Connected {
    connection: Arc<Connection>,
    addresses: Addresses,
    /// The port it was bound to, which nobody else gets as long as it lives.
    _binding: Option<Binding>,
    reader_taken: bool,
    writer_taken: bool,
}

/// The options of a socket, which those that it accepts begin with.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedOptions(Arc<Mutex<Options>>);

impl SharedOptions {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Options> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TcpSocket {
    /// A new socket.
    ///
    /// # Errors
    ///
    /// [`Fault::NewSocketLimit`]: the guest has as many as it may.
    pub(crate) fn new(network: &Network, family: Family) -> Result<TcpSocket, Fault> {
        let slot = network.slot()?;
        Ok(TcpSocket {
            network: network.clone(),
            family,
            state: State::Unbound,
            options: SharedOptions::default(),
            backlog: DEFAULT_BACKLOG,
            slot,
        })
    }

    /// A socket that is connected already.
    ///
    /// # Errors
    ///
    /// The system cannot watch it.
    pub(crate) fn connected(
        network: &Network,
        family: Family,
        options: &Options,
        arrived: Arrived,
        slot: Slot,
    ) -> Result<TcpSocket, Fault> {
        let options = SharedOptions(Arc::new(Mutex::new(options.clone())));
        let connected = Connected::new(arrived.seen_by(family), None, &options, network.tasks(), &slot)?;
        let state = State::Connected(connected);
        Ok(TcpSocket { network: network.clone(), family, state, options, backlog: DEFAULT_BACKLOG, slot })
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// Whether the socket has a local address.
    pub(crate) fn is_bound(&self) -> bool {
        self.local_address().is_ok()
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening(_))
    }

    /// Takes a local address; port 0 is any free one.
    ///
    /// # Errors
    ///
    /// It is not a new socket, or the address is not to be had.
    pub(crate) async fn bind(&mut self, local: SocketAddr) -> Result<(), Fault> {
        match self.state {
            State::Unbound => {}
            State::Connecting { .. } => return Err(Fault::ConcurrencyConflict),
            State::Bound(_) | State::Connected(_) | State::Listening(_) | State::Closed => {
                return Err(Fault::InvalidState);
            }
        }
        if !self.family.admits(local.ip()) || is_multicast(local.ip()) {
            return Err(Fault::InvalidArgument);
        }
        self.state = State::Bound(self.network.bind(Transport::Tcp, local).await?);
        Ok(())
    }

    /// Asks for a connection: of the guest itself if it holds that port of loopback, else of the switchboard.
    ///
    /// # Errors
    ///
    /// It is not a new or bound socket, or the address is none to connect to.
    pub(crate) fn start_connect(&mut self, remote: SocketAddr) -> Result<(), Fault> {
        match self.state {
            State::Unbound | State::Bound(_) => {}
            State::Connecting { .. } => return Err(Fault::ConcurrencyConflict),
            State::Connected(_) | State::Listening(_) | State::Closed => return Err(Fault::InvalidState),
        }
        let ip = remote.ip();
        if !self.family.admits(ip) || is_multicast(ip) || ip.is_unspecified() || remote.port() == 0 {
            return Err(Fault::InvalidArgument);
        }
        let binding = match std::mem::replace(&mut self.state, State::Closed) {
            State::Bound(binding) => Some(binding),
            _ => None,
        };
        let answer = match self.network.ports().door_at(Transport::Tcp, remote) {
            Some(door) => {
                let bound = binding.as_ref().map(Binding::local);
                Pending::start(self.network.tasks(), loopback::connect(self.network.clone(), door, bound, remote))
            }
            None => {
                let asked = self.network.connect(Transport::Tcp, remote);
                let answer = async move { Ok((Arrived::dialled(asked.await?, remote), None)) };
                Pending::start(self.network.tasks(), answer)
            }
        };
        self.state = State::Connecting { binding, answer };
        Ok(())
    }

    /// Waits until `finish_connect` has a result; ready at once if nothing is under way.
    pub(crate) fn poll_connected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Connecting { answer, .. } => answer.poll_ready(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Takes the connection over, once it has arrived.
    ///
    /// # Errors
    ///
    /// Nothing was asked for, it has not arrived yet, or it was refused: then the socket is closed.
    pub(crate) fn finish_connect(&mut self) -> Result<(), Fault> {
        let State::Connecting { binding, answer } = &mut self.state else { return Err(Fault::NotInProgress) };
        let answer = answer.take().ok_or(Fault::WouldBlock)?;
        let bound = binding.take();
        let connected = answer.and_then(|(arrived, chosen)| {
            Connected::new(arrived, bound.or(chosen), &self.options, self.network.tasks(), &self.slot)
        });
        match connected {
            Ok(connected) => {
                self.state = State::Connected(connected);
                Ok(())
            }
            Err(fault) => {
                self.state = State::Closed;
                Err(fault)
            }
        }
    }

    /// Makes a socket new again, keeping its options: Linux allows that after a connection that was not made, and stops
    /// listening so.
    pub(crate) fn reset(&mut self) {
        self.state = State::Unbound;
    }

    /// Begins to take connections.
    ///
    /// # Errors
    ///
    /// The socket is not bound, or is past listening.
    pub(crate) fn listen(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Bound(binding) => {
                let (network, options, slot) = (self.network.clone(), self.options.clone(), Arc::clone(&self.slot));
                let listener = Listener::open(network, self.family, binding, self.backlog, options, slot);
                self.state = State::Listening(Arc::new(listener));
                Ok(())
            }
            other => {
                self.state = other;
                Err(match self.state {
                    State::Connecting { .. } => Fault::ConcurrencyConflict,
                    _ => Fault::InvalidState,
                })
            }
        }
    }

    /// Where the connections of a listening socket arrive.
    ///
    /// # Errors
    ///
    /// The socket does not listen.
    pub(crate) fn listener(&self) -> Result<&Arc<Listener>, Fault> {
        match &self.state {
            State::Listening(listener) => Ok(listener),
            _ => Err(Fault::InvalidState),
        }
    }

    /// Takes the next connection.
    ///
    /// # Errors
    ///
    /// The socket does not listen, none has arrived, or the guest has as many sockets as it may.
    pub(crate) fn accept(&self) -> Result<TcpSocket, Fault> {
        self.listener()?.accept()
    }

    /// Waits until `accept` has a result; ready at once if the socket does not listen.
    pub(crate) fn poll_acceptable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.state {
            State::Listening(listener) => listener.poll_acceptable(cx),
            _ => Poll::Ready(()),
        }
    }

    /// The half to read. Once: it is whoever takes it.
    ///
    /// # Errors
    ///
    /// The socket is not connected, or the half is taken.
    pub(crate) fn take_reader(&mut self) -> Result<Reader, Fault> {
        match &mut self.state {
            State::Connected(connected) if !connected.reader_taken => {
                connected.reader_taken = true;
                Ok(Reader::new(&connected.connection))
            }
            _ => Err(Fault::InvalidState),
        }
    }

    /// The half to write, as [`TcpSocket::take_reader`]. Whoever takes it ends the stream by dropping it.
    ///
    /// # Errors
    ///
    /// The socket is not connected, or the half is taken.
    pub(crate) fn take_writer(&mut self) -> Result<Writer, Fault> {
        match &mut self.state {
            State::Connected(connected) if !connected.writer_taken => {
                connected.writer_taken = true;
                Ok(Writer::new(&connected.connection))
            }
            _ => Err(Fault::InvalidState),
        }
    }

    /// Ends one or both halves. What has been written goes first.
    ///
    /// # Errors
    ///
    /// The socket is not connected.
    pub(crate) fn shutdown(&self, halves: Halves) -> Result<(), Fault> {
        let State::Connected(Connected { connection, .. }) = &self.state else { return Err(Fault::InvalidState) };
        if halves != Halves::Write {
            connection.close_reading();
        }
        if halves != Halves::Read {
            connection.close_writing();
        }
        Ok(())
    }

    /// The near end.
    ///
    /// # Errors
    ///
    /// The socket has no address.
    pub(crate) fn local_address(&self) -> Result<SocketAddr, Fault> {
        match &self.state {
            State::Bound(binding) | State::Connecting { binding: Some(binding), .. } => Ok(binding.local()),
            State::Listening(listener) => Ok(listener.local()),
            State::Connected(Connected { addresses, .. }) => Ok(addresses.local),
            State::Unbound | State::Connecting { binding: None, .. } | State::Closed => Err(Fault::InvalidState),
        }
    }

    /// The far end.
    ///
    /// # Errors
    ///
    /// The socket is not connected.
    pub(crate) fn remote_address(&self) -> Result<SocketAddr, Fault> {
        match &self.state {
            State::Connected(Connected { addresses, .. }) => Ok(addresses.remote),
            _ => Err(Fault::InvalidState),
        }
    }

    /// The value of an option.
    ///
    /// # Errors
    ///
    /// A connection is under way or was not made, or the system refuses.
    pub(crate) fn option<O: SocketOption>(&self) -> Result<O::Wasi, Fault> {
        self.options.lock().get::<O>(kernel_socket(&self.state)?)
    }

    /// Sets an option.
    ///
    /// # Errors
    ///
    /// As [`TcpSocket::option`], or the value is none.
    pub(crate) fn set_option<O: SocketOption>(&mut self, value: O::Wasi) -> Result<(), Fault> {
        self.options.lock().set::<O>(kernel_socket(&self.state)?, value)
    }

    /// Says how many connections may wait. That of a socket which listens already stays as it is, which the interfaces
    /// allow: the number is a hint.
    ///
    /// # Errors
    ///
    /// Zero, or the socket is past listening.
    pub(crate) fn set_backlog(&mut self, value: u64) -> Result<(), Fault> {
        match self.state {
            _ if value == 0 => Err(Fault::InvalidArgument),
            State::Unbound | State::Bound(_) | State::Listening(_) => {
                self.backlog = usize::try_from(value).unwrap_or(usize::MAX).min(MAX_BACKLOG);
                Ok(())
            }
            State::Connecting { .. } | State::Connected(_) | State::Closed => Err(Fault::InvalidState),
        }
    }
}

impl Connected {
    fn new(
        arrived: Arrived,
        binding: Option<Binding>,
        options: &SharedOptions,
        tasks: &Tasks,
        slot: &Slot,
    ) -> Result<Connected, Fault> {
        options.lock().apply(&arrived);
        let Arrived { socket, addresses, .. } = arrived;
        let connection = Connection::new(socket, tasks, Some(Arc::clone(slot))).map_err(|error| {
            tracing::debug!(%error, "the connected socket cannot be watched");
            Fault::Unknown
        })?;
        let connection = Arc::new(connection);
        Ok(Connected { connection, addresses, _binding: binding, reader_taken: false, writer_taken: false })
    }
}

/// The kernel's socket, if there is one yet.
fn kernel_socket(state: &State) -> Result<Option<BorrowedFd<'_>>, Fault> {
    match state {
        State::Unbound | State::Bound(_) | State::Listening(_) => Ok(None),
        State::Connected(Connected { connection, .. }) => Ok(Some(connection.as_fd())),
        State::Connecting { .. } | State::Closed => Err(Fault::InvalidState),
    }
}
