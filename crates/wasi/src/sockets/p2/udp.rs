//! `wasi:sockets/udp` and `udp-create-socket` 0.2.

use wasmtime::component::{Resource, ResourceTableError};
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket as Theirs,
};
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket;
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, subscribe};

use super::{SocketsView, answer, ours, theirs};
use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::options::{HopLimit, ReceiveBuffer, SendBuffer, SocketOption};
use crate::sockets::udp::{Datagrams, UdpSocket};

/// Most datagrams that one call takes or gives.
const MAX_AT_ONCE: usize = 16;

/// After so many bytes one call gives no further datagram.
const ENOUGH_BYTES: usize = 64 * 1024;

/// A socket as 0.2 sees it, where binding is done in two steps. All work is done in the first.
pub(super) struct Stepwise {
    socket: UdpSocket,
    is_binding: bool,
}

/// The half that a guest reads.
pub(super) struct Incoming(Datagrams);

/// The half that a guest writes.
pub(super) struct Outgoing {
    datagrams: Datagrams,
    /// How many datagrams the last `check-send` allowed.
    permitted: usize,
}

impl SocketsView<'_> {
    fn udp(&mut self, socket: &Resource<Theirs>) -> Result<&mut Stepwise, ResourceTableError> {
        self.table.get_mut::<Stepwise>(&ours(socket))
    }

    fn udp_option<O: SocketOption>(&mut self, socket: &Resource<Theirs>) -> SocketResult<O::Wasi> {
        answer(self.udp(socket)?.socket.option::<O>())
    }

    fn set_udp_option<O: SocketOption>(&mut self, socket: &Resource<Theirs>, value: O::Wasi) -> SocketResult<()> {
        answer(self.udp(socket)?.socket.set_option::<O>(value))
    }

    fn has_streams(&mut self, socket: &Resource<Theirs>) -> Result<bool, ResourceTableError> {
        let mut children = self.table.iter_children(&ours::<_, Stepwise>(socket))?;
        Ok(children.any(|child| child.is::<Incoming>() || child.is::<Outgoing>()))
    }
}

impl udp_create_socket::Host for SocketsView<'_> {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<Theirs>> {
        let socket = answer(UdpSocket::new(self.network, Family::from(family)))?;
        Ok(theirs(&self.table.push(Stepwise { socket, is_binding: false })?))
    }
}

impl Host for SocketsView<'_> {}

impl HostUdpSocket for SocketsView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<Theirs>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check_network(&network)?;
        let stepwise = self.udp(&socket)?;
        if stepwise.is_binding {
            return answer(Err(Fault::ConcurrencyConflict));
        }
        answer(stepwise.socket.bind(local.into()).await)?;
        stepwise.is_binding = true;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<Theirs>) -> SocketResult<()> {
        let stepwise = self.udp(&socket)?;
        let was_binding = std::mem::take(&mut stepwise.is_binding);
        answer(if was_binding { Ok(()) } else { Err(Fault::NotInProgress) })
    }

    async fn stream(
        &mut self,
        socket: Resource<Theirs>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)> {
        if self.has_streams(&socket)? {
            return Err(SocketError::trap(wasmtime::Error::msg("the socket's earlier streams were not dropped")));
        }
        let udp = &mut self.udp(&socket)?.socket;
        if !udp.is_bound() {
            return answer(Err(Fault::InvalidState));
        }
        match remote {
            Some(remote) => answer(udp.connect(remote.into()).await)?,
            // That it was not connected is as good.
            None => drop(udp.disconnect()),
        }
        let datagrams = udp.datagrams();
        let parent = ours::<_, Stepwise>(&socket);
        let incoming = self.table.push_child(Incoming(datagrams.clone()), &parent)?;
        let outgoing = self.table.push_child(Outgoing { datagrams, permitted: 0 }, &parent)?;
        Ok((theirs(&incoming), theirs(&outgoing)))
    }

    fn local_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        answer(self.udp(&socket)?.socket.local_address().map(IpSocketAddress::from))
    }

    fn remote_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        answer(self.udp(&socket)?.socket.remote_address().map(IpSocketAddress::from))
    }

    fn address_family(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.udp(&socket)?.socket.family().into())
    }

    fn unicast_hop_limit(&mut self, socket: Resource<Theirs>) -> SocketResult<u8> {
        self.udp_option::<HopLimit>(&socket)
    }

    fn set_unicast_hop_limit(&mut self, socket: Resource<Theirs>, value: u8) -> SocketResult<()> {
        self.set_udp_option::<HopLimit>(&socket, value)
    }

    fn receive_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.udp_option::<ReceiveBuffer>(&socket)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_udp_option::<ReceiveBuffer>(&socket, value)
    }

    fn send_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.udp_option::<SendBuffer>(&socket)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_udp_option::<SendBuffer>(&socket, value)
    }

    fn subscribe(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe::<Stepwise>(self.table, ours(&socket))
    }

    fn drop(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<()> {
        self.table.delete::<Stepwise>(ours(&socket))?;
        Ok(())
    }
}

