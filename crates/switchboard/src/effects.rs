//! Carries out what the core decided: one match, no choices of its own.

use crate::board::{Board, State, TargetPeer, is_out_of_descriptors};
use crate::peer::{Sent, Written};
use crate::readers;
use capability::Labels;
use channel::{Channel, SendError};
use protocol::message::{Call, Decision, Request, RequestId, Response, ResponseBody};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use switchboard_core::{Closing, Effect, Event, HandleId, TargetId, Undone, WatchId};
use tokio::sync::mpsc::error::TrySendError;

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

/// What is left to be done for a handle for which answers wait.
#[derive(Debug)]
pub(crate) enum Writing {
    /// Perhaps more.
    GoesOn,
    /// Nothing before its other end has read something.
    Waits(Arc<Channel<Request, Response>>),
    /// Nothing.
    IsOver,
}

impl State {
    /// Carries out one effect and returns what the core is to be told of it.
    pub(crate) fn carry_out(&mut self, board: &Arc<Board>, effect: Effect, came: &mut Descriptor) -> Option<Event> {
        match effect {
            Effect::Answer { handle, id, body } => self.tell(board, handle, id, body),
            Effect::Page { handle, id, targets, last } => {
                self.tell(board, handle, id, ResponseBody::Listing { targets, last });
                let event = Event::Done { handle, id, outcome: Ok(()) };
                return self.handles.get_mut(&handle).and_then(|(peer, _)| peer.when_drained(event));
            }
            Effect::NewHandle { handle, id, new } => {
                let party = self.party_of(board, new, handle);
                return self.grant(board, handle, id, ResponseBody::Handle, |state, channel| {
                    state.add_handle(board, new, channel, party);
                });
            }
            Effect::NewTarget { handle, id, new } => {
                return self.grant(board, handle, id, ResponseBody::Started, |state, channel| {
                    state.add_target(board, new, channel);
                });
            }
            Effect::NewWatch { handle, id, new } => {
                return self.grant(board, handle, id, ResponseBody::Watching, |state, channel| {
                    state.add_watch(board, new, channel);
                });
            }
            Effect::Join { handle, id, target, labels } => return self.join(board, (handle, id), target, labels),
            Effect::Deliver { handle, id, target, labels, datagrams } => {
                let call = Call::Connection { labels: labels.clone(), datagrams };
                let outcome = came.take().and_then(|socket| self.connect_to(target, &call, &socket));
                if outcome.is_ok() {
                    self.tell(board, handle, id, ResponseBody::Delivered(labels));
                }
                return Some(Event::Done { handle, id, outcome });
            }
            Effect::Call { target, call } => return self.call(target, call),
            Effect::PassOn { handle, id, labels } => {
                return self.hand_over(board, handle, id, ResponseBody::Connected(labels), came.take());
            }
            Effect::Decided { decision, watches } => self.decided(&decision, &watches),
            Effect::CloseHandle { handle, why } => {
                if why == Closing::Breach {
                    let error = "the number of a request is that of one that waits for its answer";
                    self.complain(board, handle, &error);
                }
                self.handles.remove(&handle);
            }
            Effect::CloseTarget { target, why } => {
                if why == Closing::Breach {
                    tracing::warn!(?target, "target closed: it gave an answer that such a target cannot give");
                }
                self.targets.remove(&target);
            }
            Effect::CloseWatch { watch } => drop(self.watches.remove(&watch)),
        }
        None
    }

    /// Answers with a message that carries no descriptor. That it cannot be sent means the handle is going away, which
    /// its reading task will see.
    fn tell(&mut self, board: &Arc<Board>, handle: HandleId, id: RequestId, body: ResponseBody) {
        let _ = self.answer(board, handle, Response { id, body }, None, None);
    }

    /// Answers with a descriptor. What the core is to be told of that now: nothing of an answer that waits, as it is told
    /// when the answer is sent.
    fn hand_over(
        &mut self,
        board: &Arc<Board>,
        handle: HandleId,
        id: RequestId,
        body: ResponseBody,
        descriptor: Result<OwnedFd, Undone>,
    ) -> Option<Event> {
        let done = |outcome| Event::Done { handle, id, outcome };
        let response = Response { id, body };
        let when_sent = Some(done(Ok(())));
        let sent = descriptor.and_then(|socket| self.answer(board, handle, response, Some(socket), when_sent));
        match sent {
            Ok(Sent::Now) => Some(done(Ok(()))),
            Ok(Sent::Later { .. }) => None,
            Err(cause) => Some(done(Err(cause))),
        }
    }

