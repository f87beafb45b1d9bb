//! Numbers every way to fail, and turns failures into wire errors and back.
//!
//! The numbers are part of the schema: one is never changed or used again. Hundreds are reasons, so that a program can
//! act on a code that is newer than itself. The page for people is `docs/errors.md`; a test holds both together.

use crate::codec::MalformedMessage;
use crate::message::Failure;
use crate::{address, grant, labels, wire};
use capability::{LimitKind, Refusal, UnreachableCause};

macro_rules! codes {
    ($($variant:ident, $number:literal, $name:literal, $meaning:literal;)*) => {
        /// The number of a way to fail, as it crosses the wire and as `docs/errors.md` explains it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the numbers.
            pub const ALL: [Self; [$($number),*].len()] = [$(Self::$variant),*];

            /// The name as written in texts and logs.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    Right, 100, "right", "The handle does not hold the right that the request takes.";
    Label, 200, "label", "Labels cannot be, contradict those of the handle, or may not be set by this request.";
    Grant, 300, "grant", "No grant of the handle covers the request.";
    PrivateName, 301, "private-name", "The name is granted, but leads to an address that is neither public nor granted.";
    LimitLabels, 400, "limit-labels", "The label set would hold too many labels.";
    LimitGrants, 401, "limit-grants", "The handle would hold too many grants.";
    LimitHandles, 402, "limit-handles", "The switchboard holds too many handles.";
    LimitTargets, 403, "limit-targets", "The switchboard holds too many targets.";
    LimitKeySets, 404, "limit-key-sets", "The targets have too many different sets of label keys.";
    LimitRequests, 405, "limit-requests", "Too many requests of this handle wait for their answer.";
    LimitBacklog, 406, "limit-backlog", "The target has too many connections that it has not taken yet.";
    LimitDials, 407, "limit-dials", "Too many dials or lookups are under way in the egress or resolver.";
    LimitDescriptors, 408, "limit-descriptors", "A process, or the system, is out of descriptors.";
    LimitDatagrams, 409, "limit-datagrams", "The request carries more datagrams than one may.";
    NotFound, 500, "not-found", "Nothing is registered that matches.";
    Ambiguous, 600, "ambiguous", "Several targets match equally well.";
    ConnectionRefused, 700, "connection-refused", "The host is there, and nothing listens on that port.";
    TimedOut, 701, "timed-out", "The other end did not answer in time.";
    HostUnreachable, 702, "host-unreachable", "No way leads to the host.";
    NetworkUnreachable, 703, "network-unreachable", "No way leads to the network.";
    AddressNotAvailable, 704, "address-not-available", "The system cannot use that address or port.";
    NameNotFound, 705, "name-not-found", "The name has no address.";
    NameTemporary, 706, "name-temporary", "No name server answered.";
    NamePermanent, 707, "name-permanent", "The name could not be looked up, and trying again will not help.";
    ConnectionReset, 708, "connection-reset", "The other end broke the connection off while it was being made.";
    TargetGone, 709, "target-gone", "The target was chosen, and went away before it answered.";
    Unreachable, 710, "unreachable", "The connection could not be made, for a reason without a code of its own.";
    Fault, 900, "fault", "The switchboard could not decide, or could not do what it decided.";
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The code of a number, if this side knows it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The code of a failure.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::of_refusal(refusal),
            Failure::Fault => Self::Fault,
        }
    }

    /// The code of a refusal.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Right { .. } => Self::Right,
            Refusal::Label { .. } => Self::Label,
            Refusal::Grant => Self::Grant,
            Refusal::PrivateName { .. } => Self::PrivateName,
            Refusal::Limit { limit } => of_limit(*limit),
            Refusal::NotFound => Self::NotFound,
            Refusal::Ambiguous { .. } => Self::Ambiguous,
            Refusal::Unreachable { cause } => of_cause(*cause),
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

fn of_limit(limit: LimitKind) -> ErrorCode {
    match limit {
        LimitKind::Labels => ErrorCode::LimitLabels,
        LimitKind::Grants => ErrorCode::LimitGrants,
        LimitKind::Handles => ErrorCode::LimitHandles,
        LimitKind::Targets => ErrorCode::LimitTargets,
        LimitKind::KeySets => ErrorCode::LimitKeySets,
        LimitKind::Requests => ErrorCode::LimitRequests,
        LimitKind::Backlog => ErrorCode::LimitBacklog,
        LimitKind::Dials => ErrorCode::LimitDials,
        LimitKind::Descriptors => ErrorCode::LimitDescriptors,
        LimitKind::Datagrams => ErrorCode::LimitDatagrams,
    }
}

