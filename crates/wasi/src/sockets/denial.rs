//! What is told to the person who runs a guest when something is refused. The guest only learns a code.

use std::fmt;

use capability::Refusal;

/// What a guest tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// To connect.
    Connect,
    /// To look a name up.
    Lookup,
    /// To take a local address.
    Bind,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Connect => "connect to",
            Action::Lookup => "lookup of",
            Action::Bind => "bind to",
        })
    }
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DenialCause {
    /// The guest has no handle at all.
    #[error("it has no access to the network")]
    NoNetwork,
    /// The switchboard said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The switchboard could not be asked: it died, or broke the protocol.
    #[error("{reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
}

/// One thing that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What the guest tried.
    pub action: Action,
    /// With what, as a grant would name it: `127.0.0.1:22`, `[::1]:22`, `db.example.com:5432`, `example.com`, `udp://9.9.9.9:53`.
    pub target: String,
    /// Why not.
    pub cause: DenialCause,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} denied: {}", self.action, self.target, self.cause)
    }
}

/// Takes denials as they happen. Called from the guest's thread, so it must not block for long.
pub trait DenialReport: Send + Sync + fmt::Debug {
    /// Something was refused. The same may be refused again and again.
    fn denied(&self, denial: Denial);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_one_line() {
        let denial = |action, target: &str, cause| Denial { action, target: target.to_owned(), cause }.to_string();
        assert_eq!(
            denial(Action::Connect, "127.0.0.1:22", DenialCause::Refused(Refusal::Grant)),
            "connect to 127.0.0.1:22 denied: no grant covers it"
        );
        assert_eq!(
            denial(Action::Lookup, "example.com", DenialCause::NoNetwork),
            "lookup of example.com denied: it has no access to the network"
        );
    }
}
