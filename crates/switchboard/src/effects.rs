//! Carries out what the core decided: one match, no choices of its own.

use crate::board::{Board, State, is_out_of_descriptors};
use crate::peer::Sent;
use crate::readers;
use capability::{Labels, Refusal};
use channel::{Channel, SendError};
use protocol::message::{Call, Decision, Failure, RequestId, Response, ResponseBody};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use switchboard_core::{Effect, Event, HandleId, TargetId, Undone, WatchId};

/// The descriptor that came with an event, until an effect takes it. What no effect takes is closed with it.
#[derive(Debug)]
pub(crate) struct Descriptor(Option<OwnedFd>);

impl Descriptor {
    pub(crate) fn new(descriptor: Option<OwnedFd>) -> Self {
        Self(descriptor)
    }

    fn take(&mut self) -> Result<OwnedFd, Undone> {
        self.0.take().ok_or_else(|| {
            tracing::error!("an effect wants a descriptor that did not come with its event");
            Undone::Fault
        })
    }
}

impl State {
    /// Carries out one effect and returns what the core is to be told of it.
    pub(crate) fn carry_out(&mut self, board: &Arc<Board>, effect: Effect, came: &mut Descriptor) -> Option<Event> {
        let done = |handle, id, outcome| Some(Event::Done { handle, id, outcome });
        match effect {
            Effect::Answer { handle, id, body } => self.tell(board, handle, id, body),
            Effect::Page { handle, id, targets, last } => {
                self.tell(board, handle, id, ResponseBody::Listing { targets, last });
                let event = Event::Done { handle, id, outcome: Ok(()) };
                return self.handles.get_mut(&handle).and_then(|peer| peer.when_drained(event));
            }
            Effect::NewHandle { handle, id, new } => {
                let outcome = self.grant(board, handle, id, ResponseBody::Handle, |state, channel| {
                    state.add_handle(board, new, channel);
                });
                return done(handle, id, outcome);
            }
            Effect::NewTarget { handle, id, new } => {
                let outcome = self.grant(board, handle, id, ResponseBody::Started, |state, channel| {
                    state.add_target(board, new, channel);
                });
                return done(handle, id, outcome);
            }
            Effect::NewWatch { handle, id, new } => {
                let outcome = self.grant(board, handle, id, ResponseBody::Watching, |state, channel| {
                    state.add_watch(board, new, channel);
                });
                return done(handle, id, outcome);
            }
            Effect::Join { handle, id, target, labels } => {
                return done(handle, id, self.join(board, (handle, id), target, labels));
            }
            Effect::Deliver { handle, id, target, labels, datagrams } => {
                let call = Call::Connection { labels: labels.clone(), datagrams };
                let outcome = came.take().and_then(|socket| self.connect_to(target, &call, &socket));
                if outcome.is_ok() {
                    self.tell(board, handle, id, ResponseBody::Delivered(labels));
                }
                return done(handle, id, outcome);
            }
            Effect::Call { target, call } => return self.call(target, &call),
            Effect::PassOn { handle, id, labels } => {
                let outcome = came
                    .take()
                    .and_then(|socket| self.answer(board, handle, id, ResponseBody::Connected(labels), Some(socket)));
                if let Err(cause) = outcome {
                    self.tell(board, handle, id, ResponseBody::Failed(Failure::from(cause)));
                }
            }
            Effect::Decided { decision, watches } => self.decided(&decision, &watches),
            Effect::CloseHandle { handle } => drop(self.handles.remove(&handle)),
            Effect::CloseTarget { target } => drop(self.targets.remove(&target)),
            Effect::CloseWatch { watch } => drop(self.watches.remove(&watch)),
        }
        None
    }

    /// Answers with a message that carries no descriptor. That it cannot be sent means the handle is going away, which
    /// its reading task will see.
    fn tell(&mut self, board: &Arc<Board>, handle: HandleId, id: RequestId, body: ResponseBody) {
        let _ = self.answer(board, handle, id, body, None);
    }

