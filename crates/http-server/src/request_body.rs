//! The body of a request, as far as it has come, and how long the next piece may take.
//!
//! Nothing is read ahead of the handler but what one buffer of the connection (HTTP/1.1) or one window (HTTP/2) holds.

use crate::activity::Activity;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Why the body of a request ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client sent nothing for too long.
    #[error("the client took too long to send the body of its request")]
    TimedOut,
    /// What came is no body: a wrong length of a chunk, for example.
    #[error("the body of the request is malformed")]
    Malformed(#[source] hyper::Error),
    /// The connection ended, or the client took its request back.
    #[error("the client broke off the body of its request")]
    BrokenOff(#[source] hyper::Error),
}

/// How the body of a request ended, if it was not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    TimedOut,
    Malformed,
    BrokenOff,
}

/// What is left to say of a body when it is gone. Shared by the body and by whoever answers for the handler.
#[derive(Debug, Default)]
pub(crate) struct BodyFate(AtomicU8);

impl BodyFate {
    pub(crate) fn fault(&self) -> Option<BodyFault> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(BodyFault::TimedOut),
            2 => Some(BodyFault::Malformed),
            3 => Some(BodyFault::BrokenOff),
            _ => None,
        }
    }

    fn set(&self, error: &BodyError) {
        let number = match error {
            BodyError::TimedOut => 1,
            BodyError::Malformed(_) => 2,
            BodyError::BrokenOff(_) => 3,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// The body of a request. Reading it lets the client send on; a client that asked first (`Expect: 100-continue`) is told
/// to begin by the first read.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    limit: Duration,
    /// Runs while somebody waits.
    patience: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    state: State,
    fate: Arc<BodyFate>,
    activity: Arc<Activity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The end was reached, or an error was told. Nothing comes after it.
    Over,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limit: Duration, activity: Arc<Activity>) -> (Self, Arc<BodyFate>) {
        let fate = Arc::new(BodyFate::default());
        activity.note_body(!incoming.is_end_stream());
        let (patience, state) = (None, State::Open);
        (Self { incoming, limit, patience, is_waiting: false, state, fate: Arc::clone(&fate), activity }, fate)
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        if !self.is_waiting {
            self.is_waiting = true;
            patience.as_mut().reset(Instant::now() + self.limit);
        }
        patience.as_mut().poll(cx)
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.state = State::Over;
        self.fate.set(&error);
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.state == State::Over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.is_waiting = false;
                match frame {
                    Some(Err(error)) => this.fail(sorted(error)),
                    Some(Ok(frame)) => {
                        if this.incoming.is_end_stream() {
                            this.activity.note_body(false);
                        }
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => {
                        this.state = State::Over;
                        this.activity.note_body(false);
                        Poll::Ready(None)
                    }
                }
            }
            Poll::Pending => match this.poll_patience(cx) {
                Poll::Ready(()) => this.fail(BodyError::TimedOut),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Over || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            State::Open => self.incoming.size_hint(),
            State::Over => SizeHint::with_exact(0),
        }
    }
}

/// Malformed is what was understood to be wrong. An end that came too early is the client's right.
fn sorted(error: hyper::Error) -> BodyError {
    let mut cause = std::error::Error::source(&error);
    while let Some(error_of_io) = cause {
        if let Some(error_of_io) = error_of_io.downcast_ref::<io::Error>()
            && matches!(error_of_io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        {
            return BodyError::Malformed(error);
        }
        cause = error_of_io.source();
    }
    BodyError::BrokenOff(error)
}
