//! Targets in the switchboard's own process: a call to them is no message and a reply is none, so a connection that a
//! broker makes costs no packet between its own parts.

use crate::OpenError;
use crate::board::{Board, TargetPeer};
use capability::Capability;
use channel::{Calls, ReceiveError, SendError};
use protocol::message::{Call, Failure, Reply, RequestBody, RequestId, ResponseBody};
use std::fmt;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use switchboard_core::{Effect, Event, TargetId};
use tokio::sync::mpsc;

/// Calls that may wait to be heard by a target here, each no larger than a message. They wait for no answer: the target's
/// task hears one after the other at once, so only a burst needs room. One more is refused as backlog, as at a full socket.
const MAX_WAITING: usize = 256;

/// An egress or a resolver that this process is itself: the end at which its calls are heard. Dropping it ends the target.
pub struct LocalTarget {
    board: Arc<Board>,
    id: TargetId,
    /// Locked by the one task that hears, only while it looks.
    calls: Mutex<mpsc::Receiver<Call>>,
}

impl LocalTarget {
    /// Registers a target as `request` says, which is one to start a target.
    pub(crate) fn start(board: &Arc<Board>, request: RequestBody) -> Result<Self, OpenError> {
        let (sender, calls) = mpsc::channel(MAX_WAITING);
        let mut state = board.lock();
        // A handle that is gone before anybody could use it, so nothing but this reads what it is answered.
        let (asker, id) = (state.core.open(Capability::root()).map_err(OpenError::Refused)?, RequestId(0));
        let mut started = Err(OpenError::Fault);
        let event = Event::Request { handle: asker, id, body: request };
        state.apply_by(board, event, None, |state, effect, came| match effect {
            Effect::NewTarget { handle, id, new } if handle == asker => {
                state.targets.insert(new, TargetPeer::Here(sender.clone()));
                started = Ok(new);
                Some(Event::Done { handle, id, outcome: Ok(()) })
            }
            Effect::Answer { handle, body, .. } if handle == asker => {
                if let ResponseBody::Failed(Failure::Refused(refusal)) = body {
                    started = Err(OpenError::Refused(refusal));
                }
                None
            }
            other => state.carry_out(board, other, came),
        });
        state.apply(board, Event::HandleClosed(asker), None);
        drop(state);
        Ok(Self { board: board.clone(), id: started?, calls: Mutex::new(calls) })
    }
}

impl Calls for LocalTarget {
    async fn next(&self) -> Result<Option<Call>, ReceiveError> {
        Ok(poll_fn(|cx| self.calls.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(cx)).await)
    }

    async fn reply(&self, Reply { id, body }: Reply, socket: Option<OwnedFd>) -> Result<(), SendError> {
        self.board.apply(Event::Replied { target: self.id, call: id, body }, socket);
        Ok(())
    }
}

impl Drop for LocalTarget {
    fn drop(&mut self) {
        self.board.lock().targets.remove(&self.id);
        self.board.apply(Event::TargetClosed(self.id), None);
    }
}

impl fmt::Debug for LocalTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTarget").field("id", &self.id).finish_non_exhaustive()
    }
}
