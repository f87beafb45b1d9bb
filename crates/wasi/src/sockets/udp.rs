//! The state machine of a guest's UDP socket, whatever version of WASI it is seen through.
//!
//! The kernel's sockets behind it are connected ones, one for each peer: those the guest writes to first are asked of the
//! switchboard ([`peers`]), those that write first arrive at its port. So it can send to nobody whom no grant covers, and
//! to whoever wrote to it. What is received from all of them, and from other sockets of the guest itself, comes together
//! in one queue ([`inbox`]).

mod inbox;
mod peers;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::sockets::arrived::{Family, is_multicast, local_of, remote_of};
use crate::sockets::fault::Fault;
use crate::sockets::network::{Binding, Network, Slot};
use crate::sockets::options::{Options, SocketOption};
use crate::sockets::ports::{Door, Transport};
use inbox::{Inbox, Received};
use peers::{Origin, Peer, Peers, Scratch};

/// The most that fits a datagram of IPv4 and IPv6: what the length field of the packet leaves.
const MAX_PAYLOAD_V4: usize = 65_507;
const MAX_PAYLOAD_V6: usize = 65_527;

/// A guest's UDP socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    shared: Arc<Shared>,
}

/// What a socket and its streams share. The socket's port is held until the last of them is gone.
#[derive(Debug)]
pub(crate) struct Shared {
    network: Network,
    family: Family,
    inbox: Inbox,
    scratch: Scratch,
    state: Mutex<State>,
    /// Told when the outcome of a question for a peer is there.
    answered: Notify,
    _slot: Slot,
}

#[derive(Debug, Default)]
struct State {
    binding: Option<Binding>,
    /// The only peer, if the guest connected the socket.
    remote: Option<SocketAddr>,
    /// What the guest sees of the socket's own address while it is connected.
    local: Option<SocketAddr>,
    options: Options,
    peers: Peers,
    /// Whom the last datagram that could not be sent was for.
    waits_for: Option<SocketAddr>,
}

/// Sending and receiving, apart from the socket itself. Clones share the socket.
#[derive(Clone, Debug)]
pub(crate) struct Datagrams(Arc<Shared>);

impl UdpSocket {
    /// A new socket.
    ///
    /// # Errors
    ///
    /// [`Fault::NewSocketLimit`]: the guest has as many as it may.
    pub(crate) fn new(network: &Network, family: Family) -> Result<UdpSocket, Fault> {
        let slot = network.slot()?;
        let shared = Shared {
            network: network.clone(),
            family,
            inbox: Inbox::new(network.datagrams()),
            scratch: Scratch::default(),
            state: Mutex::default(),
            answered: Notify::new(),
            _slot: slot,
        };
        Ok(UdpSocket { shared: Arc::new(shared) })
    }

    pub(crate) fn family(&self) -> Family {
        self.shared.family
    }

    pub(crate) fn is_bound(&self) -> bool {
        self.shared.lock().binding.is_some()
    }

    /// Sending and receiving, for whoever outlives this value or runs beside it.
    pub(crate) fn datagrams(&self) -> Datagrams {
        Datagrams(Arc::clone(&self.shared))
    }

    /// Takes a local address; port 0 is any free one.
    ///
    /// # Errors
    ///
    /// The socket is bound already, or the address is not to be had.
    pub(crate) async fn bind(&mut self, local: SocketAddr) -> Result<(), Fault> {
        if self.is_bound() {
            return Err(Fault::InvalidState);
        }
        if !self.shared.family.admits(local.ip()) || is_multicast(local.ip()) {
            return Err(Fault::InvalidArgument);
        }
        let binding = self.shared.network.bind(Transport::Udp, local).await?;
        self.shared.bound(binding);
        Ok(())
    }

    /// Makes `remote` the only peer. A socket without a local address gets one.
    ///
    /// # Errors
    ///
    /// The address is none to send to, or the switchboard refuses the peer: then the socket is as before.
    pub(crate) async fn connect(&mut self, remote: SocketAddr) -> Result<(), Fault> {
        self.shared.check_remote(remote)?;
        self.shared.bind_any()?;
        let local = match self.shared.own_door(remote) {
            Some(_) => Some(self.shared.source_on_loopback()),
            None => self.shared.until_peer(remote).await?,
        };
        let mut state = self.shared.lock();
        if let Some(socket) = state.peers.open(remote) {
            // What an earlier datagram met there was for nobody to know, and is no news of this connection.
            let _ = rustix::net::sockopt::socket_error(socket);
        }
        state.remote = Some(remote);
        state.local = local.map(|local| self.shared.family.tell(local));
        drop(state);
        self.shared.inbox.keep_only(remote);
        Ok(())
    }

