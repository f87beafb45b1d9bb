//! The body of an answer on its way from the guest to whoever takes it: decides whether it ended well.
//!
//! The engine's own bodies end as if they were whole when the guest behind them is gone: the channel that they are read
//! from closes, and nobody says why. So each body passes through a [`Passage`], which the guest's driver shares. A guest
//! that ends is asked there whether its body had an end ([`Passage::close`]); if not, its receiver gets an error. Then
//! the body needs the guest no more, however slowly it is taken.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::task::unconstrained;
use wasmtime_wasi_http::{Error, WasiBody};

/// So many frames are taken from a guest that ended: what its channel can hold, and the end behind it.
const MAX_KEPT_FRAMES: usize = 4;

/// So much of a body may be written that nobody gets because the request was `HEAD`, in bytes.
const MAX_DISCARDED_BYTES: u64 = 1 << 20;

/// The body of an answer. It is whole exactly if it ends without an error.
pub struct HttpBody(Arc<Passage>);

/// Why a body is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpBodyError {
    /// The guest trapped, exited, was ended, or left the body as it was.
    #[error("the guest ended without finishing the body")]
    Unfinished,
    /// The guest gave it up, or another error than its own came in its way.
    #[error("the guest gave the body up: {reason}")]
    GivenUp {
        /// As the guest said it.
        reason: String,
    },
    /// It is not as long as its header says.
    #[error("the body has {} {sent_bytes} bytes and should have {declared_bytes}", if sent_bytes > declared_bytes { "at least" } else { "only" })]
    Length {
        /// What `content-length` says.
        declared_bytes: u64,
        /// What there is.
        sent_bytes: u64,
    },
}

/// How a body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Whole.
    Complete,
    /// With an error for its receiver.
    Broken(HttpBodyError),
    /// Its receiver went away.
    Unwanted,
}

/// What a body passes through.
pub(super) struct Passage(Mutex<Inner>);

struct Inner {
    /// Where it comes from; gone when the end is known.
    source: Option<WasiBody>,
    /// What was taken from there before the receiver asked for it.
    kept: VecDeque<Frame<Bytes>>,
    end: Option<End>,
    /// The length that the header tells, in bytes.
    declared_bytes: Option<u64>,
    /// What came from the source so far, in bytes.
    taken_bytes: u64,
    /// Nobody is meant to get it: what the receiver leaves is thrown away, so that the guest can write it.
    for_head: bool,
    /// The receiver left it, and it is being thrown away.
    discarding: bool,
    receiver: Option<Waker>,
    driver: Option<Waker>,
    /// Told when the end is known.
    telling: Option<oneshot::Sender<Result<(), Error>>>,
}

/// What a passage is made of.
pub(super) struct Departure {
    pub(super) source: WasiBody,
    /// What the answer's header says.
    pub(super) declared_bytes: Option<u64>,
    /// Whether the request was `HEAD`.
    pub(super) for_head: bool,
    /// Told when the end is known.
    pub(super) telling: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Passage {
    /// Both ends of a body: its receiver's and its driver's.
    pub(super) fn new(departure: Departure) -> (HttpBody, Arc<Passage>) {
        let Departure { source, declared_bytes, for_head, telling } = departure;
        let passage = Arc::new(Passage(Mutex::new(Inner {
            source: Some(source),
            kept: VecDeque::new(),
            end: None,
            declared_bytes,
            taken_bytes: 0,
            for_head,
            discarding: false,
            receiver: None,
            driver: None,
            telling,
        })));
        (HttpBody(Arc::clone(&passage)), passage)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when the body needs its guest no more, which has nothing else left to do.
    pub(super) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        inner.driver = Some(cx.waker().clone());
        inner.settle();
        if inner.end.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Throws away what nobody is meant to get. For the driver, whenever it has a turn.
    pub(super) fn discard(&self, cx: &mut Context<'_>) {
        let mut inner = self.lock();
        inner.driver = Some(cx.waker().clone());
        while inner.discarding && inner.end.is_none() && inner.pull(cx).is_ready() {
            inner.kept.clear();
            if inner.taken_bytes > MAX_DISCARDED_BYTES {
                inner.finish(End::Unwanted);
            }
        }
    }

    /// The guest has ended, or will do nothing more for this body.
    pub(super) fn close(&self) -> End {
        let mut inner = self.lock();
        inner.settle();
        if inner.end.is_none() {
            let end = if inner.discarding { End::Unwanted } else { End::Broken(HttpBodyError::Unfinished) };
            inner.finish(end);
        }
        inner.end.clone().unwrap_or(End::Unwanted)
    }
}

impl Inner {
    /// Takes what is ready from a guest that does nothing more.
    fn settle(&mut self) {
        // The receiver may sleep until the source has something: whoever polls the source in its place leaves its waker.
        let waker = self.receiver.clone().unwrap_or_else(|| Waker::noop().clone());
        let take = poll_fn(|cx| {
            while self.end.is_none() && self.kept.len() < MAX_KEPT_FRAMES && self.pull(cx).is_ready() {}
            Poll::Ready(())
        });
        // Whether it is ready must not depend on how much its task has done before: tokio says "not yet" to a task that
        // has done much, and this is the last time that the source is asked.
        let _taken = pin!(unconstrained(take)).poll(&mut Context::from_waker(&waker));
        if self.discarding {
            self.kept.clear();
        }
    }

    /// Takes one frame, or learns of the end.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &mut self.source else { return Poll::Ready(()) };
        match ready!(Pin::new(source).poll_frame(cx)) {
            // A guest may write nothing, and then there is nothing to pass on.
            Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty) => {}
            Some(Ok(frame)) => {
                self.taken_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.declared_bytes {
                    Some(declared_bytes) if self.taken_bytes > declared_bytes => {
                        self.finish_short_or_long(declared_bytes)
                    }
                    _ => self.kept.push_back(frame),
                }
            }
            None => match self.declared_bytes {
                Some(declared_bytes) if self.taken_bytes != declared_bytes => self.finish_short_or_long(declared_bytes),
                _ => self.finish(End::Complete),
            },
            Some(Err(error)) => {
                self.finish(End::Broken(HttpBodyError::GivenUp { reason: error.to_string() }));
            }
        }
        Poll::Ready(())
    }

