//! What is refused is said once, in one line, with the flag that would allow it.

use crate::exit;
use capability::Refusal;
use std::collections::HashSet;
use std::sync::Mutex;
use wasi::{Action, Denial, DenialCause, DenialReport};

/// Most lines a guest can cause; one that asks for more targets has been told off enough.
const MOST_LINES: usize = 100;

/// Prints each denial once per target.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    told: Mutex<HashSet<(Action, String)>>,
}

impl DenialReport for Hints {
    fn denied(&self, denial: Denial) {
        let Ok(mut told) = self.told.lock() else { return };
        if told.len() >= MOST_LINES || !told.insert((denial.action, denial.target.clone())) {
            return;
        }
        exit::say(line(&denial));
        if told.len() == MOST_LINES {
            exit::say("further refusals are not told");
        }
    }
}

fn line(denial: &Denial) -> String {
    let Denial { action, target, cause } = denial;
    match cause {
        // No handle at all, or one without the right, is how `cord run` says that no flag was typed which is for this
        // kind of request. To who types it, it is the same as one that is for another target.
        DenialCause::NoNetwork | DenialCause::Refused(Refusal::Right { .. }) => {
            line(&Denial { cause: DenialCause::Refused(Refusal::Grant), ..denial.clone() })
        }
        DenialCause::Failed { reason } => format!("{action} {target} failed: {reason}"),
        DenialCause::Refused(refusal) => {
            format!("{action} {target} denied: {refusal}{}", allow(*action, target, refusal))
        }
    }
}

/// The flag that would allow it, if there is one.
fn allow(action: Action, target: &str, refusal: &Refusal) -> String {
    match (action, refusal) {
        (Action::Connect, Refusal::Grant) => format!(" (allow with --connect {target})"),
        (Action::Bind, Refusal::Grant) => publish(target),
        (Action::Lookup, Refusal::Grant) => format!(" (allow with --connect {target}:PORT)"),
        (Action::Connect, Refusal::PrivateName { .. }) => format!(" (allow with --connect {target},private)"),
        _ => String::new(),
    }
}

/// The flag that would let the guest serve `0.0.0.0:8080`, or `udp://[::]:5353`.
fn publish(target: &str) -> String {
    let transport = if target.starts_with("udp://") { "/udp" } else { "" };
    match target.rsplit_once(':') {
        Some((_, port)) => format!(" (allow with --publish {port}:{port}{transport})"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capability::Right;

    fn told(action: Action, target: &str, cause: DenialCause) -> String {
        line(&Denial { action, target: target.to_owned(), cause })
    }

    #[test]
    fn a_hint_is_one_line_with_the_flag() {
        let grant = || DenialCause::Refused(Refusal::Grant);
        let expected = "connect to 127.0.0.1:22 denied: no grant covers it (allow with --connect 127.0.0.1:22)";
        assert_eq!(told(Action::Connect, "127.0.0.1:22", grant()), expected);
        assert_eq!(told(Action::Connect, "127.0.0.1:22", DenialCause::NoNetwork), expected);
        assert_eq!(
            told(Action::Lookup, "db.example.com", grant()),
            "lookup of db.example.com denied: no grant covers it (allow with --connect db.example.com:PORT)"
        );
        let binds = [
            ("0.0.0.0:8080", "8080:8080"),
            ("[::]:8080", "8080:8080"),
            ("udp://0.0.0.0:5353", "5353:5353/udp"),
            ("udp://[::]:5353", "5353:5353/udp"),
        ];
        let right = Right::ServerStart;
        for (target, flag) in binds {
            for cause in [grant(), DenialCause::NoNetwork, DenialCause::Refused(Refusal::Right { right })] {
                assert_eq!(
                    told(Action::Bind, target, cause),
                    format!("bind to {target} denied: no grant covers it (allow with --publish {flag})")
                );
            }
        }
        let udp = "udp://9.9.9.9:53";
        assert_eq!(
            told(Action::Connect, udp, DenialCause::Refused(Refusal::Right { right: Right::ClientConnect })),
            format!("connect to {udp} denied: no grant covers it (allow with --connect {udp})")
        );
        let address = "127.0.0.1".parse().expect("an address");
        assert_eq!(
            told(Action::Connect, "a.example:22", DenialCause::Refused(Refusal::PrivateName { address })),
            "connect to a.example:22 denied: the name leads to 127.0.0.1, which is not public, and neither is that \
             address granted nor the name marked private (allow with --connect a.example:22,private)"
        );
        assert_eq!(
            told(Action::Connect, "a.example:22", DenialCause::Failed { reason: "the switchboard is gone".to_owned() }),
            "connect to a.example:22 failed: the switchboard is gone"
        );
    }
}
