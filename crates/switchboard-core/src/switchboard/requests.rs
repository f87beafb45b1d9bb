//! How a request begins: the capability of the handle judges it, and with the proof the directory is asked.

use super::calls::CallKind;
use super::in_flight::{Asked, InFlight, Made, Waiting};
use super::{Handle, Switchboard, Target, Watcher};
use crate::accounts::AccountId;
use crate::directory::{Choice, Cursor, Registers, TargetId};
use crate::event::{Closing, Effect, HandleId, WatchId};
use crate::limits::Resource;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use capability::{Capability, Constraint, Labels, LimitKind, Refusal, keys, right};
use core::time::Duration;
use protocol::message::{RequestBody, RequestId, ResponseBody, TargetKind};

/// A request while it begins.
pub(super) struct Beginning<'a> {
    pub(super) handle: HandleId,
    pub(super) id: RequestId,
    pub(super) capability: Arc<Capability>,
    account: AccountId,
    pub(super) now: Duration,
    pub(super) asked: Asked,
    /// Nothing is added before the request can no longer be refused.
    pub(super) effects: &'a mut Vec<Effect>,
}

/// What came of the beginning of a request.
enum Begun {
    /// It waits.
    Waits(Waiting),
    /// It needs nobody else: this is the answer.
    Answered(ResponseBody),
}

impl Switchboard {
    pub(super) fn request(
        &mut self,
        handle: HandleId,
        id: RequestId,
        body: RequestBody,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let Some(asker) = self.new_request(handle, id, now, effects) else {
            return;
        };
        let asked = asked(&asker.capability, &body, now);
        if let Err(refusal) = self.charge_request(handle) {
            self.answer_failed(handle, id, asked, refusal.into(), now, effects);
            return;
        }
        let Some(asker) = self.handles.get(&handle) else {
            return;
        };
        let mut beginning = Beginning {
            handle,
            id,
            capability: Arc::clone(&asker.capability),
            account: asker.account,
            now,
            asked,
            effects,
        };
        let begun = self.begin(&mut beginning, body);
        let Beginning { asked, effects, .. } = beginning;
        match begun {
            Ok(Begun::Waits(waiting)) => self.keep(handle, id, InFlight { asked, waiting }),
            Ok(Begun::Answered(body)) => {
                self.end(handle);
                effects.push(Effect::Answer { handle, id, body });
                self.decided(asked, None, now, effects);
            }
            Err(refusal) => self.fail(handle, id, asked, refusal.into(), now, effects),
        }
    }

    /// A request that the driver could not make out, and so knows the answer to.
    pub(super) fn refused(
        &mut self,
        handle: HandleId,
        id: RequestId,
        request: &'static str,
        refusal: Refusal,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(asker) = self.new_request(handle, id, now, effects) {
            let asked = Asked { request, from: asker.capability.out_labels().clone(), to: Labels::new(), since: now };
            self.answer_failed(handle, id, asked, refusal.into(), now, effects);
        }
    }

    /// The handle of a request that has just come, if it is open and the number is not in use. If it is, which of the
    /// two an answer is for could not be told: nothing more can be said through this handle.
    fn new_request(
        &mut self,
        handle: HandleId,
        id: RequestId,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) -> Option<&Handle> {
        if self.handles.get(&handle)?.requests.contains_key(&id) {
            effects.push(Effect::CloseHandle { handle, why: Closing::Breach });
            self.handle_closed(handle, now, effects);
        }
        self.handles.get(&handle)
    }

    fn charge_request(&mut self, handle: HandleId) -> Result<(), Refusal> {
        let most = usize::try_from(self.limits.requests_per_handle).unwrap_or(usize::MAX);
        match self.handles.get(&handle) {
            Some(Handle { requests, account, .. }) if requests.len() < most => {
                self.accounts.charge(*account, Resource::Requests)
            }
            _ => Err(Refusal::Limit { limit: LimitKind::Requests }),
        }
    }