    fn finish_short_or_long(&mut self, declared_bytes: u64) {
        self.finish(End::Broken(HttpBodyError::Length { declared_bytes, sent_bytes: self.taken_bytes }));
    }

    /// Knows the end from now on.
    fn finish(&mut self, end: End) {
        let told = match &end {
            End::Complete => Ok(()),
            End::Broken(HttpBodyError::Length { sent_bytes, .. }) => {
                Err(Error::HttpResponseBodySize(Some(*sent_bytes)))
            }
            End::Broken(_) => Err(Error::HttpResponseIncomplete),
            End::Unwanted => Err(Error::ConnectionTerminated),
        };
        self.end = Some(end);
        self.source = None;
        if let Some(telling) = self.telling.take() {
            // Nobody has to listen.
            let _ = telling.send(told);
        }
        for waker in [self.receiver.take(), self.driver.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn kept_bytes(&self) -> u64 {
        self.kept.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum()
    }
}

impl HttpBody {
    /// Whether there is nothing more to take from it, and nothing went wrong: then it may be dropped without disturbing
    /// its guest. Of an answer to `HEAD` nobody takes anything.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let inner = self.0.lock();
        match &inner.end {
            Some(end) => *end == End::Complete && (inner.for_head || inner.kept.is_empty()),
            None => inner.for_head,
        }
    }
}

impl Body for HttpBody {
    type Data = Bytes;
    type Error = HttpBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut inner = self.0.lock();
        loop {
            if let Some(frame) = inner.kept.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match &inner.end {
                Some(End::Broken(error)) => return Poll::Ready(Some(Err(error.clone()))),
                Some(End::Complete | End::Unwanted) => return Poll::Ready(None),
                None => {}
            }
            if !inner.receiver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                inner.receiver = Some(cx.waker().clone());
            }
            ready!(inner.pull(cx));
        }
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.0.lock();
        let is_there = inner.declared_bytes.is_none_or(|declared_bytes| declared_bytes == inner.taken_bytes);
        inner.kept.is_empty()
            && match (&inner.end, &inner.source) {
                (Some(End::Complete), _) => true,
                (None, Some(source)) => is_there && source.is_end_stream(),
                _ => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.0.lock();
        let kept_bytes = inner.kept_bytes();
        match (&inner.end, inner.declared_bytes, &inner.source) {
            // With a length before it, a body cannot have trailers behind it.
            (Some(End::Complete), None, _) if inner.kept.iter().any(Frame::is_trailers) => SizeHint::default(),
            (Some(End::Complete), _, _) => SizeHint::with_exact(kept_bytes),
            (_, Some(declared_bytes), _) => {
                SizeHint::with_exact(declared_bytes.saturating_sub(inner.taken_bytes) + kept_bytes)
            }
            (None, None, Some(source)) if kept_bytes == 0 => source.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for HttpBody {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.receiver = None;
        if inner.end.is_some() {
            inner.kept.clear();
        } else if inner.for_head {
            inner.discarding = true;
            inner.kept.clear();
            if let Some(driver) = inner.driver.take() {
                driver.wake();
            }
        } else {
            inner.finish(End::Unwanted);
        }
    }
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").field("end", &self.0.lock().end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