fn of_cause(cause: UnreachableCause) -> ErrorCode {
    match cause {
        UnreachableCause::ConnectionRefused => ErrorCode::ConnectionRefused,
        UnreachableCause::TimedOut => ErrorCode::TimedOut,
        UnreachableCause::HostUnreachable => ErrorCode::HostUnreachable,
        UnreachableCause::NetworkUnreachable => ErrorCode::NetworkUnreachable,
        UnreachableCause::AddressNotAvailable => ErrorCode::AddressNotAvailable,
        UnreachableCause::NameNotFound => ErrorCode::NameNotFound,
        UnreachableCause::NameTemporary => ErrorCode::NameTemporary,
        UnreachableCause::NamePermanent => ErrorCode::NamePermanent,
        UnreachableCause::ConnectionReset => ErrorCode::ConnectionReset,
        UnreachableCause::TargetGone => ErrorCode::TargetGone,
        UnreachableCause::Other => ErrorCode::Unreachable,
    }
}

/// The failure as the wire has it: its code, and what the code names.
pub(crate) fn to_wire(failure: &Failure) -> wire::Error {
    let mut error = wire::Error { code: ErrorCode::of(failure).number(), ..wire::Error::default() };
    match failure {
        Failure::Refused(Refusal::Right { right }) => error.right = grant::right_to_wire(*right),
        Failure::Refused(Refusal::Label { keys } | Refusal::Ambiguous { keys }) => {
            error.keys = labels::keys_to_wire(keys);
        }
        Failure::Refused(Refusal::PrivateName { address }) => error.address = address::to_wire(*address),
        Failure::Refused(Refusal::Grant | Refusal::Limit { .. } | Refusal::NotFound | Refusal::Unreachable { .. })
        | Failure::Fault => {}
    }
    error
}

/// The failure of a wire error. A code that this side does not know is read by its hundred, and as a fault where the
/// hundred does not say enough: never as success.
pub(crate) fn from_wire(error: &wire::Error) -> Result<Failure, MalformedMessage> {
    let Some(code) = ErrorCode::from_number(error.code) else {
        return by_hundred(error);
    };
    let limit = |limit| Refusal::Limit { limit };
    let unreachable = |cause| Refusal::Unreachable { cause };
    Ok(Failure::Refused(match code {
        ErrorCode::Right => return Ok(missing_right(error)),
        ErrorCode::Label => Refusal::Label { keys: labels::keys_from_wire(&error.keys)? },
        ErrorCode::Grant => Refusal::Grant,
        ErrorCode::PrivateName => Refusal::PrivateName { address: address::from_wire(&error.address)? },
        ErrorCode::LimitLabels => limit(LimitKind::Labels),
        ErrorCode::LimitGrants => limit(LimitKind::Grants),
        ErrorCode::LimitHandles => limit(LimitKind::Handles),
        ErrorCode::LimitTargets => limit(LimitKind::Targets),
        ErrorCode::LimitKeySets => limit(LimitKind::KeySets),
        ErrorCode::LimitRequests => limit(LimitKind::Requests),
        ErrorCode::LimitBacklog => limit(LimitKind::Backlog),
        ErrorCode::LimitDials => limit(LimitKind::Dials),
        ErrorCode::LimitDescriptors => limit(LimitKind::Descriptors),
        ErrorCode::LimitDatagrams => limit(LimitKind::Datagrams),
        ErrorCode::NotFound => Refusal::NotFound,
        ErrorCode::Ambiguous => Refusal::Ambiguous { keys: labels::keys_from_wire(&error.keys)? },
        ErrorCode::ConnectionRefused => unreachable(UnreachableCause::ConnectionRefused),
        ErrorCode::TimedOut => unreachable(UnreachableCause::TimedOut),
        ErrorCode::HostUnreachable => unreachable(UnreachableCause::HostUnreachable),
        ErrorCode::NetworkUnreachable => unreachable(UnreachableCause::NetworkUnreachable),
        ErrorCode::AddressNotAvailable => unreachable(UnreachableCause::AddressNotAvailable),
        ErrorCode::NameNotFound => unreachable(UnreachableCause::NameNotFound),
        ErrorCode::NameTemporary => unreachable(UnreachableCause::NameTemporary),
        ErrorCode::NamePermanent => unreachable(UnreachableCause::NamePermanent),
        ErrorCode::ConnectionReset => unreachable(UnreachableCause::ConnectionReset),
        ErrorCode::TargetGone => unreachable(UnreachableCause::TargetGone),
        ErrorCode::Unreachable => unreachable(UnreachableCause::Other),
        ErrorCode::Fault => return Ok(Failure::Fault),
    }))
}

fn by_hundred(error: &wire::Error) -> Result<Failure, MalformedMessage> {
    let keys = || labels::keys_from_wire(&error.keys);
    Ok(match error.code / 100 {
        1 => missing_right(error),
        2 => Refusal::Label { keys: keys()? }.into(),
        3 => Refusal::Grant.into(),
        5 => Refusal::NotFound.into(),
        6 => Refusal::Ambiguous { keys: keys()? }.into(),
        7 => Refusal::Unreachable { cause: UnreachableCause::Other }.into(),
        // A limit that has no name here cannot be told, and everything else is no refusal that we know of.
        _ => Failure::Fault,
    })
}

fn missing_right(error: &wire::Error) -> Failure {
    match grant::right_from_wire(error.right) {
        Some(right) => Refusal::Right { right }.into(),
        // A right that is newer than this side: what is missing cannot be named.
        None => Failure::Fault,
    }
}
