//! What a store holds for one guest.

use sandbox::GuestLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::IoView;

use crate::p1::Preview1;
use crate::sockets::{Network, SocketsView};

/// The state of a module.
pub(crate) struct ModuleState {
    pub(crate) limiter: GuestLimiter,
    pub(crate) preview1: Preview1,
}

/// The state of a component.
pub(crate) struct ComponentState {
    pub(crate) limiter: GuestLimiter,
    pub(crate) wasi: WasiCtx,
    pub(crate) network: Network,
    pub(crate) table: ResourceTable,
}

impl ComponentState {
    /// What the socket interfaces work on.
    pub(crate) fn sockets(&mut self) -> SocketsView<'_> {
        SocketsView { network: &mut self.network, table: &mut self.table }
    }
}

impl WasiView for ComponentState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl IoView for ComponentState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}
