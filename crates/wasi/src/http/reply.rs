//! The one answer that a guest owes: decides what it owes still, and sends it on its way once it is there.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::http::body::{Departure, End, HttpBody, Passage};

/// A guest's answer. Clones are of the same one.
#[derive(Clone)]
pub(super) struct Reply {
    state: Arc<Mutex<State>>,
    /// The request was `HEAD`.
    for_head: bool,
}

/// Owed, then sent or refused, then closed; or closed at once.
enum State {
    Owed(oneshot::Sender<Response<HttpBody>>),
    Sent(Arc<Passage>),
    /// With the error code of `wasi:http`.
    Refused(String),
    /// The guest has ended.
    Closed,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There was none.
    None,
    /// The guest gave an error code for it.
    Refused(String),
    /// It was sent, and its body ended so.
    Sent(End),
}

impl Reply {
    pub(super) fn new(answer: oneshot::Sender<Response<HttpBody>>, for_head: bool) -> Reply {
        Reply { state: Arc::new(Mutex::new(State::Owed(answer))), for_head }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest has an answer. `telling` hears how its body ends.
    pub(super) fn send(&self, answer: Response<WasiBody>, telling: Option<oneshot::Sender<Result<(), Error>>>) {
        let (head, source) = answer.into_parts();
        let declared_bytes = content_length(&head.headers);
        let (body, passage) = Passage::new(Departure { source, declared_bytes, for_head: self.for_head, telling });
        let mut state = self.lock();
        // A second answer goes nowhere; no interface lets a guest give one.
        if let State::Owed(answer) = std::mem::replace(&mut *state, State::Closed) {
            *state = State::Sent(passage);
            drop(state);
            // If nobody waits any more, the body is dropped, which its passage learns.
            let _ = answer.send(Response::from_parts(head, body));
        }
    }

    /// The guest has an error instead of an answer.
    pub(super) fn refuse(&self, code: String) {
        let mut state = self.lock();
        if matches!(*state, State::Owed(_)) {
            *state = State::Refused(code);
        }
    }

    fn passage(&self) -> Option<Arc<Passage>> {
        match &*self.lock() {
            State::Sent(passage) => Some(Arc::clone(passage)),
            State::Owed(_) | State::Refused(_) | State::Closed => None,
        }
    }

    /// Ready when the answer's body needs its guest no more, which has nothing else left to do.
    pub(super) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.passage().map_or(Poll::Ready(()), |passage| passage.poll_settled(cx))
    }

    /// Drives a guest, and takes from it what nobody is meant to get.
    pub(super) async fn drive<T>(&self, guest: impl Future<Output = T>) -> T {
        let mut guest = pin!(guest);
        let turn = |cx: &mut Context<'_>| {
            if self.for_head
                && let Some(passage) = self.passage()
            {
                passage.discard(cx);
            }
            guest.as_mut().poll(cx)
        };
        std::future::poll_fn(turn).await
    }

    /// The guest has ended, or is done with the request.
    fn close(&self) -> Outcome {
        // Whoever waits for an answer that never comes learns it here.
        match std::mem::replace(&mut *self.lock(), State::Closed) {
            State::Owed(_) | State::Closed => Outcome::None,
            State::Refused(code) => Outcome::Refused(code),
            State::Sent(passage) => Outcome::Sent(passage.close()),
        }
    }
}

/// Closes a reply however its guest ends, while the guest's store is still there to be asked for the rest.
pub(super) struct Closing(pub(super) Reply);

impl Closing {
    pub(super) fn close(self) -> Outcome {
        self.0.close()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The length that a header tells. The engine lets no other kind pass.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty, Full};

    use super::*;
    use crate::http::body::HttpBodyError;

    fn full(text: &'static str) -> WasiBody {
        Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
    }

    #[tokio::test]
    async fn an_answer_goes_out_at_once_and_its_end_is_known_later() {
        let (answer, mut answered) = oneshot::channel();
        let closing = Closing(Reply::new(answer, false));
        closing.0.send(Response::new(full("text")), None);
        let body = answered.try_recv().unwrap().into_body();
        assert_eq!(closing.close(), Outcome::Sent(End::Complete));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "text");
    }

    #[tokio::test]
    async fn whoever_waits_in_vain_learns_it() {
        for refuses in [false, true] {
            let (answer, answered) = oneshot::channel();
            let closing = Closing(Reply::new(answer, false));
            let guest = closing.0.clone();
            if refuses {
                guest.refuse("loop".to_owned());
                assert_eq!(closing.close(), Outcome::Refused("loop".to_owned()));
            } else {
                drop(closing);
            }
            // The guest still has what it could answer with.
            assert!(answered.await.is_err());
            guest.send(Response::new(full("late")), None);
            drop(guest);
        }
    }

    #[tokio::test]
    async fn a_guest_that_is_ended_breaks_its_answer_off() {
        struct Endless;
        impl http_body::Body for Endless {
            type Data = Bytes;
            type Error = Error;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
                Poll::Pending
            }
        }
        let (answer, answered) = oneshot::channel();
        let closing = Closing(Reply::new(answer, false));
        closing.0.send(Response::new(Endless.boxed_unsync()), None);
        let body = answered.await.unwrap().into_body();
        drop(closing);
        assert_eq!(body.collect().await.unwrap_err(), HttpBodyError::Unfinished);
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_unwanted() {
        let (answer, answered) = oneshot::channel();
        drop(answered);
        let closing = Closing(Reply::new(answer, false));
        closing.0.send(Response::new(full("text")), None);
        assert_eq!(closing.close(), Outcome::Sent(End::Unwanted));
    }

    #[test]
    fn the_length_is_what_the_header_says() {
        let answer = |length: &str| {
            let (answer, mut answered) = oneshot::channel();
            let reply = Reply::new(answer, false);
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            reply.send(Response::builder().header(CONTENT_LENGTH, length).body(body).unwrap(), None);
            let body = answered.try_recv().unwrap().into_body();
            http_body::Body::size_hint(&body).exact()
        };
        assert_eq!(answer("7"), Some(7));
        assert_eq!(answer("x"), Some(0));
    }
}
