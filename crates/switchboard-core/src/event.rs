//! What goes into the switchboard and what comes out: the whole of what the driver sees.
//!
//! The driver hands each [`Event`] in and carries out each [`Effect`] in order. Effects marked *reported* are answered
//! with one [`Event::Done`] for the same handle and request, unless the handle was closed before: as soon as the answer
//! is on its way to the asker, and not while it waits for an asker who does not read. So what waits with a descriptor is
//! counted among the asker's requests.

use crate::directory::TargetId;
use alloc::vec::Vec;
use capability::{Labels, LimitKind, Refusal, UnreachableCause};
use protocol::message::{Call, CallId, Decision, Failure, ReplyBody, RequestBody, RequestId, ResponseBody, TargetInfo};

/// The number of a handle. Never used again after the handle is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId(pub u64);

/// The number of a watch channel. Never used again after the channel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request came through a handle. With [`RequestBody::IngressConnect`] the driver holds the accepted socket until
    /// it has carried out what comes of the request; then, if it was not delivered, drops it.
    Request {
        /// The handle.
        handle: HandleId,
        /// The asker's number of the request.
        id: RequestId,
        /// The request.
        body: RequestBody,
    },
    /// What came through a handle is a request, and is refused as it stands: it asks for something that cannot be, or
    /// what it carried is lost. So that it is answered and told like any other refusal.
    Refused {
        /// The handle.
        handle: HandleId,
        /// The asker's number of the request.
        id: RequestId,
        /// What was asked: [`RequestBody::name`].
        request: &'static str,
        /// The answer.
        refusal: Refusal,
    },
    /// The driver has carried out, or failed to, the reported effect for this request.
    Done {
        /// The handle of the request.
        handle: HandleId,
        /// The number of the request.
        id: RequestId,
        /// How it went.
        outcome: Result<(), Undone>,
    },
    /// A target answered a call. With [`ReplyBody::Dialled`] the driver holds the dialled socket until it has carried
    /// out what comes of the reply; then, if it was not passed on, drops it.
    Replied {
        /// The target.
        target: TargetId,
        /// The number of the call.
        call: CallId,
        /// The reply.
        body: ReplyBody,
    },
    /// A call could not be handed to its target. Not for [`Call::Cancel`], which nobody waits for.
    CallFailed {
        /// The number of the call.
        call: CallId,
        /// Why.
        cause: Undone,
    },
    /// The other end of a handle is gone, or the driver has closed it.
    HandleClosed(HandleId),
    /// The other end of a target channel is gone, or the driver has closed it.
    TargetClosed(TargetId),
    /// The other end of a watch channel is gone, or the driver has closed it.
    WatchClosed(WatchId),
}

/// Why the driver could not carry out an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The socket of the target is full.
    Backlog,
    /// The target is gone. [`Event::TargetClosed`] is still to come.
    TargetGone,
    /// The process or the system is out of descriptors.
    Descriptors,
    /// Anything else; the driver has logged it.
    Fault,
}

impl From<Undone> for Failure {
    fn from(cause: Undone) -> Self {
        let limit = |limit| Self::Refused(Refusal::Limit { limit });
        match cause {
            Undone::Backlog => limit(LimitKind::Backlog),
            Undone::Descriptors => limit(LimitKind::Descriptors),
            Undone::TargetGone => Self::Refused(Refusal::Unreachable { cause: UnreachableCause::TargetGone }),
            Undone::Fault => Self::Fault,
        }
    }
}

/// Why the driver is to close a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Its other end broke the protocol.
    Breach,
    /// Whoever asked for it has gone before it got it.
    Unclaimed,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this answer, which carries no descriptor.
    Answer {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// [`ResponseBody::Failed`] or [`ResponseBody::Addresses`].
        body: ResponseBody,
    },
    /// Send these targets as [`ResponseBody::Listing`]. *Reported* as soon as the handle has room for the next page, so
    /// that an asker who does not read holds up nobody but itself.
    Page {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// Some of the targets; they fit into one message.
        targets: Vec<TargetInfo>,
        /// Whether these were the last.
        last: bool,
    },
    /// Make a socket pair, keep one end as the handle `new` and answer [`ResponseBody::Handle`] with the other.
    /// *Reported*; after a failure there is no `new`.
    NewHandle {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// The new handle.
        new: HandleId,
    },
    /// Make a socket pair, keep one end as the target channel `new` and answer [`ResponseBody::Started`] with the
    /// other. *Reported*; after a failure there is no `new`.
    NewTarget {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// The new target.
        new: TargetId,
    },
    /// Make a socket pair, keep one end as the watch channel `new` and answer [`ResponseBody::Watching`] with the
    /// other. *Reported*; after a failure there is no `new`.
    NewWatch {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// The new watch channel.
        new: WatchId,
    },
    /// Make a socket pair and send one end with [`Call::Connection`] to the target; once that is sent, answer
    /// [`ResponseBody::Connected`] with the other end. *Reported*; after a failure nothing was answered.
    Join {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// To which target.
        target: TargetId,
        /// The union of the labels of both ends, for both.
        labels: Labels,
    },
    /// Send the accepted socket of the request with [`Call::Connection`] to the target; once that is sent, answer
    /// [`ResponseBody::Delivered`]. *Reported*; after a failure nothing was answered.
    Deliver {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// To which target.
        target: TargetId,
        /// The union of the labels of both ends, for both.
        labels: Labels,
        /// What came for the socket before it existed, as the request has it.
        datagrams: Vec<Vec<u8>>,
    },
    /// Send this call, which carries no descriptor. If that fails, [`Event::CallFailed`].
    Call {
        /// To which target.
        target: TargetId,
        /// [`Call::Dial`], [`Call::Lookup`] or [`Call::Cancel`].
        call: Call,
    },
    /// Answer [`ResponseBody::Connected`] with the dialled socket of the reply. *Reported*; after a failure nothing was
    /// answered.
    PassOn {
        /// Through which handle.
        handle: HandleId,
        /// To which request.
        id: RequestId,
        /// The union of the labels of both ends, and where the socket really leads.
        labels: Labels,
    },
    /// Send this decision to these watch channels. One that is full misses it, and the next it gets counts those.
    Decided {
        /// The decision; the driver fills in [`Decision::lost`] for each channel.
        decision: Decision,
        /// To whom.
        watches: Vec<WatchId>,
    },
    /// Close the handle. No event needs to follow.
    CloseHandle {
        /// Which.
        handle: HandleId,
        /// Why.
        why: Closing,
    },
    /// Close the target channel. No event needs to follow.
    CloseTarget {
        /// Which.
        target: TargetId,
        /// Why.
        why: Closing,
    },
    /// Close the watch channel, whose asker has gone before it got it. No event needs to follow.
    CloseWatch {
        /// Which.
        watch: WatchId,
    },
}
