//! Calls to an egress or a resolver, and what to believe of the answer.

use super::Switchboard;
use super::in_flight::{InFlight, Waiting, WaitingCall};
use super::requests::Beginning;
use crate::directory::TargetId;
use crate::event::{Closing, Effect, HandleId, Undone};
use crate::size;
use alloc::vec::Vec;
use capability::{AddressScope, Labels, LimitKind, MergeError, Refusal, keys};
use core::net::IpAddr;
use core::time::Duration;
use protocol::message::{Call, CallId, Failure, ReplyBody, RequestId, ResponseBody, TargetKind};

pub(super) enum CallKind {
    /// Dial, and the host name may lead here.
    Dial(AddressScope),
    Lookup,
}

impl Switchboard {
    /// Asks a target, on behalf of a request that then waits for the answer.
    pub(super) fn call(
        &mut self,
        request: &mut Beginning<'_>,
        target: TargetId,
        union: Labels,
        kind: CallKind,
    ) -> Result<Waiting, Refusal> {
        let id = CallId(self.number());
        let labels = union.clone();
        let (call, scope) = match kind {
            CallKind::Lookup => (Call::Lookup { id, labels }, AddressScope::default()),
            CallKind::Dial(scope) => {
                if size::of_labels(&labels) + size::of_scope(&scope) > size::ROOM_BYTES {
                    return Err(Refusal::Limit { limit: LimitKind::Grants });
                }
                let sent = scope.clone();
                (Call::Dial { id, labels, scope: sent }, scope)
            }
        };
        self.calls.insert(id, (request.handle, request.id));
        if let Some(target) = self.targets.get_mut(&target) {
            target.calls.insert(id);
        }
        request.effects.push(Effect::Call { target, call });
        Ok(Waiting::Call(WaitingCall { call: id, target, union, scope }))
    }

    pub(super) fn replied(
        &mut self,
        target: TargetId,
        call: CallId,
        body: ReplyBody,
        now: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let Some(replier) = self.targets.get(&target) else {
            return;
        };
        let kind = replier.kind;
        // The answer to a cancelled call may have been on its way, but a server is never asked.
        let is_breach = !may_reply(kind, &body);
        if replier.calls.contains(&call) {
            self.answered(kind, call, body, now, effects);
        }
        if is_breach {
            effects.push(Effect::CloseTarget { target, why: Closing::Breach });
            self.target_closed(target, now, effects);
        }
    }

    pub(super) fn call_failed(&mut self, call: CallId, cause: Undone, now: Duration, effects: &mut Vec<Effect>) {
        if let Some((handle, id, in_flight)) = self.take_call(call) {
            self.fail(handle, id, in_flight.asked, cause.into(), now, effects);
        }
    }

    /// Tells the target of a call that its asker is gone, if the target is not gone too.
    pub(super) fn cancel(&mut self, waiting: &WaitingCall, effects: &mut Vec<Effect>) {
        self.calls.remove(&waiting.call);
        if let Some(target) = self.targets.get_mut(&waiting.target) {
            target.calls.remove(&waiting.call);
            effects.push(Effect::Call { target: waiting.target, call: Call::Cancel { id: waiting.call } });
        }
    }

    fn answered(&mut self, kind: TargetKind, call: CallId, body: ReplyBody, now: Duration, effects: &mut Vec<Effect>) {
        let Some((handle, id, InFlight { asked, waiting })) = self.take_call(call) else {
            return;
        };
        let Waiting::Call(waiting) = waiting else {
            return;
        };
        match judge(kind, &waiting, body) {
            Ok(Believed::Dialled(labels)) => {
                effects.push(Effect::PassOn { handle, id, labels });
                self.keep(handle, id, InFlight { asked, waiting: Waiting::HandOver });
            }
            Ok(Believed::Addresses(addresses)) => {
                self.end(handle);
                effects.push(Effect::Answer { handle, id, body: ResponseBody::Addresses(addresses) });
                self.decided(asked, None, now, effects);
            }
            Err(failure) => self.fail(handle, id, asked, failure, now, effects),
        }
    }

    fn take_call(&mut self, call: CallId) -> Option<(HandleId, RequestId, InFlight)> {
        let (handle, id) = self.calls.remove(&call)?;
        let waits = |in_flight: &InFlight| matches!(&in_flight.waiting, Waiting::Call(waiting) if waiting.call == call);
        let in_flight = self.take(handle, id, waits)?;
        if let Waiting::Call(waiting) = &in_flight.waiting
            && let Some(target) = self.targets.get_mut(&waiting.target)
        {
            target.calls.remove(&call);
        }
        Some((handle, id, in_flight))
    }
}

/// An answer that may be believed.
enum Believed {
    Dialled(Labels),
    Addresses(Vec<IpAddr>),
}

/// Whether this is something that such a target may say at all.
fn may_reply(kind: TargetKind, body: &ReplyBody) -> bool {
    matches!(
        (kind, body),
        (TargetKind::Egress, ReplyBody::Dialled(_))
            | (TargetKind::Resolver, ReplyBody::Addresses(_))
            | (TargetKind::Egress | TargetKind::Resolver, ReplyBody::Failed(_))
    )
}

fn judge(kind: TargetKind, waiting: &WaitingCall, body: ReplyBody) -> Result<Believed, Failure> {
    match (kind, body) {
        (TargetKind::Egress, ReplyBody::Dialled(labels)) => {
            judge_dialled(&waiting.union, &waiting.scope, &labels).map(Believed::Dialled)
        }
        (TargetKind::Resolver, ReplyBody::Addresses(addresses)) => Ok(Believed::Addresses(addresses)),
        (TargetKind::Egress | TargetKind::Resolver, ReplyBody::Failed(failure)) => Err(judge_failed(failure)),
        _ => Err(Failure::Fault),
    }
}

/// Where a dialled socket leads: the union, and the address and port that the egress found.
///
/// An egress speaks of these two only. If the asker gave a host name, its address was no more than a guess, and the
/// name leads where its scope permits; else the egress may not have gone anywhere but where it was sent.
fn judge_dialled(union: &Labels, scope: &AddressScope, dialled: &Labels) -> Result<Labels, Failure> {
    let is_foreign = |key: &&capability::LabelKey| {
        !matches!(key.as_str(), keys::SERVER_ADDRESS | keys::SERVER_PORT)
            && union.get(key.as_str()) != dialled.get(key.as_str())
    };
    if dialled.keys().any(|key| is_foreign(&key)) {
        return Err(Failure::Fault);
    }
    let merged = if union.get(keys::SERVER_HOSTNAME).is_none() {
        union.merge(dialled)
    } else {
        let address = dialled.get(keys::SERVER_ADDRESS).map(str::parse::<IpAddr>);
        if !address.is_none_or(|address| address.is_ok_and(|address| scope.permits(address))) {
            return Err(Failure::Fault);
        }
        union.without(keys::SERVER_ADDRESS).merge(dialled)
    };
    merged.map_err(|error| match error {
        MergeError::Contradiction(_) => Failure::Fault,
        MergeError::TooMany => Refusal::from(error).into(),
    })
}

/// What an edge may say of its failure. That a right, a label or a grant is missing, or that targets tie, only the
/// switchboard can say.
fn judge_failed(failure: Failure) -> Failure {
    match failure {
        Failure::Refused(
            Refusal::PrivateName { .. } | Refusal::Limit { .. } | Refusal::Unreachable { .. } | Refusal::NotFound,
        ) => failure,
        _ => Failure::Fault,
    }
}
