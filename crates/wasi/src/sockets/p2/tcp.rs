//! `wasi:sockets/tcp` and `tcp-create-socket` 0.2.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{Host, HostTcpSocket, ShutdownType, TcpSocket as Theirs};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, SocketResult, subscribe};

use super::{SocketsView, answer, ours, theirs};
use crate::sockets::fault::Fault;
use crate::sockets::options::{
    HopLimit, KeepAlive, KeepAliveCount, KeepAliveIdle, KeepAliveInterval, ReceiveBuffer, SendBuffer, SocketOption,
};
use crate::sockets::tcp::{Family, Halves, TcpSocket};

impl SocketsView<'_> {
    fn tcp(&mut self, socket: &Resource<Theirs>) -> wasmtime::Result<&mut TcpSocket> {
        Ok(self.table.get_mut::<TcpSocket>(&ours(socket))?)
    }

    fn tcp_option<O: SocketOption>(&mut self, socket: &Resource<Theirs>) -> SocketResult<O::Wasi> {
        answer(self.table.get::<TcpSocket>(&ours(socket))?.option::<O>())
    }

    fn set_tcp_option<O: SocketOption>(&mut self, socket: &Resource<Theirs>, value: O::Wasi) -> SocketResult<()> {
        answer(self.table.get_mut::<TcpSocket>(&ours(socket))?.set_option::<O>(value))
    }
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<Theirs>> {
        let family = match family {
            IpAddressFamily::Ipv4 => Family::V4,
            IpAddressFamily::Ipv6 => Family::V6,
        };
        Ok(theirs(&self.table.push(TcpSocket::new(family))?))
    }
}

impl Host for SocketsView<'_> {}

impl HostTcpSocket for SocketsView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<Theirs>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check_network(&network)?;
        let socket = self.table.get::<TcpSocket>(&ours(&socket))?;
        answer(Err(socket.bind(self.network, local.into())))
    }

    fn finish_bind(&mut self, _socket: Resource<Theirs>) -> SocketResult<()> {
        answer(Err(Fault::NotInProgress))
    }

    fn start_connect(
        &mut self,
        socket: Resource<Theirs>,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check_network(&network)?;
        let socket = self.table.get_mut::<TcpSocket>(&ours(&socket))?;
        answer(socket.start_connect(self.network, remote.into()))
    }

    fn finish_connect(
        &mut self,
        socket: Resource<Theirs>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let socket = self.table.get_mut::<TcpSocket>(&ours(&socket))?;
        let (reader, writer) = answer(socket.finish_connect())?;
        let reader: DynInputStream = Box::new(reader);
        let writer: DynOutputStream = Box::new(writer);
        // No children of the socket: nothing in the interface says that it must outlive its streams.
        Ok((self.table.push(reader)?, self.table.push(writer)?))
    }

    async fn start_listen(&mut self, _socket: Resource<Theirs>) -> SocketResult<()> {
        // Only a bound socket listens, and none is.
        answer(Err(Fault::InvalidState))
    }

    fn finish_listen(&mut self, _socket: Resource<Theirs>) -> SocketResult<()> {
        answer(Err(Fault::NotInProgress))
    }

    fn accept(
        &mut self,
        _socket: Resource<Theirs>,
    ) -> SocketResult<(Resource<Theirs>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        answer(Err(Fault::InvalidState))
    }

    fn local_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        let address = self.table.get::<TcpSocket>(&ours(&socket))?.local_address();
        answer(address.map(IpSocketAddress::from))
    }

    fn remote_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        let address = self.table.get::<TcpSocket>(&ours(&socket))?.remote_address();
        answer(address.map(IpSocketAddress::from))
    }

    fn is_listening(&mut self, _socket: Resource<Theirs>) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn address_family(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<IpAddressFamily> {
        Ok(match self.tcp(&socket)?.family() {
            Family::V4 => IpAddressFamily::Ipv4,
            Family::V6 => IpAddressFamily::Ipv6,
        })
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        answer(self.table.get::<TcpSocket>(&ours(&socket))?.set_backlog(value))
    }

    fn keep_alive_enabled(&mut self, socket: Resource<Theirs>) -> SocketResult<bool> {
        self.tcp_option::<KeepAlive>(&socket)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<Theirs>, value: bool) -> SocketResult<()> {
        self.set_tcp_option::<KeepAlive>(&socket, value)
    }

    fn keep_alive_idle_time(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.tcp_option::<KeepAliveIdle>(&socket)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_tcp_option::<KeepAliveIdle>(&socket, value)
    }

    fn keep_alive_interval(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.tcp_option::<KeepAliveInterval>(&socket)
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_tcp_option::<KeepAliveInterval>(&socket, value)
    }

    fn keep_alive_count(&mut self, socket: Resource<Theirs>) -> SocketResult<u32> {
        self.tcp_option::<KeepAliveCount>(&socket)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<Theirs>, value: u32) -> SocketResult<()> {
        self.set_tcp_option::<KeepAliveCount>(&socket, value)
    }

    fn hop_limit(&mut self, socket: Resource<Theirs>) -> SocketResult<u8> {
        self.tcp_option::<HopLimit>(&socket)
    }

    fn set_hop_limit(&mut self, socket: Resource<Theirs>, value: u8) -> SocketResult<()> {
        self.set_tcp_option::<HopLimit>(&socket, value)
    }

    fn receive_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.tcp_option::<ReceiveBuffer>(&socket)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_tcp_option::<ReceiveBuffer>(&socket, value)
    }

    fn send_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.tcp_option::<SendBuffer>(&socket)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_tcp_option::<SendBuffer>(&socket, value)
    }

    fn subscribe(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe::<TcpSocket>(self.table, ours(&socket))
    }

    fn shutdown(&mut self, socket: Resource<Theirs>, halves: ShutdownType) -> SocketResult<()> {
        let halves = match halves {
            ShutdownType::Receive => Halves::Read,
            ShutdownType::Send => Halves::Write,
            ShutdownType::Both => Halves::Both,
        };
        answer(self.table.get::<TcpSocket>(&ours(&socket))?.shutdown(halves))
    }

    fn drop(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<()> {
        self.table.delete::<TcpSocket>(ours(&socket))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll_connected(cx)).await;
    }
}