    fn begin(&mut self, request: &mut Beginning<'_>, body: RequestBody) -> Result<Begun, Refusal> {
        let waiting = match body {
            RequestBody::Constrain(constraint) => self.constrain(request, &constraint),
            RequestBody::ClientConnect(labels) => self.client_connect(request, &labels),
            RequestBody::IngressConnect { labels, datagrams } => self.ingress_connect(request, &labels, datagrams),
            RequestBody::ServerStart(labels) => self.start::<right::ServerStart>(request, &labels),
            RequestBody::EgressStart(labels) => self.start::<right::EgressStart>(request, &labels),
            RequestBody::ResolverStart(labels) => self.start::<right::ResolverStart>(request, &labels),
            RequestBody::Resolve(labels) => return self.resolve(request, &labels),
            RequestBody::List(labels) => {
                let permit = request.capability.permit::<right::List>(&labels)?;
                Ok(self.page(request.handle, request.id, permit, Cursor::start(), request.effects))
            }
            RequestBody::Watch(labels) => self.watch(request, &labels),
        };
        waiting.map(Begun::Waits)
    }

    fn constrain(&mut self, request: &mut Beginning<'_>, constraint: &Constraint) -> Result<Waiting, Refusal> {
        let weaker = request.capability.constrain(constraint)?;
        let share = self.accounts.share_of(request.account);
        let account = self.accounts.open(request.account, share)?;
        let new = self.add_handle(weaker, account);
        request.effects.push(Effect::NewHandle { handle: request.handle, id: request.id, new });
        Ok(Waiting::Made(Made::Handle(new)))
    }

    fn start<R: Registers>(&mut self, request: &mut Beginning<'_>, labels: &Labels) -> Result<Waiting, Refusal> {
        let permit = request.capability.permit::<R>(labels)?;
        let account = request.account;
        self.accounts.charge(account, Resource::Targets)?;
        let is_new_key_set = !self.directory.has_key_set(&permit);
        if is_new_key_set && let Err(refusal) = self.accounts.charge(account, Resource::KeySets) {
            self.accounts.release(account, Resource::Targets);
            return Err(refusal);
        }
        let (new, key_set) = self.directory.register(&permit);
        if is_new_key_set {
            self.key_sets.insert(key_set, account);
        }
        self.targets.insert(new, Target { kind: R::KIND, account, calls: BTreeSet::new() });
        request.asked.to = permit.labels().clone();
        request.effects.push(Effect::NewTarget { handle: request.handle, id: request.id, new });
        Ok(Waiting::Made(Made::Target(new)))
    }

    fn client_connect(&mut self, request: &mut Beginning<'_>, labels: &Labels) -> Result<Waiting, Refusal> {
        let permit = request.capability.permit::<right::ClientConnect>(labels)?;
        let chosen = self.directory.connect(&permit, request.now);
        let Choice { target, kind, in_labels } =
            chosen.map_err(|refusal| without_keys_unless_listed(refusal, &request.capability, labels))?;
        request.asked.to = in_labels;
        let union = permit.labels().merge(&request.asked.to)?;
        match kind {
            TargetKind::Egress => self.call(request, target, union, CallKind::Dial(permit.scope().clone())),
            TargetKind::Server | TargetKind::Resolver => Ok(join(request, target, union)),
        }
    }

    fn ingress_connect(
        &mut self,
        request: &mut Beginning<'_>,
        labels: &Labels,
        datagrams: Vec<Vec<u8>>,
    ) -> Result<Waiting, Refusal> {
        let permit = request.capability.permit::<right::IngressConnect>(labels)?;
        let chosen = self.directory.push(&permit, request.now);
        let Choice { target, in_labels, .. } =
            chosen.map_err(|refusal| without_keys_unless_listed(refusal, &request.capability, labels))?;
        request.asked.to = in_labels;
        let labels = permit.labels().merge(&request.asked.to)?;
        let (handle, id) = (request.handle, request.id);
        request.effects.push(Effect::Deliver { handle, id, target, labels, datagrams });
        Ok(Waiting::HandOver)
    }

