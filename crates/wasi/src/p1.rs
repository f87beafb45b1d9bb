//! Preview 1: wasmtime-wasi's files, clocks and the rest, with sockets beside them as descriptors.
//!
//! wasmtime-wasi's table of descriptors is its own and knows no sockets. So a table of ours stands before it ([`table`]):
//! it gives the guest its numbers, and each number is a file of theirs or a socket of ours. [`snapshot`] sends every call
//! to one or the other; [`calls`] links those calls of preview 1 that may wait for a socket, [`wasmedge`] the further ones
//! that WasmEdge added and its guests import.
//!
//! A guest of preview 0 (`wasi_unstable`) works on wasmtime-wasi's table alone and has no sockets.

mod calls;
mod errno;
mod memory;
mod poll;
mod snapshot;
mod socket;
mod start;
mod table;
mod tcp;
mod udp;
mod wait;
mod wasmedge;

use std::sync::Arc;

use wasmtime::{Linker, Module};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Error, Fd};
use wasmtime_wasi::p1::wasi_snapshot_preview1;

use crate::descriptors::Descriptors;
use crate::limits::HostLimits;
use crate::sockets::{Denial, DenialReport, Network};
use crate::state::ModuleState;
use socket::Socket;
use table::{Entry, Table};

pub(crate) use start::max_resources;
pub use start::{ConnectFd, ListenFd};

/// The name under which modules import preview 1.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// What one guest of preview 1 has.
pub(crate) struct Preview1 {
    wasi: WasiP1Ctx,
    table: Table,
    network: Network,
    /// What one call can wait for.
    max_subscriptions: u32,
    /// How much the call under way may still make this process allocate.
    fuel: usize,
}

impl Preview1 {
    /// A guest's world without anything in it, for asking a linker what it has.
    pub(crate) fn nothing() -> Preview1 {
        /// Nobody asks for anything in it.
        #[derive(Debug)]
        struct Nobody;
        impl DenialReport for Nobody {
            fn denied(&self, _denial: Denial) {}
        }
        let network = Network::new(None, None, Arc::new(Nobody), &HostLimits::default(), Descriptors::new(0).share());
        let (wasi, share) = (WasiCtxBuilder::new().build_p1(), Descriptors::new(0).share());
        Preview1 { wasi, table: Table::new(0, 0, share), network, max_subscriptions: 0, fuel: 0 }
    }

    /// wasmtime-wasi's own part, which is all that preview 0 sees.
    pub(crate) fn preview0(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    /// Closes everything, and lets what the guest has written go out.
    pub(crate) async fn finish(self) {
        let Preview1 { table, network, .. } = self;
        drop(table);
        network.finish().await;
    }

    fn add(&mut self, socket: Socket) -> Result<Fd, Errno> {
        Ok(self.table.add(Entry::Socket(Box::new(socket)))?.into())
    }

    /// Allocates for the guest, as far as one call may.
    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        let left = usize::try_from(bytes).ok().and_then(|bytes| self.fuel.checked_sub(bytes));
        self.fuel = left.ok_or(Errno::Nomem)?;
        Ok(())
    }
}

/// Links preview 1, and WasmEdge's further calls with the types that the crate `wasmedge_wasi_socket` imports.
pub(crate) fn link(linker: &mut Linker<ModuleState>) -> wasmtime::Result<()> {
    wasi_snapshot_preview1::add_to_linker(linker, |state: &mut ModuleState| &mut state.preview1)?;
    linker.allow_shadowing(true);
    calls::link(linker)?;
    wasmedge::link(linker)
}

/// The linker for a module that imports some of the calls with other types, as several generations of WasmEdge had them.
/// `None`: `linker` itself will do.
pub(crate) fn linker_for(
    linker: &Linker<ModuleState>,
    module: &Module,
) -> wasmtime::Result<Option<Linker<ModuleState>>> {
    wasmedge::other_types(linker, module)
}
