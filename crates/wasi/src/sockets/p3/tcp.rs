//! The resource `tcp-socket` of `wasi:sockets/types` 0.3.

use std::future::{poll_fn, ready};
use std::net::SocketAddr;
use std::sync::Arc;

use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};
use wasmtime_wasi::p3::bindings::sockets::types::{
    Duration, ErrorCode, HostTcpSocket, HostTcpSocketWithStore, IpAddressFamily, IpSocketAddress, TcpSocket as Theirs,
};
use wasmtime_wasi::p3::sockets::SocketResult;

use super::streams::{Arrivals, Half, Outcome};
use super::{answer, trap};
use crate::sockets::fault::Fault;
use crate::sockets::options::{
    HopLimit, KeepAlive, KeepAliveCount, KeepAliveIdle, KeepAliveInterval, ReceiveBuffer, SendBuffer, SocketOption,
};
use crate::sockets::p2::{HasSockets, SocketsView, ours, theirs};
use crate::sockets::tcp::TcpSocket;

impl<T: Send> HostTcpSocketWithStore<T> for HasSockets {
    async fn connect(store: &Accessor<T, Self>, socket: Resource<Theirs>, remote: IpSocketAddress) -> SocketResult<()> {
        store.with(|mut access| answer(access.get().tcp_0_3(&socket)?.start_connect(remote.into())))?;
        poll_fn(|cx| {
            store.with(|mut access| {
                let mut view = access.get();
                let socket = view.tcp_0_3(&socket)?;
                socket.poll_connected(cx).map(|()| answer(socket.finish_connect()))
            })
        })
        .await
    }

    async fn listen(
        mut store: Access<'_, T, Self>,
        socket: Resource<Theirs>,
    ) -> SocketResult<StreamReader<Resource<Theirs>>> {
        let getter = store.getter();
        let mut view = store.get();
        let socket = view.tcp_0_3(&socket)?;
        if !socket.is_bound() {
            let anywhere = SocketAddr::new(socket.family().unspecified(), 0);
            answer(socket.bind(anywhere).await)?;
        }
        answer(socket.listen())?;
        let listener = Arc::clone(answer(socket.listener())?);
        StreamReader::new(&mut store, Arrivals { listener, view: getter }).map_err(trap)
    }

    fn send(
        mut store: Access<'_, T, Self>,
        socket: Resource<Theirs>,
        mut data: StreamReader<u8>,
    ) -> wasmtime::Result<FutureReader<Outcome>> {
        match store.get().tcp_0_3(&socket)?.take_writer() {
            Ok(writer) => {
                let (half, outcome) = Half::new(writer);
                data.pipe(&mut store, half)?;
                FutureReader::new(&mut store, outcome)
            }
            Err(fault) => {
                data.close(&mut store)?;
                failed(store, fault)
            }
        }
    }

    fn receive(
        mut store: Access<'_, T, Self>,
        socket: Resource<Theirs>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Outcome>)> {
        match store.get().tcp_0_3(&socket)?.take_reader() {
            Ok(reader) => {
                let (half, outcome) = Half::new(reader);
                Ok((StreamReader::new(&mut store, half)?, FutureReader::new(&mut store, outcome)?))
            }
            Err(fault) => Ok((StreamReader::new(&mut store, std::iter::empty())?, failed(store, fault)?)),
        }
    }
}

/// The outcome of a stream that could not begin.
fn failed<T: Send>(store: Access<'_, T, HasSockets>, fault: Fault) -> wasmtime::Result<FutureReader<Outcome>> {
    FutureReader::new(store, ready(wasmtime::error::Ok(Err(ErrorCode::from(fault)))))
}