    /// Takes every peer again.
    ///
    /// # Errors
    ///
    /// [`Fault::InvalidState`]: the socket is not connected.
    pub(crate) fn disconnect(&mut self) -> Result<(), Fault> {
        let mut state = self.shared.lock();
        state.local = None;
        state.remote.take().map(drop).ok_or(Fault::InvalidState)
    }

    /// The near end.
    ///
    /// # Errors
    ///
    /// [`Fault::InvalidState`]: the socket is not bound.
    pub(crate) fn local_address(&self) -> Result<SocketAddr, Fault> {
        let state = self.shared.lock();
        let bound = state.binding.as_ref().map(Binding::local);
        state.local.or(bound).ok_or(Fault::InvalidState)
    }

    /// The only peer.
    ///
    /// # Errors
    ///
    /// [`Fault::InvalidState`]: the socket is not connected.
    pub(crate) fn remote_address(&self) -> Result<SocketAddr, Fault> {
        self.shared.lock().remote.ok_or(Fault::InvalidState)
    }

    /// The value of an option.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub(crate) fn option<O: SocketOption>(&self) -> Result<O::Wasi, Fault> {
        let state = self.shared.lock();
        let connected = state.remote.and_then(|remote| state.peers.open(remote));
        state.options.get::<O>(connected.map(AsFd::as_fd))
    }

    /// Sets an option, of all peers there are and will be.
    ///
    /// # Errors
    ///
    /// The value is none.
    pub(crate) fn set_option<O: SocketOption>(&mut self, value: O::Wasi) -> Result<(), Fault> {
        let mut state = self.shared.lock();
        state.options.set::<O>(None, value)?;
        let State { options, peers, .. } = &mut *state;
        peers.each_open(|socket| options.apply(&socket));
        Ok(())
    }
}

