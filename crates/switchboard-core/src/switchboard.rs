//! Handles, requests under way and what becomes of them.
//!
//! This file owns all state and sorts events; how a request begins is in [`requests`], what a target answers in
//! [`calls`], and how a request ends in [`in_flight`].

mod calls;
mod in_flight;
mod requests;

use crate::accounts::{AccountId, Accounts};
use crate::directory::{Directory, KeySetId, TargetId};
use crate::event::{Effect, Event, HandleId, WatchId};
use crate::limits::{Allowance, Limits, Resource};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use capability::{Capability, Permit, Refusal, right};
use core::time::Duration;
use in_flight::{InFlight, Made, Waiting};
use protocol::message::{CallId, RequestId, TargetKind};

/// All state of a switchboard.
#[derive(Debug)]
pub struct Switchboard {
    limits: Limits,
    accounts: Accounts,
    directory: Directory,
    handles: BTreeMap<HandleId, Handle>,
    targets: BTreeMap<TargetId, Target>,
    /// Who pays for each set of label keys: whoever registered the first target with it, until the last one is gone.
    key_sets: BTreeMap<KeySetId, AccountId>,
    watches: BTreeMap<WatchId, Watcher>,
    /// Who waits for each call. The same calls are in [`Target::calls`] and in [`Waiting::Call`].
    calls: BTreeMap<CallId, (HandleId, RequestId)>,
    /// The next number of a handle, a watch channel or a call.
    next: u64,
}

#[derive(Debug)]
struct Handle {
    capability: Arc<Capability>,
    account: AccountId,
    /// What waits for its answer.
    requests: BTreeMap<RequestId, InFlight>,
}

/// A target does not know its handle: the target channel is a descriptor of its own, and stays when the handle is closed.
#[derive(Debug)]
struct Target {
    kind: TargetKind,
    account: AccountId,
    /// What it has been asked and has not answered.
    calls: BTreeSet<CallId>,
}

#[derive(Debug)]
struct Watcher {
    permit: Permit<right::Watch>,
    account: AccountId,
}

impl Switchboard {
    /// A switchboard without handles.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            accounts: Accounts::new(limits.total),
            limits,
            directory: Directory::new(),
            handles: BTreeMap::new(),
            targets: BTreeMap::new(),
            key_sets: BTreeMap::new(),
            watches: BTreeMap::new(),
            calls: BTreeMap::new(),
            next: 1,
        }
    }

    /// Opens a handle that is not made from another one.
    ///
    /// # Errors
    /// [`Refusal::Limit`] if there are too many handles.
    ///
    /// # Authority
    /// Whoever holds the handle may do what `capability` says, bound by nothing above it. For the program that starts
    /// the switchboard.
    pub fn open(&mut self, capability: Capability) -> Result<HandleId, Refusal> {
        let account = self.accounts.open(self.accounts.top(), self.limits.opened)?;
        Ok(self.add_handle(capability, account))
    }

    /// What a handle holds, if it is open.
    #[must_use]
    pub fn capability(&self, handle: HandleId) -> Option<&Capability> {
        self.handles.get(&handle).map(|handle| &*handle.capability)
    }

    /// How much of everything is in use now.
    #[must_use]
    pub fn used(&self) -> Allowance {
        self.accounts.used()
    }

    /// Takes in one event and adds what is to be done to `effects`. `now` never goes back.
    pub fn handle(&mut self, event: Event, now: Duration, effects: &mut Vec<Effect>) {
        match event {
            Event::Request { handle, id, body } => self.request(handle, id, body, now, effects),
            Event::Refused { handle, id, request, refusal } => {
                self.refused(handle, id, request, refusal, now, effects);
            }
            Event::Done { handle, id, outcome } => self.done(handle, id, outcome, now, effects),
            Event::Replied { target, call, body } => self.replied(target, call, body, now, effects),
            Event::CallFailed { call, cause } => self.call_failed(call, cause, now, effects),
            Event::HandleClosed(handle) => self.handle_closed(handle, now, effects),
            Event::TargetClosed(target) => self.target_closed(target, now, effects),
            Event::WatchClosed(watch) => self.watch_closed(watch),
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn add_handle(&mut self, capability: Capability, account: AccountId) -> HandleId {
        let handle = HandleId(self.number());
        let capability = Arc::new(capability);
        self.handles.insert(handle, Handle { capability, account, requests: BTreeMap::new() });
        handle
    }

    fn handle_closed(&mut self, handle: HandleId, now: Duration, effects: &mut Vec<Effect>) {
        let Some(closed) = self.handles.remove(&handle) else {
            return;
        };
        for in_flight in closed.requests.into_values() {
            self.accounts.release(closed.account, Resource::Requests);
            match in_flight.waiting {
                Waiting::Call(waiting) => self.cancel(&waiting, effects),
                // Its other end will never arrive.
                Waiting::Made(made) => {
                    effects.push(made.close());
                    self.withdraw(made, now, effects);
                }
                Waiting::HandOver | Waiting::Listing { .. } => {}
            }
        }
        self.accounts.release(closed.account, Resource::Handles);
    }

    fn target_closed(&mut self, target: TargetId, now: Duration, effects: &mut Vec<Effect>) {
        let Some(closed) = self.targets.remove(&target) else {
            return;
        };
        self.accounts.release(closed.account, Resource::Targets);
        let key_set = self.directory.remove(target);
        if let Some(payer) = key_set.and_then(|key_set| self.key_sets.remove(&key_set)) {
            self.accounts.release(payer, Resource::KeySets);
        }
        for call in closed.calls {
            self.call_failed(call, crate::Undone::TargetGone, now, effects);
        }
    }

    fn watch_closed(&mut self, watch: WatchId) {
        if let Some(closed) = self.watches.remove(&watch) {
            self.accounts.release(closed.account, Resource::Watches);
        }
    }

    /// Takes back what was made for a request and has not reached the asker.
    fn withdraw(&mut self, made: Made, now: Duration, effects: &mut Vec<Effect>) {
        match made {
            Made::Handle(handle) => self.handle_closed(handle, now, effects),
            Made::Target(target) => self.target_closed(target, now, effects),
            Made::Watch(watch) => self.watch_closed(watch),
        }
    }
}
