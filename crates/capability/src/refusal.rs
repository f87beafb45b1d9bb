//! Every way in which the switchboard says no, as a type (rule 8).

use crate::labels::{LabelKey, MergeError};
use crate::right::Right;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Why a request was refused. A failure to decide is not in here: that is an error, and never a "no".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The handle lacks a right.
    #[error("the handle does not hold the right {right}")]
    Right {
        /// The right it would take (the first, if several are missing).
        right: Right,
    },
    /// Labels contradict those of the handle, or may not be set by this request.
    #[error("these labels may not be set or changed here: {}", join(keys))]
    Label {
        /// Their keys.
        keys: Vec<LabelKey>,
    },
    /// No grant covers the request.
    #[error("no grant covers it")]
    Grant,
    /// The name was granted, but leads to an address that is not public.
    #[error(
        "the name leads to {address}, which is not public, and neither is that address granted nor the name marked private"
    )]
    PrivateName {
        /// Where it leads.
        address: IpAddr,
    },
    /// A bound was reached.
    #[error("{limit}")]
    Limit {
        /// Which.
        limit: LimitKind,
    },
    /// No target matches.
    #[error("nothing is registered that matches")]
    NotFound,
    /// Several targets match equally well.
    #[error("several targets match equally well{}", deciding(keys))]
    Ambiguous {
        /// The keys that would decide; empty unless the handle holds the right `list`.
        keys: Vec<LabelKey>,
    },
    /// A target was chosen, and the other end could not be reached.
    #[error("{cause}")]
    Unreachable {
        /// Why not.
        cause: UnreachableCause,
    },
}

impl From<MergeError> for Refusal {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Contradiction(contradiction) => Self::Label { keys: contradiction.keys },
            MergeError::TooMany => Self::Limit { limit: LimitKind::Labels },
        }
    }
}

/// The bounds that one peer, or the whole switchboard, may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LimitKind {
    /// Labels in one set.
    #[error("too many labels")]
    Labels,
    /// Grant layers, or grants in one layer.
    #[error("too many grants")]
    Grants,
    /// Open handles.
    #[error("too many handles")]
    Handles,
    /// Registered targets.
    #[error("too many targets")]
    Targets,
    /// Different sets of label keys among the targets.
    #[error("too many different sets of label keys")]
    KeySets,
    /// Requests of one handle that wait for their answer.
    #[error("too many requests wait for an answer")]
    Requests,
    /// Connections that a target has not taken yet.
    #[error("the target has too many connections waiting")]
    Backlog,
    /// Dials or lookups under way in an edge.
    #[error("too many dials or lookups are under way")]
    Dials,
    /// Descriptors of a process or of the system.
    #[error("out of descriptors")]
    Descriptors,
    /// Datagrams that travel with a pushed socket.
    #[error("too many datagrams")]
    Datagrams,
}

/// Why the other end could not be reached, in the words of the operating system and of DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UnreachableCause {
    /// `ECONNREFUSED`.
    #[error("connection refused")]
    ConnectionRefused,
    /// `ETIMEDOUT`, or our own time limit.
    #[error("timed out")]
    TimedOut,
    /// `EHOSTUNREACH`.
    #[error("host unreachable")]
    HostUnreachable,
    /// `ENETUNREACH`.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// `EADDRNOTAVAIL`.
    #[error("address not available")]
    AddressNotAvailable,
    /// The name has no address (`NXDOMAIN`, or no record).
    #[error("the name has no address")]
    NameNotFound,
    /// No name server answered.
    #[error("the name could not be looked up now")]
    NameTemporary,
    /// Name resolution failed for good (`SERVFAIL` and its kin).
    #[error("the name could not be looked up")]
    NamePermanent,
    /// `ECONNRESET` or `ECONNABORTED` while connecting.
    #[error("connection reset")]
    ConnectionReset,
    /// The target went away before it answered.
    #[error("the target went away")]
    TargetGone,
    /// Anything else.
    #[error("the connection could not be made")]
    Other,
}

fn join(keys: &[LabelKey]) -> alloc::string::String {
    keys.iter().map(LabelKey::as_str).collect::<Vec<_>>().join(", ")
}

fn deciding(keys: &[LabelKey]) -> alloc::string::String {
    if keys.is_empty() {
        alloc::string::String::new()
    } else {
        alloc::format!("; these labels would decide: {}", join(keys))
    }
}
