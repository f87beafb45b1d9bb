//! One request, answered by an instance: from the pool of places to the last byte of the answer.
//!
//! The instance is driven by whoever wants its answer: first by the wait for the answer's head, then by the reading of
//! its body. So a client that goes away ends the guest, and one that reads slowly holds up nobody but its own guest.
//! What a guest still has to do after the last byte is seen to its end aside.

use crate::log::{GuestLines, about_guest, readable};
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_server::{BodyError, Failure, Handler, RequestBody, RequestInfo};
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use wasi::{
    GuestLog, GuestSpec, HttpBody, HttpFailure, HttpInstance, HttpProgram, RequestBodyError, RunError, Start, Stdio,
};

/// How long a request waits for a place. Longer than a burst takes, and shorter than most clients wait.
const QUEUE_TIME: Duration = Duration::from_secs(10);

/// The requests of one worker.
pub(crate) struct Requests {
    shared: Arc<Shared>,
}

struct Shared {
    program: Arc<HttpProgram>,
    spec: GuestSpec,
    /// One permit for each instance that may be at work.
    slots: Arc<Semaphore>,
    requests_per_instance: u32,
    /// Instances that wait for their next request. Never more than there are permits.
    idle: Mutex<Vec<Live>>,
    /// Guests that have answered and are not done.
    rest: Mutex<JoinSet<()>>,
    /// How long a guest may take for each step.
    timeout: Duration,
    lines: Arc<GuestLines>,
}

/// An instance, and where its words go.
struct Live {
    instance: HttpInstance,
    words: Arc<Words>,
}

