//! Targets in the switchboard's own process: a call to them is no message and a reply is none, so a connection that a
//! broker makes costs no packet between its own parts.

use crate::OpenError;
use crate::board::{Board, TargetPeer};
use crate::effects::Descriptor;
use capability::Capability;
use channel::{Calls, ReceiveError, SendError};
use protocol::message::{Call, Failure, Reply, RequestBody, RequestId, ResponseBody};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use switchboard_core::{Effect, Event, TargetId};
use tokio::sync::{Mutex, mpsc};

/// Calls that may wait for a target here. More than an egress or a resolver answers at once would wait anyway.
const MAX_WAITING: usize = 1024;

/// An egress or a resolver that this process is itself: the end at which its calls are heard. Dropping it ends the target.
pub struct LocalTarget {
    board: Arc<Board>,
    id: TargetId,
    calls: Mutex<mpsc::Receiver<Call>>,
}

impl LocalTarget {
    /// Registers a target as `request` says, which is one to start a target.
    pub(crate) fn start(board: &Arc<Board>, request: RequestBody) -> Result<Self, OpenError> {
        let (sender, calls) = mpsc::channel(MAX_WAITING);
        let mut state = board.lock();
        // A handle that is gone before anybody could use it.
        let (asker, id) = (state.core.open(Capability::root()).map_err(OpenError::Refused)?, RequestId(0));
        let mut effects = Vec::new();
        state.core.handle(Event::Request { handle: asker, id, body: request }, board.now(), &mut effects);
        let mut started = None;
        for effect in effects {
            match effect {
                Effect::NewTarget { new, .. } => started = Some(Ok(new)),
                Effect::Answer { body: ResponseBody::Failed(Failure::Refused(refusal)), .. } => {
                    started = Some(Err(OpenError::Refused(refusal)));
                }
                others => drop(state.carry_out(board, others, &mut Descriptor::new(None))),
            }
        }
        let started = started.unwrap_or_else(|| Err(OpenError::Socket(io::ErrorKind::InvalidInput.into())));
        if let Ok(new) = started {
            state.targets.insert(new, TargetPeer::Here(sender));
            state.apply(board, Event::Done { handle: asker, id, outcome: Ok(()) }, None);
        }
        state.apply(board, Event::HandleClosed(asker), None);
        drop(state);
        Ok(Self { board: board.clone(), id: started?, calls: Mutex::new(calls) })
    }
}

impl Calls for LocalTarget {
    async fn next(&self) -> Result<Option<Call>, ReceiveError> {
        Ok(self.calls.lock().await.recv().await)
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
