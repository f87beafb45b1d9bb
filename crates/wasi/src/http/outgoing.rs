//! Requests that guests make: asked of the handle as connections are.

use std::sync::Arc;

use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::sockets::DenialReport;

/// The way of a guest's requests to the outside.
#[derive(Debug)]
pub struct OutgoingHttp;

/// What `wasi:http` asks its host for.
pub(crate) struct Hooks;

impl Hooks {
    pub(crate) fn new(_outgoing: Option<Arc<OutgoingHttp>>, _report: Arc<dyn DenialReport>) -> Hooks {
        Hooks
    }
}

type Processing = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _fut: Processing,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Processing), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
