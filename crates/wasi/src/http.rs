//! `wasi:http`: requests that a guest makes go the way of its connections, through the handle.

pub(crate) mod outgoing;

use std::sync::Arc;

use wasmtime_wasi_http::WasiHttpCtx;

pub use outgoing::OutgoingHttp;
pub(crate) use outgoing::add_error_codes;

use crate::guest::GuestSpec;

/// What the store of a component holds for `wasi:http`.
pub(crate) struct HttpState {
    pub(crate) ctx: WasiHttpCtx,
    pub(crate) hooks: outgoing::Hooks,
}

impl HttpState {
    pub(crate) fn new(spec: &GuestSpec) -> HttpState {
        HttpState { ctx: WasiHttpCtx::new(), hooks: outgoing::Hooks::new(spec.http.clone(), Arc::clone(&spec.report)) }
    }
}