    /// Sends an answer, or keeps it until the asker reads.
    fn answer(
        &mut self,
        board: &Arc<Board>,
        handle: HandleId,
        response: Response,
        descriptor: Option<OwnedFd>,
        when_sent: Option<Event>,
    ) -> Result<Sent, Undone> {
        // An asker that is gone needs no answer, and what it would have carried is closed.
        let Some((peer, party)) = self.handles.get_mut(&handle) else { return Ok(Sent::Now) };
        let party = party.clone();
        let sent = match peer.send(response, descriptor, when_sent) {
            Err(SendError::Gone) => Sent::Now,
            sent => sent.map_err(undone)?,
        };
        if let Sent::Later { start_writing: true } = sent {
            self.spawn(readers::write_handle(board.clone(), (handle, party)));
        }
        Ok(sent)
    }

    /// Sends one of the answers that wait for a handle, and tells the core what comes of that.
    pub(crate) fn write_waiting(&mut self, board: &Arc<Board>, handle: HandleId) -> Result<Writing, SendError> {
        let Some((peer, _)) = self.handles.get_mut(&handle) else { return Ok(Writing::IsOver) };
        match peer.send_waiting() {
            Ok(Written::One(when_sent)) => {
                // Before the asker can be heard again, who may use the number of the request again.
                when_sent.into_iter().for_each(|event| self.apply(board, event, None));
                Ok(Writing::GoesOn)
            }
            Ok(Written::Everything) => {
                peer.drained().into_iter().for_each(|event| self.apply(board, event, None));
                Ok(Writing::IsOver)
            }
            Err(SendError::Full) => Ok(Writing::Waits(peer.channel.clone())),
            Err(error) => Err(error),
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
    ) -> Option<Event> {
        let (ours, theirs) = match fdpass::pair().and_then(|(ours, theirs)| Ok((Channel::new(ours)?, theirs))) {
            Ok((channel, theirs)) => (Some(Arc::new(channel)), Ok(theirs)),
            Err(error) => (None, Err(not_made(&error))),
        };
        let told = self.hand_over(board, handle, id, body, theirs);
        // After a failure, which is told now, there is none.
        if let (Some(channel), None | Some(Event::Done { outcome: Ok(()), .. })) = (ours, &told) {
            keep(self, channel);
        }
        told
    }

    fn join(
        &mut self,
        board: &Arc<Board>,
        (handle, id): (HandleId, RequestId),
        target: TargetId,
        labels: Labels,
    ) -> Option<Event> {
        let clients = self.join_server(target, &labels);
        self.hand_over(board, handle, id, ResponseBody::Connected(labels), clients)
    }

    /// Makes a socket pair and sends one end to the server. The other.
    fn join_server(&mut self, target: TargetId, labels: &Labels) -> Result<OwnedFd, Undone> {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        let (clients, servers) =
            rustix::net::socketpair(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, flags, None)
                .map_err(|errno| not_made(&errno.into()))?;
        let call = Call::Connection { labels: labels.clone(), datagrams: Vec::new() };
        self.connect_to(target, &call, &servers)?;
        Ok(clients)
    }

    fn connect_to(&mut self, target: TargetId, call: &Call, socket: &OwnedFd) -> Result<(), Undone> {
        match self.targets.get(&target) {
            Some(TargetPeer::Elsewhere(peer)) => peer.channel.try_send(call, Some(socket.as_fd())).map_err(undone),
            Some(TargetPeer::Here(_)) => {
                tracing::error!(
                    ?target,
                    "a target of this process is an egress or a resolver, and takes no connections"
                );
                Err(Undone::Fault)
            }
            None => Err(Undone::TargetGone),
        }
    }

    fn call(&mut self, target: TargetId, call: Call) -> Option<Event> {
        let waiting = match call {
            Call::Dial { id, .. } | Call::Lookup { id, .. } => Some(id),
            Call::Cancel { .. } | Call::Connection { .. } => None,
        };
        let sent = match self.targets.get(&target) {
            Some(TargetPeer::Elsewhere(peer)) => peer.channel.try_send(&call, None).map_err(undone),
            Some(TargetPeer::Here(calls)) => calls.try_send(call).map_err(|error| match error {
                TrySendError::Full(_) => Undone::Backlog,
                TrySendError::Closed(_) => Undone::TargetGone,
            }),
            None => Err(Undone::TargetGone),
        };
        Some(Event::CallFailed { call: waiting?, cause: sent.err()? })
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
