//! One live guest that answers requests, one at a time.
//!
//! The guest runs in the future that [`HttpInstance::handle`] returns, and nowhere else. Its answer leaves that future
//! as soon as its head is there (see [`super::reply`]); the future goes on until the guest has nothing more to do for the
//! request, so that whoever polls it decides how long that may take.

use std::future::poll_fn;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::{Error, FieldMap, WasiBody, WasiHttpView, p2, p3};

use crate::cpu::{self, Cpus};
use crate::http::body::{End, HttpBody};
use crate::http::failure::HttpFailure;
use crate::http::reply::{Closing, Outcome, Reply};
use crate::http::request::{self, RequestBodyError, Scheme};
use crate::state::ComponentState;

/// A live guest that answers requests.
pub struct HttpInstance {
    store: Store<ComponentState>,
    guest: Guest,
    cpus: Option<Cpus>,
    requests_served: u32,
}

/// The exports of an instance.
pub(super) enum Guest {
    Wasi02(p2::bindings::Proxy),
    Wasi03(p3::bindings::Service),
}

impl HttpInstance {
    pub(super) fn new(store: Store<ComponentState>, guest: Guest, cpus: Option<Cpus>) -> HttpInstance {
        HttpInstance { store, guest, cpus, requests_served: 0 }
    }

    /// How many requests it has seen to their ends.
    #[must_use]
    pub fn requests_served(&self) -> u32 {
        self.requests_served
    }

    /// Has the guest answer one request, and gives it back if it may take another one.
    ///
    /// The answer goes out through `answer` as soon as its head is there; if there is none, `answer` is dropped. The
    /// future goes on until the guest has nothing more to do for the request: of its body only so much is left then as
    /// fits into memory, and the [`HttpBody`] needs the guest no more. Dropping the future ends the guest. An answer
    /// that is on its way then ends with an error.
    ///
    /// The body of the request is taken back at the end, whatever the guest did with it.
    ///
    /// # Errors
    ///
    /// What the guest did instead. It is gone then, and what it wrote to its sockets has gone out.
    pub async fn handle<B>(
        mut self,
        request: Request<B>,
        scheme: Scheme,
        answer: oneshot::Sender<Response<HttpBody>>,
    ) -> Result<HttpInstance, HttpFailure>
    where
        B: Body<Data = Bytes, Error = RequestBodyError> + Send + 'static,
    {
        let reply = Reply::new(answer, request.method() == Method::HEAD);
        let closing = Closing(reply.clone());
        let (head, body) = request.into_parts();
        let (body, lender) = request::lend(body);
        let request = Request::from_parts(head, body);
        let HttpInstance { store, guest, cpus, .. } = &mut self;
        let asked = async {
            match guest {
                Guest::Wasi02(guest) => reply.drive(ask_0_2(store, guest, request, scheme, &reply)).await,
                Guest::Wasi03(guest) => reply.drive(ask_0_3(store, guest, request, scheme, &reply)).await,
            }
        };
        // In a place of its own, as in `Program::run`.
        let returned = cpu::within(cpus.as_ref(), Box::pin(asked)).await;
        let outcome = closing.close();
        drop(lender);
        match judge(returned, &outcome, &self.store) {
            Ok(()) => {
                self.requests_served = self.requests_served.saturating_add(1);
                Ok(self)
            }
            Err(failure) => {
                self.finish().await;
                Err(failure)
            }
        }
    }

    /// Ends the guest, and lets what it has written to its sockets go out.
    pub async fn finish(self) {
        let ComponentState { network, table, .. } = self.store.into_data();
        drop(table);
        network.finish().await;
    }
}

/// Asks through `wasi:http/incoming-handler`. The guest is done when the call returns.
async fn ask_0_2(
    store: &mut Store<ComponentState>,
    guest: &p2::bindings::Proxy,
    request: Request<WasiBody>,
    scheme: Scheme,
    reply: &Reply,
) -> wasmtime::Result<()> {
    use p2::bindings::http::types::Scheme as Wasi;
    let scheme = match scheme {
        Scheme::Http => Wasi::Http,
        Scheme::Https => Wasi::Https,
    };
    let (mut head, body) = request.into_parts();
    request::name_somebody(&mut head);
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, Request::from_parts(head, body))?;
    let reply = reply.clone();
    let out = http.new_response_outparam_from_callback(move |answer| match answer {
        Ok(answer) => reply.send(answer, None),
        Err(code) => reply.refuse(format!("{code:?}")),
    })?;
    guest.wasi_http_incoming_handler().call_handle(store, request, out).await
}

/// Asks through `wasi:http/handler`. The guest is done when its tasks have ended and its answer's body is out of it.
async fn ask_0_3(
    store: &mut Store<ComponentState>,
    guest: &p3::bindings::Service,
    request: Request<WasiBody>,
    scheme: Scheme,
    reply: &Reply,
) -> wasmtime::Result<()> {
    use http::uri::Scheme as Uri;
    let scheme = match scheme {
        Scheme::Http => Uri::HTTP,
        Scheme::Https => Uri::HTTPS,
    };
    let (head, body) = request.into_parts();
    let authority = request::authority(&head);
    let path = head.uri.path_and_query().cloned();
    let fields = FieldMap::new_immutable(store.data_mut().http().hooks, head.headers);
    // What the guest makes of the body is its own affair.
    let (request, _consumed) = p3::Request::new(head.method, Some(scheme), authority, path, fields, None, body);
    let work = async |accessor: &wasmtime::component::Accessor<ComponentState>| -> wasmtime::Result<()> {
        match guest.handle(accessor, request).await? {
            Ok(answer) => {
                let (telling, told) = oneshot::channel();
                // The guest may wait for its answer to be taken. Nobody takes one whose passage is gone.
                let taken = async { told.await.unwrap_or(Err(Error::ConnectionTerminated)) };
                let answer = accessor.with(|store| answer.into_http(store, taken))?;
                reply.send(answer, Some(telling));
            }
            Err(code) => reply.refuse(format!("{code:?}")),
        }
        poll_fn(|cx| {
            ready!(accessor.poll_no_interesting_tasks(cx));
            ready!(reply.poll_settled(cx));
            Poll::Ready(Ok(()))
        })
        .await
    };
    store.run_concurrent(work).await?
}

/// Whether a request was seen to its end.
fn judge(returned: wasmtime::Result<()>, outcome: &Outcome, store: &Store<ComponentState>) -> Result<(), HttpFailure> {
    let end = match outcome {
        Outcome::Sent(end) => Some(end),
        Outcome::None | Outcome::Refused(_) => None,
    };
    if let Err(error) = returned {
        return Err(HttpFailure::of(&error, &store.data().limiter, end));
    }
    match outcome {
        Outcome::None => Err(HttpFailure::NoAnswer),
        Outcome::Refused(code) => Err(HttpFailure::Refused { code: code.clone() }),
        Outcome::Sent(End::Broken(error)) => Err(HttpFailure::Incomplete(error.clone())),
        Outcome::Sent(End::Complete | End::Unwanted) => Ok(()),
    }
}

impl std::fmt::Debug for HttpInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpInstance").field("requests_served", &self.requests_served).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Servers move the futures that they drive.
    #[test]
    fn a_request_can_be_driven_from_any_thread() {
        fn is_send(_: impl Send) {}
        type Empty = http_body_util::combinators::UnsyncBoxBody<Bytes, RequestBodyError>;
        let _check = |instance: HttpInstance, request: Request<Empty>, answer| {
            is_send(instance.handle(request, Scheme::Http, answer));
        };
    }
}
