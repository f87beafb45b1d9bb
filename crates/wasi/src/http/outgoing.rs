//! Requests that guests make: asked of the handle as connections are.
//!
//! [`OutgoingHttp`] is the way of all instances of a guest on one thread: one handle, one pool of connections. [`Hooks`] is
//! what the store of each instance holds; it binds a request to its guest. `way` asks for connections, `code` says what the
//! guest learns of a failure.
//!
//! What bounds it: a guest has so many requests under way at once, as [`HostLimits`] say; an [`OutgoingHttp`] has
//! [`MAX_CONNECTIONS`](http_client::MAX_CONNECTIONS) connections, those that wait in the pool included, and a request for
//! one more waits. What a guest does not read stays with the server, but for one stream's window.

mod code;
#[cfg(test)]
mod tests;
mod upload;
mod way;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use http_client::{Client, Timeouts, Trust};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::http::outgoing::upload::Upload;
use crate::http::outgoing::way::Way;
use crate::http::room::Room;
use crate::limits::HostLimits;
use crate::sockets::DenialReport;

pub(crate) use code::add_error_codes;

/// How long connecting, the first byte and each following one may take if the guest does not say: as other hosts have it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// The way of a guest's requests to the outside, for all of its instances on one thread. They share its connections.
///
/// # Authority
///
/// That of its handle: what a socket may be connected to may be asked, and nothing else.
#[derive(Debug)]
pub struct OutgoingHttp {
    client: Client,
    way: Arc<Way>,
}

impl OutgoingHttp {
    /// Requests over `handle`, which tell `report` what is refused. One-word names are services of `application`; a server
    /// under TLS is believed as far as `trust` goes. Without a handle every request is denied.
    #[must_use]
    pub fn new(
        handle: Option<client::Handle>,
        application: Option<String>,
        report: Arc<dyn DenialReport>,
        trust: Trust,
    ) -> OutgoingHttp {
        let way = Arc::new(Way::new(handle, application, report));
        OutgoingHttp { client: Client::new(Arc::clone(&way) as _, trust), way }
    }

    async fn send(
        &self,
        request: http::Request<Upload>,
        timeouts: Timeouts,
    ) -> Result<http::Response<http_client::ResponseBody>, Error> {
        let uri = request.uri().clone();
        self.client.send(request, timeouts).await.map_err(|error| {
            self.way.tell(&uri, &error);
            code::of(error)
        })
    }
}

/// What `wasi:http` asks its host for, in the store of one instance.
pub(crate) struct Hooks {
    outgoing: Option<Arc<OutgoingHttp>>,
    report: Arc<dyn DenialReport>,
    max_requests: usize,
    /// What is left for header fields and all that goes with them.
    pub(super) room: Room,
    /// Made for the first request.
    guest: Option<Guest>,
}

/// What the requests of one instance have in common.
struct Guest {
    /// One permit for each request that it may still have.
    room: Arc<Semaphore>,
    /// Goes with the store.
    life: Arc<()>,
}

impl Hooks {
    /// For an instance whose requests go through `outgoing`; without it every one is denied, and `report` told.
    pub(crate) fn new(
        outgoing: Option<Arc<OutgoingHttp>>,
        report: Arc<dyn DenialReport>,
        limits: &HostLimits,
    ) -> Hooks {
        let room = Room::new(limits.http_bytes, limits.fields_bytes);
        Hooks { outgoing, report, max_requests: limits.requests, room, guest: None }
    }

    fn outgoing(&mut self) -> Arc<OutgoingHttp> {
        let nowhere = || Arc::new(OutgoingHttp::new(None, None, Arc::clone(&self.report), Trust::nothing()));
        Arc::clone(self.outgoing.get_or_insert_with(nowhere))
    }
}

type Processing = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Processing), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        super::MAX_WRITE_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        super::MAX_WRITE_BYTES
    }

    /// The client sets it, by the one URI that the request is sent to.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processing: Processing,
    ) -> Answer {
        let outgoing = self.outgoing();
        let max = self.max_requests;
        let guest =
            self.guest.get_or_insert_with(|| Guest { room: Arc::new(Semaphore::new(max)), life: Arc::default() });
        let Ok(room) = Arc::clone(&guest.room).try_acquire_owned() else {
            return Box::new(async { Err(Error::ConnectionLimitReached) });
        };
        let request = request.map(|body| Upload::new(body, &guest.life));
        Box::new(async move {
            let response = outgoing.send(request, timeouts(options.unwrap_or_default())).await?;
            let response = response.map(|body| {
                let body = body.map_err(move |error| {
                    // The request lasts as long as its response.
                    let _ = &room;
                    code::of(error)
                });
                body.boxed_unsync()
            });
            // The connection drives itself, and what becomes of the request's body is told with the response.
            let done: Processing = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

fn timeouts(options: RequestOptions) -> Timeouts {
    Timeouts {
        connect: Some(options.connect_timeout.unwrap_or(DEFAULT_TIMEOUT)),
        first_byte: Some(options.first_byte_timeout.unwrap_or(DEFAULT_TIMEOUT)),
        between_bytes: Some(options.between_bytes_timeout.unwrap_or(DEFAULT_TIMEOUT)),
    }
}
