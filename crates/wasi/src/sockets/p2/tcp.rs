//! `wasi:sockets/tcp` and `tcp-create-socket` 0.2.

use std::future::poll_fn;

use wasmtime::component::{Resource, ResourceTableError};
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::{Host, HostTcpSocket, ShutdownType, TcpSocket as Theirs};
use wasmtime_wasi::p2::bindings::sockets::tcp_create_socket;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, SocketResult, subscribe};

use super::{SocketsView, answer, ours, theirs};
use crate::sockets::arrived::Family;
use crate::sockets::fault::Fault;
use crate::sockets::options::{
    HopLimit, KeepAlive, KeepAliveCount, KeepAliveIdle, KeepAliveInterval, ReceiveBuffer, SendBuffer, SocketOption,
};
use crate::sockets::tcp::{Halves, TcpSocket};

/// A socket as 0.2 sees it, where binding and listening are done in two steps. All work is done in the first; the second
/// only tells that it is done.
pub(super) struct Stepwise {
    socket: TcpSocket,
    begun: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Bind,
    Listen,
}

impl Stepwise {
    fn new(socket: TcpSocket) -> Stepwise {
        Stepwise { socket, begun: None }
    }

    /// The socket, if no step is begun.
    fn settled(&mut self) -> Result<&mut TcpSocket, Fault> {
        if self.begun.is_some() { Err(Fault::ConcurrencyConflict) } else { Ok(&mut self.socket) }
    }

    fn finish(&mut self, step: Step) -> Result<(), Fault> {
        if self.begun != Some(step) {
            return Err(Fault::NotInProgress);
        }
        self.begun = None;
        Ok(())
    }
}

impl SocketsView<'_> {
    fn tcp(&mut self, socket: &Resource<Theirs>) -> Result<&mut Stepwise, ResourceTableError> {
        self.table.get_mut::<Stepwise>(&ours(socket))
    }

    fn tcp_option<O: SocketOption>(&mut self, socket: &Resource<Theirs>) -> SocketResult<O::Wasi> {
        answer(self.tcp(socket)?.socket.option::<O>())
    }

    fn set_tcp_option<O: SocketOption>(&mut self, socket: &Resource<Theirs>, value: O::Wasi) -> SocketResult<()> {
        answer(self.tcp(socket)?.socket.set_option::<O>(value))
    }

    /// The streams are no children of the socket: nothing in the interface says that it must outlive them.
    fn push_streams(
        &mut self,
        (reader, writer): (DynInputStream, DynOutputStream),
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        Ok((self.table.push(reader)?, self.table.push(writer)?))
    }
}

fn streams(socket: &mut TcpSocket) -> Result<(DynInputStream, DynOutputStream), Fault> {
    Ok((Box::new(socket.take_reader()?), Box::new(socket.take_writer()?)))
}

impl tcp_create_socket::Host for SocketsView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<Theirs>> {
        let socket = answer(TcpSocket::new(self.network, Family::from(family)))?;
        Ok(theirs(&self.table.push(Stepwise::new(socket))?))
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
        let stepwise = self.tcp(&socket)?;
        answer(answer(stepwise.settled())?.bind(local.into()).await)?;
        stepwise.begun = Some(Step::Bind);
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<Theirs>) -> SocketResult<()> {
        answer(self.tcp(&socket)?.finish(Step::Bind))
    }

    fn start_connect(
        &mut self,
        socket: Resource<Theirs>,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        self.check_network(&network)?;
        answer(answer(self.tcp(&socket)?.settled())?.start_connect(remote.into()))
    }

    fn finish_connect(
        &mut self,
        socket: Resource<Theirs>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let connected = &mut self.tcp(&socket)?.socket;
        answer(connected.finish_connect())?;
        let halves = answer(streams(connected))?;
        self.push_streams(halves)
    }

    async fn start_listen(&mut self, socket: Resource<Theirs>) -> SocketResult<()> {
        let stepwise = self.tcp(&socket)?;
        answer(answer(stepwise.settled())?.listen())?;
        stepwise.begun = Some(Step::Listen);
        Ok(())
    }

    fn finish_listen(&mut self, socket: Resource<Theirs>) -> SocketResult<()> {
        answer(self.tcp(&socket)?.finish(Step::Listen))
    }

    fn accept(
        &mut self,
        socket: Resource<Theirs>,
    ) -> SocketResult<(Resource<Theirs>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let mut accepted = answer(self.tcp(&socket)?.socket.accept())?;
        let halves = answer(streams(&mut accepted))?;
        let (reader, writer) = self.push_streams(halves)?;
        Ok((theirs(&self.table.push(Stepwise::new(accepted))?), reader, writer))
    }

    fn local_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        let address = self.tcp(&socket)?.socket.local_address();
        answer(address.map(IpSocketAddress::from))
    }

    fn remote_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        let address = self.tcp(&socket)?.socket.remote_address();
        answer(address.map(IpSocketAddress::from))
    }

    fn is_listening(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<bool> {
        Ok(self.tcp(&socket)?.socket.is_listening())
    }

    fn address_family(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.tcp(&socket)?.socket.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        answer(self.tcp(&socket)?.socket.set_backlog(value))
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
        subscribe::<Stepwise>(self.table, ours(&socket))
    }

    fn shutdown(&mut self, socket: Resource<Theirs>, halves: ShutdownType) -> SocketResult<()> {
        let halves = match halves {
            ShutdownType::Receive => Halves::Read,
            ShutdownType::Send => Halves::Write,
            ShutdownType::Both => Halves::Both,
        };
        answer(self.tcp(&socket)?.socket.shutdown(halves))
    }

    fn drop(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<()> {
        self.table.delete::<Stepwise>(ours(&socket))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for Stepwise {
    async fn ready(&mut self) {
        if self.begun.is_none() {
            poll_fn(|cx| self.socket.poll_connected(cx)).await;
            poll_fn(|cx| self.socket.poll_acceptable(cx)).await;
        }
    }
}
