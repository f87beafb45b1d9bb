//! The body of a request on its way out, and what is known of it afterwards.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use tokio::time::Instant;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request.
pub(crate) struct Upload {
    body: UnsyncBoxBody<Bytes, BoxError>,
    progress: Progress,
}

/// How far a body has come. Clones share it.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

struct State {
    /// When the connection last took a piece.
    taken: Option<Instant>,
    ended: bool,
    error: Option<BoxError>,
}

/// Stands for the body's own error, which [`Progress`] keeps.
#[derive(Debug, thiserror::Error)]
#[error("the request's body failed")]
pub(crate) struct UploadFailed;

impl Upload {
    pub(crate) fn new<B>(body: B) -> Upload
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let state = State { taken: None, ended: body.is_end_stream(), error: None };
        Upload { body: body.map_err(Into::into).boxed_unsync(), progress: Progress(Arc::new(Mutex::new(state))) }
    }

    pub(crate) fn empty() -> Upload {
        Upload::new(Empty::new())
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Progress {
    /// When the connection last took a piece, if it took any.
    pub(crate) fn taken(&self) -> Option<Instant> {
        self.lock().taken
    }

    /// Whether nothing is lost if the request is sent again without a body.
    pub(crate) fn is_empty(&self, method: &Method) -> bool {
        // Without a length, HTTP/1.1 sends no body with these.
        let bodiless = *method == Method::GET || *method == Method::HEAD;
        let state = self.lock();
        state.taken.is_none() && state.error.is_none() && (state.ended || bodiless)
    }

    /// The error that the body ended with.
    pub(crate) fn error(&self) -> Option<BoxError> {
        self.lock().error.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadFailed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailed>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let mut state = self.progress.lock();
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                state.taken = Some(Instant::now());
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                state.error = Some(error);
                Some(Err(UploadFailed))
            }
            None => {
                state.ended = true;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