    fn resolve(&mut self, request: &mut Beginning<'_>, labels: &Labels) -> Result<Begun, Refusal> {
        let permit = request.capability.permit_lookup(labels)?;
        if is_service(permit.labels()) {
            // Nobody else is asked: such a name means nothing outside, and says too much there.
            return match self.directory.has_service(&permit) {
                true => Ok(Begun::Answered(ResponseBody::Addresses(Vec::new()))),
                false => Err(Refusal::NotFound),
            };
        }
        let chosen = self.directory.lookup(&permit, request.now);
        let Choice { target, in_labels, .. } =
            chosen.map_err(|refusal| without_keys_unless_listed(refusal, &request.capability, labels))?;
        request.asked.to = in_labels;
        let union = permit.labels().merge(&request.asked.to)?;
        self.call(request, target, union, CallKind::Lookup).map(Begun::Waits)
    }

    fn watch(&mut self, request: &mut Beginning<'_>, labels: &Labels) -> Result<Waiting, Refusal> {
        let permit = request.capability.permit::<right::Watch>(labels)?;
        let account = request.account;
        self.accounts.charge(account, Resource::Watches)?;
        let new = WatchId(self.number());
        self.watches.insert(new, Watcher { permit, account });
        request.effects.push(Effect::NewWatch { handle: request.handle, id: request.id, new });
        Ok(Waiting::Made(Made::Watch(new)))
    }
}

/// Whether a host name is that of a service (rule 7): one word, in the network of an application.
fn is_service(labels: &Labels) -> bool {
    let is_one_word = labels.get(keys::SERVER_HOSTNAME).is_some_and(|name| !name.contains('.'));
    is_one_word && labels.get(keys::NETWORK).is_some_and(|network| network != keys::OUTSIDE)
}

fn join(request: &mut Beginning<'_>, target: TargetId, labels: Labels) -> Waiting {
    request.effects.push(Effect::Join { handle: request.handle, id: request.id, target, labels });
    Waiting::HandOver
}

/// The keys that would decide are told only to a handle that may list the targets in question (rule 3).
fn without_keys_unless_listed(refusal: Refusal, capability: &Capability, labels: &Labels) -> Refusal {
    let unstamped = keys::SOURCE.iter().fold(labels.clone(), |labels, key| labels.without(key));
    match refusal {
        Refusal::Ambiguous { .. } if capability.permit::<right::List>(&unstamped).is_err() => {
            Refusal::Ambiguous { keys: Vec::new() }
        }
        other => other,
    }
}

/// What the decision will say of who asked: the labels of the request and those of its handle. Where they contradict,
/// those of the handle, as it cannot lie about them.
fn asked(capability: &Capability, body: &RequestBody, now: Duration) -> Asked {
    let union = |own: &Labels, added: &Labels| own.merge(added).unwrap_or_else(|_| own.clone());
    let (own_in, own_out) = (capability.in_labels(), capability.out_labels());
    let from = match body {
        RequestBody::Constrain(constraint) => union(own_out, &constraint.out_labels),
        RequestBody::ServerStart(labels) | RequestBody::EgressStart(labels) | RequestBody::ResolverStart(labels) => {
            // What registers has in-labels; who registers it is in the out-labels, which come first.
            union(&union(own_out, own_in), labels)
        }
        RequestBody::ClientConnect(labels)
        | RequestBody::IngressConnect { labels, .. }
        | RequestBody::List(labels)
        | RequestBody::Watch(labels)
        | RequestBody::Resolve(labels) => union(own_out, labels),
    };
    Asked { request: body.name(), from, to: Labels::new(), since: now }
}
