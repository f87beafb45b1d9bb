//! A switchboard with a driver that does everything at once, for tests that ask one thing after another.

use capability::{Capability, Constraint, Labels, Refusal};
use core::time::Duration;
use protocol::message::{Failure, RequestBody, RequestId, ResponseBody};
use switchboard_core::{Effect, Event, HandleId, Limits, Switchboard, TargetId, Undone, WatchId};

pub(crate) fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    Labels::try_from_pairs(pairs).unwrap()
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) switchboard: Switchboard,
    pub(crate) now: Duration,
    next: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self { switchboard: Switchboard::new(limits), now: Duration::ZERO, next: 0 }
    }

    pub(crate) fn root(&mut self) -> HandleId {
        self.switchboard.open(Capability::root()).unwrap()
    }

    pub(crate) fn event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.switchboard.handle(event, self.now, &mut effects);
        effects
    }

    /// Asks, and gives back the number of the request and what is to be done, of which nothing is done yet.
    pub(crate) fn ask_only(&mut self, handle: HandleId, body: RequestBody) -> (RequestId, Vec<Effect>) {
        self.next += 1;
        let id = RequestId(self.next);
        let effects = self.event(Event::Request { handle, id, body });
        (id, effects)
    }

    pub(crate) fn done(&mut self, handle: HandleId, id: RequestId, outcome: Result<(), Undone>) -> Vec<Effect> {
        self.event(Event::Done { handle, id, outcome })
    }

    /// Asks, does the one thing that is to be done first, and gives it back, or the refusal.
    pub(crate) fn ask(&mut self, handle: HandleId, body: RequestBody) -> Result<Effect, Refusal> {
        let (id, effects) = self.ask_only(handle, body);
        let first = effects.into_iter().next().unwrap();
        match first {
            Effect::Answer { body: ResponseBody::Failed(Failure::Refused(refusal)), .. } => Err(refusal),
            Effect::Call { .. } => Ok(first),
            _ => {
                self.done(handle, id, Ok(()));
                Ok(first)
            }
        }
    }

    pub(crate) fn start(&mut self, handle: HandleId, body: RequestBody) -> Result<TargetId, Refusal> {
        match self.ask(handle, body)? {
            Effect::NewTarget { new, .. } => Ok(new),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn server(&mut self, handle: HandleId, in_labels: &str) -> TargetId {
        self.start(handle, RequestBody::ServerStart(labels(in_labels))).unwrap()
    }

    pub(crate) fn egress(&mut self, handle: HandleId, in_labels: &str) -> TargetId {
        self.start(handle, RequestBody::EgressStart(labels(in_labels))).unwrap()
    }

    pub(crate) fn resolver(&mut self, handle: HandleId, in_labels: &str) -> TargetId {
        self.start(handle, RequestBody::ResolverStart(labels(in_labels))).unwrap()
    }

    /// The target of a client's connection and the labels of both ends.
    pub(crate) fn connect(&mut self, handle: HandleId, out_labels: &str) -> Result<(TargetId, Labels), Refusal> {
        match self.ask(handle, RequestBody::ClientConnect(labels(out_labels)))? {
            Effect::Join { target, labels, .. } => Ok((target, labels)),
            Effect::Call { target, call: protocol::message::Call::Dial { labels, .. } } => Ok((target, labels)),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn push(&mut self, handle: HandleId, out_labels: &str) -> Result<(TargetId, Labels), Refusal> {
        match self.ask(handle, RequestBody::IngressConnect { labels: labels(out_labels), datagrams: Vec::new() })? {
            Effect::Deliver { target, labels, .. } => Ok((target, labels)),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn constrain(&mut self, handle: HandleId, constraint: Constraint) -> Result<HandleId, Refusal> {
        match self.ask(handle, RequestBody::Constrain(constraint))? {
            Effect::NewHandle { new, .. } => Ok(new),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn watch(&mut self, handle: HandleId, out_labels: &str) -> Result<WatchId, Refusal> {
        match self.ask(handle, RequestBody::Watch(labels(out_labels)))? {
            Effect::NewWatch { new, .. } => Ok(new),
            other => panic!("{other:?}"),
        }
    }
}