impl SocketsView<'_> {
    fn tcp_0_3(&mut self, socket: &Resource<Theirs>) -> SocketResult<&mut TcpSocket> {
        self.table.get_mut::<TcpSocket>(&ours(socket)).map_err(trap)
    }

    fn tcp_option_0_3<O: SocketOption>(&mut self, socket: &Resource<Theirs>) -> SocketResult<O::Wasi> {
        answer(self.tcp_0_3(socket)?.option::<O>())
    }

    fn set_tcp_option_0_3<O: SocketOption>(&mut self, socket: &Resource<Theirs>, value: O::Wasi) -> SocketResult<()> {
        answer(self.tcp_0_3(socket)?.set_option::<O>(value))
    }
}

impl HostTcpSocket for SocketsView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> SocketResult<Resource<Theirs>> {
        let socket = answer(TcpSocket::new(self.network, family.into()))?;
        Ok(theirs(&self.table.push(socket).map_err(trap)?))
    }

    async fn bind(&mut self, socket: Resource<Theirs>, local: IpSocketAddress) -> SocketResult<()> {
        answer(self.tcp_0_3(&socket)?.bind(local.into()).await)
    }

    fn get_local_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        answer(self.tcp_0_3(&socket)?.local_address().map(IpSocketAddress::from))
    }

    fn get_remote_address(&mut self, socket: Resource<Theirs>) -> SocketResult<IpSocketAddress> {
        answer(self.tcp_0_3(&socket)?.remote_address().map(IpSocketAddress::from))
    }

    fn get_is_listening(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<bool> {
        Ok(self.tcp_0_3(&socket)?.is_listening())
    }

    fn get_address_family(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.tcp_0_3(&socket)?.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        answer(self.tcp_0_3(&socket)?.set_backlog(value))
    }

    fn get_keep_alive_enabled(&mut self, socket: Resource<Theirs>) -> SocketResult<bool> {
        self.tcp_option_0_3::<KeepAlive>(&socket)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<Theirs>, value: bool) -> SocketResult<()> {
        self.set_tcp_option_0_3::<KeepAlive>(&socket, value)
    }

    fn get_keep_alive_idle_time(&mut self, socket: Resource<Theirs>) -> SocketResult<Duration> {
        self.tcp_option_0_3::<KeepAliveIdle>(&socket)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<Theirs>, value: Duration) -> SocketResult<()> {
        self.set_tcp_option_0_3::<KeepAliveIdle>(&socket, value)
    }

    fn get_keep_alive_interval(&mut self, socket: Resource<Theirs>) -> SocketResult<Duration> {
        self.tcp_option_0_3::<KeepAliveInterval>(&socket)
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<Theirs>, value: Duration) -> SocketResult<()> {
        self.set_tcp_option_0_3::<KeepAliveInterval>(&socket, value)
    }

    fn get_keep_alive_count(&mut self, socket: Resource<Theirs>) -> SocketResult<u32> {
        self.tcp_option_0_3::<KeepAliveCount>(&socket)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<Theirs>, value: u32) -> SocketResult<()> {
        self.set_tcp_option_0_3::<KeepAliveCount>(&socket, value)
    }

    fn get_hop_limit(&mut self, socket: Resource<Theirs>) -> SocketResult<u8> {
        self.tcp_option_0_3::<HopLimit>(&socket)
    }

    fn set_hop_limit(&mut self, socket: Resource<Theirs>, value: u8) -> SocketResult<()> {
        self.set_tcp_option_0_3::<HopLimit>(&socket, value)
    }

    fn get_receive_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.tcp_option_0_3::<ReceiveBuffer>(&socket)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_tcp_option_0_3::<ReceiveBuffer>(&socket, value)
    }

    fn get_send_buffer_size(&mut self, socket: Resource<Theirs>) -> SocketResult<u64> {
        self.tcp_option_0_3::<SendBuffer>(&socket)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Theirs>, value: u64) -> SocketResult<()> {
        self.set_tcp_option_0_3::<SendBuffer>(&socket, value)
    }

    fn drop(&mut self, socket: Resource<Theirs>) -> wasmtime::Result<()> {
        self.table.delete::<TcpSocket>(ours(&socket))?;
        Ok(())
    }
}
