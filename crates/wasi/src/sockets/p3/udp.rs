//! The resource `udp-socket` of `wasi:sockets/types` 0.3.

use wasmtime::component::{Accessor, Resource};
use wasmtime_wasi::p3::bindings::sockets::types::{
    HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress, UdpSocket as Theirs,
};
use wasmtime_wasi::p3::sockets::SocketResult;

use super::{answer, trap};
use crate::sockets::options::{HopLimit, ReceiveBuffer, SendBuffer, SocketOption};
use crate::sockets::p2::{HasSockets, SocketsView, ours, theirs};
use crate::sockets::udp::{Datagrams, UdpSocket};

impl<T: Send> HostUdpSocketWithStore<T> for HasSockets {
    async fn send(
        store: &Accessor<T, Self>,
        socket: Resource<Theirs>,
        data: Vec<u8>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<()> {
        let datagrams = store.with(|mut access| access.get().datagrams(&socket))?;
        answer(datagrams.send(&data, remote.map(Into::into)).await)
    }

    async fn receive(store: &Accessor<T, Self>, socket: Resource<Theirs>) -> SocketResult<(Vec<u8>, IpSocketAddress)> {
        let datagrams = store.with(|mut access| access.get().datagrams(&socket))?;
        let (data, sender) = answer(datagrams.receive().await)?;
        Ok((data, sender.into()))
    }
}

impl SocketsView<'_> {
    fn udp_0_3(&mut self, socket: &Resource<Theirs>) -> SocketResult<&mut UdpSocket> {
        self.table.get_mut::<UdpSocket>(&ours(socket)).map_err(trap)
    }

    /// Sending and receiving, which go on while other calls use the socket.
    fn datagrams(&mut self, socket: &Resource<Theirs>) -> SocketResult<Datagrams> {
        Ok(self.udp_0_3(socket)?.datagrams())
    }

    fn udp_option_0_3<O: SocketOption>(&mut self, socket: &Resource<Theirs>) -> SocketResult<O::Wasi> {
        answer(self.udp_0_3(socket)?.option::<O>())
    }

    fn set_udp_option_0_3<O: SocketOption>(&mut self, socket: &Resource<Theirs>, value: O::Wasi) -> SocketResult<()> {
        answer(self.udp_0_3(socket)?.set_option::<O>(value))
    }
}

impl HostUdpSocket for SocketsView<'_> {
    async fn create(&mut self, family: IpAddressFamily) -> SocketResult<Resource<Theirs>> {
        let socket = answer(UdpSocket::new(self.network, family.into()))?;
        Ok(theirs(&self.table.push(socket).map_err(trap)?))
    }

    async fn bind(&mut self, socket: Resource<Theirs>, local: IpSocketAddress) -> SocketResult<()> {
        answer(self.udp_0_3(&socket)?.bind(local.into()).await)
    }

    async fn connect(&mut self, socket: Resource<Theirs>, remote: IpSocketAddress) -> SocketResult<()> {
        answer(self.udp_0_3(&socket)?.connect(remote.into()).await)
    }

    fn disconnect(&mut self, socket: Resource<Theirs>) -> SocketResult<()> {
        answer(self.udp_0_3(&socket)?.disconnect())
    }

    fn get_local_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        answer(self.udp_0_3(&socket)?.local_address().map(IpSocketAddress::from))
    }

    fn get_remote_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        answer(self.udp_0_3(&socket)?.remote_address().map(IpSocketAddress::from))
    }

    fn get_address_family(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.udp_0_3(&socket)?.family().into())
    }

    fn get_unicast_hop_limit(&mut self, socket: Resource<Theirs>) -> SocketResult<u8> {
        self.udp_option_0_3::<HopLimit>(&socket)
    }

    fn set_unicast_hop_limit(&mut self, socket: Resource<Theirs>, value: u8) -> SocketResult<()> {
        self.set_udp_option_0_3::<HopLimit>(&socket, value)
    }

    fn get_receive_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.udp_option_0_3::<ReceiveBuffer>(&socket)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_udp_option_0_3::<ReceiveBuffer>(&socket, value)
    }

    fn get_send_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.udp_option_0_3::<SendBuffer>(&socket)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_udp_option_0_3::<SendBuffer>(&socket, value)
    }

    fn drop(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<()> {
        self.table.delete::<UdpSocket>(ours(&socket))?;
        Ok(())
    }
}
