//! `wasi:http`, both ways: requests that a guest makes go the way of its connections, through the handle ([`outgoing`]);
//! requests that a guest answers are put to one live instance of it after the other ([`program`], [`instance`]).

mod body;
mod failure;
mod instance;
pub(crate) mod outgoing;
mod program;
mod reply;
mod request;
mod room;

use std::sync::Arc;

use wasmtime_wasi_http::WasiHttpCtx;

pub use body::{HttpBody, HttpBodyError};
pub use failure::HttpFailure;
pub use instance::HttpInstance;
pub use outgoing::OutgoingHttp;
pub use program::HttpProgram;
pub use request::{RequestBodyError, Scheme};

pub(crate) use outgoing::add_error_codes;
pub(crate) use room::{add_0_2, add_0_3};

use crate::guest::GuestSpec;

/// So much of a body can a guest write at once, in bytes. Two or three such writes wait in memory for whoever takes the
/// body, even when the guest is gone: with the engine's own megabyte, ten thousand slow clients would fill a machine.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// What the store of a component holds for `wasi:http`.
pub(crate) struct HttpState {
    pub(crate) ctx: WasiHttpCtx,
    pub(crate) hooks: outgoing::Hooks,
}

impl HttpState {
    pub(crate) fn new(spec: &GuestSpec) -> HttpState {
        let limits = &spec.host_limits;
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(limits.fields_bytes);
        HttpState { ctx, hooks: outgoing::Hooks::new(spec.http.clone(), Arc::clone(&spec.report), limits) }
    }
}