impl Datagrams {
    /// Sends one datagram, to the peer named or the one connected to.
    ///
    /// # Errors
    ///
    /// [`Fault::WouldBlock`]: the peer has been asked for, or its buffer is full; wait for [`Datagrams::sendable`] and
    /// send again. Otherwise the datagram is lost: there is no such address, nobody granted the peer, or the kernel says
    /// why.
    pub(crate) fn try_send(&self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Fault> {
        let shared = &self.0;
        let connected_to = shared.lock().remote;
        let to = match (connected_to, to) {
            (Some(remote), Some(to)) if remote != to => return Err(Fault::InvalidArgument),
            (None, None) => return Err(Fault::InvalidArgument),
            (Some(to), _) | (None, Some(to)) => to,
        };
        if !shared.has_peer(to) {
            shared.check_remote(to)?;
        }
        if data.len() > shared.max_payload() {
            return Err(Fault::DatagramTooLarge);
        }
        shared.bind_any()?;
        if let Some(own) = shared.own_door(to) {
            // As in the kernel: a queue that is full, or a socket that is just going, loses the datagram.
            own.upgrade().into_iter().for_each(|own| own.take(shared.source_on_loopback(), data));
            return Ok(());
        }
        shared.send_to_peer(data, to)
    }

    /// Sends one datagram, and waits where [`Datagrams::try_send`] would not.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_send`].
    pub(crate) async fn send(&self, data: &[u8], to: Option<SocketAddr>) -> Result<(), Fault> {
        loop {
            match self.try_send(data, to) {
                Err(Fault::WouldBlock) => self.sendable().await,
                outcome => return outcome,
            }
        }
    }

    /// Waits until the datagram that could not be sent last can be, or will be refused.
    pub(crate) async fn sendable(&self) {
        let Some(to) = self.0.lock().waits_for else { return };
        self.0.until_settled(to).await;
        let socket = self.0.lock().peers.open_shared(to);
        if let Some(socket) = socket {
            // An error is for the next send to tell.
            let _ = socket.until_writable().await;
        }
    }

    /// Takes the next datagram, and says whom it is from.
    ///
    /// # Errors
    ///
    /// [`Fault::WouldBlock`]: there is none. [`Fault::InvalidState`]: the socket is not bound, so none can come.
    /// Otherwise what the kernel reported about the only peer.
    pub(crate) fn try_receive(&self) -> Result<(Vec<u8>, SocketAddr), Fault> {
        let (remote, is_bound) = {
            let state = self.0.lock();
            (state.remote, state.binding.is_some())
        };
        if !is_bound {
            return Err(Fault::InvalidState);
        }
        let Received { from, data } = self.0.inbox.take(remote).ok_or(Fault::WouldBlock)?;
        Ok((data?, from))
    }

    /// Waits until [`Datagrams::try_receive`] has something to say.
    pub(crate) async fn receivable(&self) {
        if self.0.lock().binding.is_some() {
            self.0.inbox.until_some().await;
        }
    }

    /// Takes the next datagram, and waits for it.
    ///
    /// # Errors
    ///
    /// As [`Datagrams::try_receive`].
    pub(crate) async fn receive(&self) -> Result<(Vec<u8>, SocketAddr), Fault> {
        loop {
            match self.try_receive() {
                Err(Fault::WouldBlock) => self.receivable().await,
                outcome => return outcome,
            }
        }
    }
}

impl Shared {
    /// Takes a peer that wrote first, with what it wrote.
    pub(crate) fn adopt(self: &Arc<Self>, connection: client::Connection) {
        let Some(from) = remote_of(&connection.socket).map(|from| self.family.tell(from)) else {
            tracing::warn!("a socket that is not connected arrived at a UDP port, and was closed");
            return;
        };
        connection.datagrams.iter().for_each(|data| self.inbox.push(from, data));
        if let Err(fault) = self.open_peer(from, connection.socket, Origin::Arrived) {
            tracing::debug!(%fault, %from, "a peer could not be taken");
        }
    }

    /// Takes what another socket of the guest sent.
    fn take(&self, from: SocketAddr, data: &[u8]) {
        if self.lock().remote.is_none_or(|remote| remote == from) {
            self.inbox.push(from, data);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn max_payload(&self) -> usize {
        match self.family {
            Family::V4 => MAX_PAYLOAD_V4,
            Family::V6 => MAX_PAYLOAD_V6,
        }
    }

    fn check_remote(&self, to: SocketAddr) -> Result<(), Fault> {
        let ip = to.ip();
        if !self.family.admits(ip) || ip.is_unspecified() || to.port() == 0 {
            return Err(Fault::InvalidArgument);
        }
        // A group or everybody is not one peer, and nobody can grant it.
        if is_multicast(ip) { Err(Fault::RemoteUnreachable) } else { Ok(()) }
    }

    fn bound(self: &Arc<Self>, binding: Binding) {
        binding.open(Door::Datagrams(Arc::downgrade(self)));
        self.lock().binding = Some(binding);
    }

    /// Sees to it that the socket has a local address.
    fn bind_any(self: &Arc<Self>) -> Result<(), Fault> {
        if self.lock().binding.is_none() {
            self.bound(self.network.bind_any(Transport::Udp, self.family.unspecified())?);
        }
        Ok(())
    }

    /// The socket of this guest that has the loopback address `to`.
    fn own_door(&self, to: SocketAddr) -> Option<Weak<Shared>> {
        match self.network.ports().door_at(Transport::Udp, to)? {
            Door::Datagrams(own) => Some(own),
            Door::Closed | Door::Listener(_) => None,
        }
    }

    /// Where a datagram to this guest itself comes from.
    fn source_on_loopback(&self) -> SocketAddr {
        let local = self.lock().binding.as_ref().map(Binding::local);
        match local {
            Some(local) if !local.ip().is_unspecified() => local,
            local => SocketAddr::new(self.family.loopback(), local.map_or(0, |local| local.port())),
        }
    }
}

impl Peer {
    fn local(&self) -> Option<SocketAddr> {
        match self {
            Peer::Open(open) => local_of(open.socket()),
            Peer::Asked { .. } | Peer::Refused(_) => None,
        }
    }
}