impl HostIncomingDatagramStream for SocketsView<'_> {
    fn receive(
        &mut self,
        stream: Resource<IncomingDatagramStream>,
        max_results: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let Incoming(datagrams) = self.table.get::<Incoming>(&ours(&stream))?;
        let most = usize::try_from(max_results).unwrap_or(usize::MAX).min(MAX_AT_ONCE);
        let (mut received, mut bytes) = (Vec::new(), 0);
        while received.len() < most && bytes < ENOUGH_BYTES {
            match datagrams.try_receive() {
                Ok((data, from)) => {
                    bytes += data.len();
                    received.push(IncomingDatagram { data, remote_address: from.into() });
                }
                // A fault that comes after a datagram has been taken from the queue is not told: the interface gives
                // either results or an error.
                Err(Fault::WouldBlock) => break,
                Err(_) if !received.is_empty() => break,
                Err(fault) => return answer(Err(fault)),
            }
        }
        Ok(received)
    }

    fn subscribe(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe::<Incoming>(self.table, ours(&stream))
    }

    fn drop(&mut self, stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete::<Incoming>(ours(&stream))?;
        Ok(())
    }
}

impl HostOutgoingDatagramStream for SocketsView<'_> {
    fn check_send(&mut self, stream: Resource<OutgoingDatagramStream>) -> SocketResult<u64> {
        // Whether there is room depends on the peer, which is not known yet: `send` may still send none.
        self.table.get_mut::<Outgoing>(&ours(&stream))?.permitted = MAX_AT_ONCE;
        Ok(MAX_AT_ONCE as u64)
    }

    fn send(
        &mut self,
        stream: Resource<OutgoingDatagramStream>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        let outgoing = self.table.get_mut::<Outgoing>(&ours(&stream))?;
        if datagrams.is_empty() {
            return Ok(0);
        }
        if datagrams.len() > std::mem::take(&mut outgoing.permitted) {
            let unpermitted = "the guest sent more datagrams than `check-send` allowed";
            return Err(SocketError::trap(wasmtime::Error::msg(unpermitted)));
        }
        let mut sent = 0;
        for OutgoingDatagram { data, remote_address } in datagrams {
            match outgoing.datagrams.try_send(&data, remote_address.map(Into::into)) {
                Ok(()) => sent += 1,
                Err(Fault::WouldBlock) => break,
                Err(_) if sent > 0 => break,
                Err(fault) => return answer(Err(fault)),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe::<Outgoing>(self.table, ours(&stream))
    }

    async fn drop(&mut self, stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete::<Outgoing>(ours(&stream))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for Stepwise {
    async fn ready(&mut self) {
        // Nothing that a socket does takes time apart from its streams.
    }
}

#[async_trait::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        self.0.receivable().await;
    }
}

#[async_trait::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {
        self.datagrams.sendable().await;
    }
}
