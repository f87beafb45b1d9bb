//! `wasi:sockets/udp-create-socket` 0.2: there is no UDP yet, so nobody gets a socket.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::SocketResult;
use wasmtime_wasi::p2::bindings::sockets::network::IpAddressFamily;
use wasmtime_wasi::p2::bindings::sockets::udp::UdpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp_create_socket::Host;

use super::{SocketsView, answer};
use crate::sockets::denial::Action;

impl Host for SocketsView<'_> {
    async fn create_udp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        answer(Err(self.network.deny(Action::Udp, "UDP".to_owned())))
    }
}