    fn answer(
        &mut self,
        board: &Arc<Board>,
        handle: HandleId,
        id: RequestId,
        body: ResponseBody,
        descriptor: Option<OwnedFd>,
    ) -> Result<(), Undone> {
        // An asker that is gone needs no answer, and what it would have carried is closed.
        let Some(peer) = self.handles.get_mut(&handle) else { return Ok(()) };
        match peer.send(Response { id, body }, descriptor) {
            Ok(Sent::Now | Sent::Later { start_writing: false }) | Err(SendError::Gone) => Ok(()),
            Ok(Sent::Later { start_writing: true }) => {
                self.spawn(readers::write_handle(board.clone(), handle));
                Ok(())
            }
            Err(error) => Err(undone(error)),
        }
    }

    /// Makes a socket pair, gives one end away with the answer `body`, and keeps the other.
    fn grant<In: protocol::Message, Out: protocol::Message>(
        &mut self,
        board: &Arc<Board>,
        handle: HandleId,
        id: RequestId,
        body: ResponseBody,
        keep: impl FnOnce(&mut Self, Arc<Channel<In, Out>>),
    ) -> Result<(), Undone> {
        let (ours, theirs) = fdpass::pair().map_err(|error| not_made(&error))?;
        let channel = Arc::new(Channel::new(ours).map_err(|error| not_made(&error))?);
        self.answer(board, handle, id, body, Some(theirs))?;
        keep(self, channel);
        Ok(())
    }

    fn join(
        &mut self,
        board: &Arc<Board>,
        (handle, id): (HandleId, RequestId),
        target: TargetId,
        labels: Labels,
    ) -> Result<(), Undone> {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let (clients, servers) =
            rustix::net::socketpair(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, flags, None)
                .map_err(|errno| not_made(&errno.into()))?;
        let call = Call::Connection { labels: labels.clone(), datagrams: Vec::new() };
        self.connect_to(target, &call, &servers)?;
        self.answer(board, handle, id, ResponseBody::Connected(labels), Some(clients))
    }

    fn connect_to(&mut self, target: TargetId, call: &Call, socket: &OwnedFd) -> Result<(), Undone> {
        let peer = self.targets.get(&target).ok_or(Undone::TargetGone)?;
        peer.channel.try_send(call, Some(socket.as_fd())).map_err(undone)
    }

    fn call(&mut self, target: TargetId, call: &Call) -> Option<Event> {
        let sent = match self.targets.get(&target) {
            Some(peer) => peer.channel.try_send(call, None).map_err(undone),
            None => Err(Undone::TargetGone),
        };
        match (sent, call) {
            (Err(cause), Call::Dial { id, .. } | Call::Lookup { id, .. }) => {
                Some(Event::CallFailed { call: *id, cause })
            }
            _ => None,
        }
    }

    fn decided(&mut self, decision: &Decision, watches: &[WatchId]) {
        for watch in watches {
            let Some((peer, lost)) = self.watches.get_mut(watch) else { continue };
            let decision = Decision { lost: *lost, ..decision.clone() };
            *lost = match peer.channel.try_send(&decision, None) {
                Ok(()) => 0,
                Err(_not_read) => lost.saturating_add(1),
            };
        }
    }
}

impl Board {
    /// Refuses a request that the core never saw.
    pub(crate) fn refuse(self: &Arc<Self>, handle: HandleId, id: RequestId, refusal: Refusal) {
        self.lock().tell(self, handle, id, ResponseBody::Failed(Failure::Refused(refusal)));
    }
}

fn undone(error: SendError) -> Undone {
    match error {
        SendError::Full => Undone::Backlog,
        SendError::Gone => Undone::TargetGone,
        SendError::OutOfDescriptors => Undone::Descriptors,
        SendError::Unsendable(_) | SendError::WrongDescriptors { .. } | SendError::Io(_) => {
            tracing::error!(%error, "a message could not be sent");
            Undone::Fault
        }
    }
}

fn not_made(error: &io::Error) -> Undone {
    if is_out_of_descriptors(error) {
        return Undone::Descriptors;
    }
    tracing::error!(%error, "a socket pair could not be made");
    Undone::Fault
}
