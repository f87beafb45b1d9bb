//! The body of a response on its way in.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use crate::classify::{Phase, classify};
use crate::error::RequestError;
use crate::tasks::Tasks;

/// The body of a response, as it comes. Nothing is read from the connection that is not asked for here, but for what one
/// buffer holds. Dropping it before its end gives the connection up (HTTP/1.1), or the stream of it (HTTP/2).
pub struct ResponseBody {
    /// `None` after an error.
    incoming: Option<Incoming>,
    stall: Stall,
    /// Where the connection lives.
    _tasks: Arc<Tasks>,
}

/// How long somebody has waited for a frame. Time in which nobody asks for one does not count.
struct Stall {
    limit: Option<Duration>,
    /// Runs while somebody waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl ResponseBody {
    pub(crate) fn new(incoming: Incoming, between_bytes: Option<Duration>, tasks: Arc<Tasks>) -> ResponseBody {
        let stall = Stall { limit: between_bytes, timer: None };
        ResponseBody { incoming: Some(incoming), stall, _tasks: tasks }
    }
}

impl Stall {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.limit {
            Some(limit) => self.timer.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let this = &mut *self;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let error = match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.stall.timer = None;
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => classify(&error, Phase::Body),
            Poll::Pending => match this.stall.poll(cx) {
                Poll::Ready(()) => RequestError::BetweenBytesTimedOut,
                Poll::Pending => return Poll::Pending,
            },
        };
        this.incoming = None;
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("between_bytes", &self.stall.limit).finish_non_exhaustive()
    }
}
