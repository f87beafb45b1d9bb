//! Decides which error a guest sees: one set for all versions of WASI, and the way from a refusal to it.

use capability::{LimitKind, Refusal, UnreachableCause};
use rustix::io::Errno;

/// What a socket call fails with. Named as WASI names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{self:?}")]
pub(crate) enum Fault {
    Unknown,
    AccessDenied,
    NotSupported,
    InvalidArgument,
    OutOfMemory,
    Timeout,
    ConcurrencyConflict,
    NotInProgress,
    WouldBlock,
    InvalidState,
    NewSocketLimit,
    AddressNotBindable,
    AddressInUse,
    RemoteUnreachable,
    ConnectionRefused,
    ConnectionReset,
    /// The write half has ended.
    ConnectionBroken,
    ConnectionAborted,
    DatagramTooLarge,
    NameUnresolvable,
    TemporaryResolverFailure,
    PermanentResolverFailure,
}

impl From<&Refusal> for Fault {
    fn from(refusal: &Refusal) -> Fault {
        match refusal {
            Refusal::Right { .. } | Refusal::Label { .. } | Refusal::Grant | Refusal::PrivateName { .. } => {
                Fault::AccessDenied
            }
            Refusal::Limit { limit } => limit_fault(*limit),
            Refusal::NotFound | Refusal::Ambiguous { .. } => Fault::RemoteUnreachable,
            Refusal::Unreachable { cause } => unreachable_fault(*cause),
        }
    }
}

fn limit_fault(limit: LimitKind) -> Fault {
    match limit {
        LimitKind::Labels
        | LimitKind::Grants
        | LimitKind::Handles
        | LimitKind::Targets
        | LimitKind::KeySets
        | LimitKind::Requests
        | LimitKind::Backlog
        | LimitKind::Dials
        | LimitKind::Descriptors
        | LimitKind::Datagrams => Fault::NewSocketLimit,
    }
}

fn unreachable_fault(cause: UnreachableCause) -> Fault {
    match cause {
        UnreachableCause::ConnectionRefused => Fault::ConnectionRefused,
        UnreachableCause::TimedOut => Fault::Timeout,
        UnreachableCause::HostUnreachable | UnreachableCause::NetworkUnreachable | UnreachableCause::TargetGone => {
            Fault::RemoteUnreachable
        }
        UnreachableCause::AddressNotAvailable => Fault::AddressNotBindable,
        UnreachableCause::NameNotFound => Fault::NameUnresolvable,
        UnreachableCause::NameTemporary => Fault::TemporaryResolverFailure,
        UnreachableCause::NamePermanent => Fault::PermanentResolverFailure,
        UnreachableCause::ConnectionReset => Fault::ConnectionReset,
        UnreachableCause::Other => Fault::Unknown,
    }
}

impl From<&client::RequestError> for Fault {
    fn from(error: &client::RequestError) -> Fault {
        match error {
            client::RequestError::Refused(refusal) => Fault::from(refusal),
            // Nobody is there to make a connection.
            _ => Fault::RemoteUnreachable,
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        match errno {
            Errno::ACCESS | Errno::PERM => Fault::AccessDenied,
            Errno::INVAL => Fault::InvalidArgument,
            Errno::NOMEM | Errno::NOBUFS => Fault::OutOfMemory,
            Errno::MFILE | Errno::NFILE => Fault::NewSocketLimit,
            Errno::NOTCONN => Fault::InvalidState,
            Errno::CONNRESET => Fault::ConnectionReset,
            Errno::CONNREFUSED => Fault::ConnectionRefused,
            Errno::PIPE => Fault::ConnectionBroken,
            Errno::CONNABORTED => Fault::ConnectionAborted,
            Errno::MSGSIZE => Fault::DatagramTooLarge,
            Errno::ADDRINUSE => Fault::AddressInUse,
            Errno::ADDRNOTAVAIL => Fault::AddressNotBindable,
            Errno::AGAIN => Fault::WouldBlock,
            Errno::TIMEDOUT => Fault::Timeout,
            Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN => Fault::RemoteUnreachable,
            Errno::NOPROTOOPT | Errno::OPNOTSUPP => Fault::NotSupported,
            _ => Fault::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use capability::{LabelKey, Right};

    use super::*;

    #[test]
    fn every_refusal_has_its_code() {
        let key = LabelKey::new("a").unwrap();
        let private = "10.0.0.1".parse().unwrap();
        let check = |refusal: Refusal, expected: Fault| assert_eq!(Fault::from(&refusal), expected, "{refusal:?}");
        check(Refusal::Right { right: Right::ClientConnect }, Fault::AccessDenied);
        check(Refusal::Label { keys: vec![key.clone()] }, Fault::AccessDenied);
        check(Refusal::Grant, Fault::AccessDenied);
        check(Refusal::PrivateName { address: private }, Fault::AccessDenied);
        check(Refusal::Limit { limit: LimitKind::Dials }, Fault::NewSocketLimit);
        check(Refusal::Limit { limit: LimitKind::Requests }, Fault::NewSocketLimit);
        check(Refusal::NotFound, Fault::RemoteUnreachable);
        check(Refusal::Ambiguous { keys: vec![key] }, Fault::RemoteUnreachable);
    }

    #[test]
    fn every_cause_has_its_code() {
        let check = |cause: UnreachableCause, expected: Fault| {
            assert_eq!(Fault::from(&Refusal::Unreachable { cause }), expected, "{cause:?}");
        };
        check(UnreachableCause::ConnectionRefused, Fault::ConnectionRefused);
        check(UnreachableCause::TimedOut, Fault::Timeout);
        check(UnreachableCause::HostUnreachable, Fault::RemoteUnreachable);
        check(UnreachableCause::NetworkUnreachable, Fault::RemoteUnreachable);
        check(UnreachableCause::TargetGone, Fault::RemoteUnreachable);
        check(UnreachableCause::AddressNotAvailable, Fault::AddressNotBindable);
        check(UnreachableCause::NameNotFound, Fault::NameUnresolvable);
        check(UnreachableCause::NameTemporary, Fault::TemporaryResolverFailure);
        check(UnreachableCause::NamePermanent, Fault::PermanentResolverFailure);
        check(UnreachableCause::ConnectionReset, Fault::ConnectionReset);
        check(UnreachableCause::Other, Fault::Unknown);
    }
}