impl Requests {
    /// Requests answered by instances of `program`, as many at a time as there are `slots`.
    pub(crate) fn new(
        program: &Arc<HttpProgram>,
        spec: GuestSpec,
        slots: Arc<Semaphore>,
        requests_per_instance: NonZeroU32,
        lines: &Arc<GuestLines>,
    ) -> Self {
        let timeout = spec.deadline.unwrap_or(Duration::MAX);
        let shared = Shared {
            program: Arc::clone(program),
            spec,
            slots,
            requests_per_instance: requests_per_instance.get(),
            idle: Mutex::default(),
            rest: Mutex::default(),
            timeout,
            lines: Arc::clone(lines),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Handler for Requests {
    type Body = Answer;

    async fn handle(&self, request: Request<RequestBody>, info: RequestInfo) -> Result<Response<Answer>, Failure> {
        let shared = &self.shared;
        let slot = match timeout(QUEUE_TIME, Arc::clone(&shared.slots).acquire_owned()).await {
            Ok(Ok(slot)) => slot,
            Ok(Err(_)) | Err(_) => return Err(Failure::NoRoom),
        };
        let id = info.id.to_string();
        let live = match shared.live(&id).await {
            Ok(live) => live,
            Err(error) => {
                let is_full = matches!(error, RunError::NoRoom);
                shared.tell(&id, &format!("no instance: {:#}", anyhow::Error::new(error)));
                return Err(if is_full { Failure::NoRoom } else { Failure::Broken });
            }
        };
        let (answer, mut answered) = oneshot::channel();
        let fed = Fed::now();
        let mut guest = Guest::begin(Arc::clone(shared), live, id, slot, fed.through(request), &info, answer);
        let response = loop {
            let due = fed.at().checked_add(shared.timeout);
            tokio::select! {
                biased;
                response = &mut answered => break response.ok(),
                () = &mut guest => break answered.try_recv().ok(),
                () = until(due) => {}
            }
            // The guest has been given something meanwhile: a long upload is no fault of its own.
            if fed.at().checked_add(shared.timeout) == due {
                let limit = humantime::format_duration(shared.timeout);
                shared.tell(&guest.id, &format!("the guest was ended: no answer within --timeout {limit}"));
                return Err(Failure::TimedOut);
            }
        };
        match response {
            Some(response) => Ok(response.map(|body| Answer { body, guest: Some(guest), patience: None })),
            // The guest has told why when it ended.
            None => {
                (&mut guest).await;
                Err(guest.failure.unwrap_or(Failure::Broken))
            }
        }
    }
}

impl Shared {
    /// An instance for a request: one that has answered others, or a fresh one.
    async fn live(&self, id: &str) -> Result<Live, RunError> {
        if let Some(live) = self.idle().pop() {
            live.words.now_about(id);
            return Ok(live);
        }
        let words = Arc::new(Words { id: Mutex::new(id.to_owned()), lines: Arc::clone(&self.lines) });
        let start = Start::with(Stdio::Log(Arc::clone(&words) as Arc<dyn GuestLog>));
        Ok(Live { instance: self.program.start(&self.spec, start).await?, words })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Live>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an instance back, or lets it go.
    fn take_back(&self, live: Live) {
        if live.instance.requests_served() < self.requests_per_instance {
            self.idle().push(live);
        }
    }

    fn tell(&self, id: &str, what: &str) {
        for line in what.lines() {
            self.lines.log().line(format!("cord: [{id}] {}", about_guest(line)));
        }
    }
}

/// When a guest was last given a piece of its request.
#[derive(Clone)]
struct Fed(Arc<Mutex<Instant>>);

impl Fed {
    fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request whose pieces are noted here.
    fn through(
        &self,
        request: Request<RequestBody>,
    ) -> Request<impl Body<Data = Bytes, Error = RequestBodyError> + Send + 'static> {
        let fed = self.clone();
        request.map(|body| {
            let body = body.map_frame(move |frame| {
                *fed.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                frame
            });
            body.map_err(broken_off)
        })
    }
}

/// Waits until then; what is further away than any clock goes is never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What the guest learns of a body that broke off.
fn broken_off(error: BodyError) -> RequestBodyError {
    match error {
        BodyError::TimedOut => RequestBodyError::TimedOut,
        BodyError::Malformed(_) | BodyError::BrokenOff(_) => RequestBodyError::BrokenOff,
    }
}

/// A guest at work on a request. Dropping it ends the guest.
struct Guest {
    /// None: it is done.
    work: Option<Pin<Box<dyn Future<Output = Option<HttpFailure>> + Send>>>,
    shared: Arc<Shared>,
    id: String,
    /// What its client is told, if it failed and nothing was told yet.
    failure: Option<Failure>,
}

impl Guest {
    fn begin(
        shared: Arc<Shared>,
        live: Live,
        id: String,
        slot: OwnedSemaphorePermit,
        request: Request<impl Body<Data = Bytes, Error = RequestBodyError> + Send + 'static>,
        info: &RequestInfo,
        answer: oneshot::Sender<Response<HttpBody>>,
    ) -> Self {
        let scheme = match info.scheme {
            http_server::Scheme::Http => wasi::Scheme::Http,
            http_server::Scheme::Https => wasi::Scheme::Https,
        };
        let keeper = Arc::clone(&shared);
        let work = async move {
            let Live { instance, words } = live;
            let failure = match instance.handle(request, scheme, answer).await {
                Ok(instance) => {
                    keeper.take_back(Live { instance, words });
                    None
                }
                Err(failure) => Some(failure),
            };
            // Free only now, when the instance is gone or waits for its next request.
            drop(slot);
            failure
        };
        Self { work: Some(Box::pin(work)), shared, id, failure: None }
    }
}

impl Future for Guest {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(work) = &mut self.work {
            let failure = ready!(work.as_mut().poll(cx));
            self.work = None;
            if let Some(failure) = failure {
                let is_full = matches!(failure, HttpFailure::NoRoom);
                self.failure = Some(if is_full { Failure::NoRoom } else { Failure::Broken });
                // That a client went away is its own affair, and the access log's.
                if !matches!(failure, HttpFailure::Abandoned(_)) {
                    self.shared.tell(&self.id, &failure.to_string());
                }
            }
        }
        Poll::Ready(())
    }
}

/// The body of an answer, with the guest that writes it.
pub(crate) struct Answer {
    body: HttpBody,
    guest: Option<Guest>,
    /// Runs while nothing comes.
    patience: Option<Pin<Box<Sleep>>>,
}

/// The guest did not go on with its answer.
#[derive(Debug, thiserror::Error)]
#[error("the guest did not finish its answer")]
pub(crate) struct AnswerError;

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(frame) => {
                    this.patience = None;
                    return Poll::Ready(this.frame(frame));
                }
                Poll::Pending => {}
            }
            // Nothing is there: the guest goes on, and may then have written something.
            match &mut this.guest {
                Some(guest) if guest.work.is_some() => {
                    if Pin::new(guest).poll(cx).is_pending() {
                        break;
                    }
                }
                _ => break,
            }
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.patience = None;
            return Poll::Ready(this.frame(frame));
        }
        this.poll_patience(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Answer {
    fn frame<E: fmt::Display>(
        &mut self,
        frame: Option<Result<Frame<Bytes>, E>>,
    ) -> Option<Result<Frame<Bytes>, AnswerError>> {
        match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => {
                if let Some(guest) = self.guest.take()
                    && guest.failure.is_none()
                {
                    guest.shared.tell(&guest.id, &format!("the answer broke off: {error}"));
                }
                Some(Err(AnswerError))
            }
            None => None,
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Some(guest) = &self.guest else { return Poll::Pending };
        let limit = guest.shared.timeout;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(patience.as_mut().poll(cx));
        let limit = humantime::format_duration(limit);
        guest
            .shared
            .tell(&guest.id, &format!("the guest was ended: its answer did not go on within --timeout {limit}"));
        self.guest = None;
        Poll::Ready(Some(Err(AnswerError)))
    }
}

impl Drop for Answer {
    /// An answer that is out leaves its guest time for what it still has to do. One that was broken off does not.
    fn drop(&mut self) {
        let Some(guest) = self.guest.take() else { return };
        if guest.work.is_none() || !self.body.is_complete() {
            return;
        }
        let shared = Arc::clone(&guest.shared);
        let mut rest = shared.rest.lock().unwrap_or_else(PoisonError::into_inner);
        while rest.try_join_next().is_some() {}
        let deadline = Instant::now().checked_add(shared.timeout);
        rest.spawn(async move {
            // What is not done in time ends with the guest.
            match deadline {
                Some(deadline) => drop(tokio::time::timeout_at(deadline, guest).await),
                None => guest.await,
            }
        });
    }
}

/// What an instance prints, with the request it was about.
#[derive(Debug)]
struct Words {
    id: Mutex<String>,
    lines: Arc<GuestLines>,
}

impl Words {
    fn now_about(&self, id: &str) {
        id.clone_into(&mut self.id.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl GuestLog for Words {
    fn line(&self, line: &[u8]) {
        let id = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        self.lines.line(format!("cord: [{id}] {}", readable(line)));
    }
}
