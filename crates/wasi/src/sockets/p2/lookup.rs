//! `wasi:sockets/ip-name-lookup` 0.2.

use std::net::IpAddr;
use std::task::{Context, Poll};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{Host, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketResult, subscribe};

use super::{SocketsView, answer, ours, theirs};
use crate::sockets::fault::Fault;
use crate::sockets::network::Lookup;

/// The answers to one lookup, one after the other.
pub(super) struct Answers {
    lookup: Lookup,
    given: usize,
}

impl Answers {
    fn next(&mut self) -> Result<Option<IpAddr>, Fault> {
        if let Lookup::Asked(pending) = &mut self.lookup {
            self.lookup = Lookup::Known(pending.take().ok_or(Fault::WouldBlock)??);
        }
        let Lookup::Known(addresses) = &self.lookup else { return Err(Fault::WouldBlock) };
        let address = addresses.get(self.given).copied();
        self.given += usize::from(address.is_some());
        Ok(address)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.lookup {
            Lookup::Known(_) => Poll::Ready(()),
            Lookup::Asked(pending) => pending.poll_ready(cx),
        }
    }
}

impl Host for SocketsView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.check_network(&network)?;
        let lookup = answer(self.network.lookup(&name))?;
        Ok(theirs(&self.table.push(Answers { lookup, given: 0 })?))
    }
}

impl HostResolveAddressStream for SocketsView<'_> {
    fn resolve_next_address(&mut self, stream: Resource<ResolveAddressStream>) -> SocketResult<Option<IpAddress>> {
        let next = self.table.get_mut::<Answers>(&ours(&stream))?.next();
        answer(next.map(|address| address.map(IpAddress::from)))
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe::<Answers>(self.table, ours(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.table.delete::<Answers>(ours(&stream))?;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for Answers {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll_ready(cx)).await;
    }
}
