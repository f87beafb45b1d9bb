//! `wasi:sockets/network` and `instance-network`: the network resource says nothing, because a guest has one network.

use std::io;

use wasmtime::component::Resource;
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::bindings::sockets::instance_network;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, Host, HostNetwork, Network};

use super::{SocketsView, ours, theirs};

/// The network resource.
pub(super) struct GuestNetwork;

impl Host for SocketsView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<io::Error>().map(ErrorCode::from))
    }
}

impl HostNetwork for SocketsView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete::<GuestNetwork>(ours(&network))?;
        Ok(())
    }
}

impl instance_network::Host for SocketsView<'_> {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(theirs(&self.table.push(GuestNetwork)?))
    }
}

impl SocketsView<'_> {
    /// Checks that the guest's network resource is one.
    pub(super) fn check_network(&self, network: &Resource<Network>) -> Result<(), SocketError> {
        self.table.get::<GuestNetwork>(&ours(network))?;
        Ok(())
    }
}
