//! What a store holds for one guest.

use sandbox::GuestLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_io::IoView;

use crate::exit::RunError;
use crate::files::Files;
use crate::guest::{GuestSpec, Start};
use crate::http::HttpState;
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
    pub(crate) files: Files,
    pub(crate) http: HttpState,
    pub(crate) table: ResourceTable,
}

impl ComponentState {
    /// Sets up the world of one instance.
    ///
    /// # Errors
    ///
    /// A volume or the working directory cannot be opened.
    pub(crate) fn new(spec: &GuestSpec, start: Start) -> Result<ComponentState, RunError> {
        let share = spec.descriptors.share();
        let mut table = ResourceTable::new();
        table.set_max_capacity(spec.limits.resources);
        Ok(ComponentState {
            limiter: GuestLimiter::new(spec.limits),
            wasi: spec.context(start.stdio, &start.env)?.build(),
            network: Network::of(spec, share.clone()),
            files: Files::new(&spec.host_limits, share),
            http: HttpState::new(spec),
            table,
        })
    }

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

impl WasiHttpView for ComponentState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.http.hooks, table: &mut self.table, ctx: &mut self.http.ctx }
    }
}

impl IoView for ComponentState {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}
