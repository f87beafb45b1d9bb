//! Pairs each response with the request that waits for it.

use crate::error::{ProtocolError, RequestError};
use channel::{Channel, ReceiveError};
use protocol::message::{Request, RequestBody, RequestId, Response, ResponseBody, TargetInfo};
use std::collections::HashMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Requests of one handle that may wait for their response at once; a further one waits until another is answered. The
/// switchboard may allow fewer, and says so with a refusal.
pub const MAX_REQUESTS_IN_FLIGHT: usize = 1024;

/// A response, with what it carries.
pub(crate) type Answer = Result<(ResponseBody, Option<OwnedFd>), RequestError>;

/// The requests under way on one channel.
#[derive(Debug)]
pub(crate) struct Calls {
    channel: Channel<Response, Request>,
    /// Closed when the channel has ended.
    room: Arc<Semaphore>,
    /// Held for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    waiting: HashMap<u64, Waiting>,
    /// Why the channel ended; every request from then on fails with this.
    ended: Option<RequestError>,
}

/// A request without its response. It stays until the response arrives, also if nobody waits any more: that is how the
/// response's descriptor is closed, and why its number is not used again before.
#[derive(Debug)]
struct Waiting {
    asker: oneshot::Sender<Answer>,
    /// What came of a listing so far.
    listed: Vec<TargetInfo>,
    _room: OwnedSemaphorePermit,
}

impl Calls {
    pub(crate) fn new(channel: Channel<Response, Request>) -> Self {
        Self { channel, room: Arc::new(Semaphore::new(MAX_REQUESTS_IN_FLIGHT)), state: Mutex::default() }
    }

    /// Asks, and waits for the answer. Dropping the future gives up the answer and closes what it carries.
    pub(crate) async fn ask(&self, body: RequestBody, descriptor: Option<BorrowedFd<'_>>) -> Answer {
        let (asker, answer) = oneshot::channel();
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
            return Err(self.ended());
        };
        let unsent = self.register(asker, room)?;
        let id = RequestId(unsent.id);
        self.channel.send(&Request { id, body }, descriptor).await?;
        unsent.sent();
        answer.await.unwrap_or_else(|_| Err(self.ended()))
    }

    /// Reads responses until the channel ends. One task, for as long as the handle lives.
    pub(crate) async fn read(&self) {
        let error = loop {
            let outcome = match self.channel.receive().await {
                Ok(Some((response, descriptor))) => self.answer(response, descriptor),
                Ok(None) => Err(RequestError::Gone),
                Err(ReceiveError::OutOfDescriptors { id: Some(id) }) => {
                    self.finish(id, |_| Err(RequestError::OutOfDescriptors))
                }
                Err(error) => Err(error.into()),
            };
            if let Err(error) = outcome {
                break error;
            }
        };
        self.end(error);
    }

    fn register(&self, asker: oneshot::Sender<Answer>, room: OwnedSemaphorePermit) -> Result<Unsent<'_>, RequestError> {
        let mut state = self.lock();
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        state.last_id += 1;
        let id = state.last_id;
        let waiting = Waiting { asker, listed: Vec::new(), _room: room };
        state.waiting.insert(id, waiting);
        Ok(Unsent { calls: self, id })
    }

    fn answer(&self, response: Response, descriptor: Option<OwnedFd>) -> Result<(), RequestError> {
        let id = response.id.0;
        match response.body {
            ResponseBody::Listing { targets, last: false } => {
                let mut state = self.lock();
                let waiting = state.waiting.get_mut(&id);
                let waiting = waiting.ok_or(ProtocolError::UnknownRequest { id })?;
                waiting.listed.extend(targets);
                Ok(())
            }
            ResponseBody::Listing { targets, last: true } => self.finish(id, |mut listed| {
                listed.extend(targets);
                let targets = listed;
                Ok((ResponseBody::Listing { targets, last: true }, None))
            }),
            body => self.finish(id, |_| Ok((body, descriptor))),
        }
    }

    /// Gives the request its answer. If nobody waits for it, what it carries is closed.
    fn finish(&self, id: u64, answer: impl FnOnce(Vec<TargetInfo>) -> Answer) -> Result<(), RequestError> {
        let waiting = self.lock().waiting.remove(&id);
        let waiting = waiting.ok_or(ProtocolError::UnknownRequest { id })?;
        drop(waiting.asker.send(answer(waiting.listed)));
        Ok(())
    }

    fn end(&self, error: RequestError) {
        let mut state = self.lock();
        state.ended = Some(error);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.room.close();
        // Whoever waits for an answer now finds that there will be none, and why.
        drop(waiting);
    }

    fn ended(&self) -> RequestError {
        self.lock().ended.clone().unwrap_or(RequestError::Gone)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock panics; if one did, the state would still be sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has its number and is not sent yet. Dropped, it never was.
struct Unsent<'a> {
    calls: &'a Calls,
    id: u64,
}

impl Unsent<'_> {
    /// The switchboard has it: its response will come.
    fn sent(mut self) {
        self.id = 0;
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        // 0 is no request's number.
        if self.id != 0 {
            self.calls.lock().waiting.remove(&self.id);
        }
    }
}
