//! A request that waits for its answer: for what it waits, and how it ends.

use super::Switchboard;
use crate::directory::{Cursor, TargetId};
use crate::event::{Closing, Effect, HandleId, Undone, WatchId};
use crate::limits::Resource;
use crate::size;
use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use capability::{AddressScope, Labels, Permit, right};
use core::time::Duration;
use protocol::message::{CallId, Decision, Failure, RequestId, ResponseBody};

/// A request that has begun and not ended.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) asked: Asked,
    pub(super) waiting: Waiting,
}

/// What its [`Decision`] will say of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// [`RequestBody::name`](protocol::message::RequestBody::name).
    pub(super) request: &'static str,
    /// The labels of the request and its handle.
    pub(super) from: Labels,
    /// Those of the target, once one is chosen.
    pub(super) to: Labels,
    pub(super) since: Duration,
}

/// For what a request waits. Each ends the request, but a listing that has further pages.
#[derive(Debug)]
pub(super) enum Waiting {
    /// For the driver to hand over a connection.
    HandOver,
    /// For the driver to make a socket pair.
    Made(Made),
    /// For a target to answer.
    Call(WaitingCall),
    /// For the asker to take a page.
    Listing {
        permit: Permit<right::List>,
        /// Where the next page begins, if there is one.
        next: Option<Cursor>,
    },
}

/// What was made for a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made {
    Handle(HandleId),
    Target(TargetId),
    Watch(WatchId),
}

impl Made {
    pub(super) fn close(self) -> Effect {
        let why = Closing::Unclaimed;
        match self {
            Self::Handle(handle) => Effect::CloseHandle { handle, why },
            Self::Target(target) => Effect::CloseTarget { target, why },
            Self::Watch(watch) => Effect::CloseWatch { watch },
        }
    }
}

/// A call that a target has not answered.
#[derive(Debug)]
pub(super) struct WaitingCall {
    pub(super) call: CallId,
    pub(super) target: TargetId,
    /// The union of the labels of the request and the target.
    pub(super) union: Labels,
    /// Where the host name of the request may lead.
    pub(super) scope: AddressScope,
}

impl Switchboard {
    pub(super) fn done(
        &mut self,
        handle: HandleId,
        id: RequestId,
        outcome: Result<(), Undone>,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let waits_for_driver = |in_flight: &InFlight| !matches!(in_flight.waiting, Waiting::Call(_));
        let Some(InFlight { asked, waiting }) = self.take(handle, id, waits_for_driver) else {
            return;
        };
        if let Err(cause) = outcome {
            if let Waiting::Made(made) = waiting {
                self.withdraw(made, now, effects);
            }
            self.fail(handle, id, asked, cause.into(), now, effects);
            return;
        }
        if let Waiting::Listing { permit, next: Some(next) } = waiting {
            let waiting = self.page(handle, id, permit, next, effects);
            self.keep(handle, id, InFlight { asked, waiting });
            return;
        }
        self.end(handle);
        self.decided(asked, None, now, effects);
    }

    /// Adds one page of a listing to `effects`.
    pub(super) fn page(
        &mut self,
        handle: HandleId,
        id: RequestId,
        permit: Permit<right::List>,
        from: Cursor,
        effects: &mut Vec<Effect>,
    ) -> Waiting {
        let mut bytes = 0;
        let (targets, next) = self.directory.list(&permit, from, |target| {
            bytes += size::of_target(target);
            bytes <= size::ROOM_BYTES
        });
        effects.push(Effect::Page { handle, id, targets, last: next.is_none() });
        Waiting::Listing { permit, next }
    }

    /// Takes a request out that is as asked; then [`Switchboard::keep`], [`Switchboard::end`] or [`Switchboard::fail`].
    pub(super) fn take(
        &mut self,
        handle: HandleId,
        id: RequestId,
        is: impl FnOnce(&InFlight) -> bool,
    ) -> Option<InFlight> {
        let requests = &mut self.handles.get_mut(&handle)?.requests;
        if is(requests.get(&id)?) { requests.remove(&id) } else { None }
    }

    pub(super) fn keep(&mut self, handle: HandleId, id: RequestId, in_flight: InFlight) {
        if let Some(handle) = self.handles.get_mut(&handle) {
            handle.requests.insert(id, in_flight);
        }
    }

    /// Ends a request that has its answer.
    pub(super) fn end(&mut self, handle: HandleId) {
        if let Some(handle) = self.handles.get(&handle) {
            self.accounts.release(handle.account, Resource::Requests);
        }
    }

    /// Ends a request by answering that it failed.
    pub(super) fn fail(
        &mut self,
        handle: HandleId,
        id: RequestId,
        asked: Asked,
        failure: Failure,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        self.end(handle);
        self.answer_failed(handle, id, asked, failure, now, effects);
    }

    /// Answers that a request failed which was not charged, or is not any more.
    pub(super) fn answer_failed(
        &mut self,
        handle: HandleId,
        id: RequestId,
        asked: Asked,
        failure: Failure,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Answer { handle, id, body: ResponseBody::Failed(failure.clone()) });
        self.decided(asked, Some(failure), now, effects);
    }

    /// Tells the watchers. One sees a decision only if neither the labels of the asker nor those of the target
    /// contradict its own: so a watcher that is bound to an application learns nothing of another one.
    pub(super) fn decided(&self, asked: Asked, failure: Option<Failure>, now: Duration, effects: &mut Vec<Effect>) {
        let sees = |watcher: &super::Watcher| {
            let labels = watcher.permit.labels();
            labels.contradictions(&asked.from).is_empty() && labels.contradictions(&asked.to).is_empty()
        };
        let watches: Vec<WatchId> =
            self.watches.iter().filter(|(_, watcher)| sees(watcher)).map(|(watch, _)| *watch).collect();
        if !watches.is_empty() {
            let decision = Decision {
                request: asked.request.to_owned(),
                from: asked.from,
                to: asked.to,
                failure,
                took: now.saturating_sub(asked.since),
                lost: 0,
            };
            effects.push(Effect::Decided { decision, watches });
        }
    }
}
