//! What an attempt is, and what comes of one.

use crate::errno;
use crate::scene::Scene;
use std::fmt;

/// Something to try.
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether the kernel may end the process for it.
    pub(crate) may_be_fatal: bool,
    pub(crate) work: fn(&Scene) -> Done,
}

/// Who tells whether an attempt succeeded, and what that means.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// The attempt itself has seen the effect: an escape.
    Escape,
    /// Only the parent sees the effect.
    SeenByParent,
    /// No layer holds it back, as [`crate::GAPS`] says why.
    Gap,
}

/// The effect that was seen, in words; or what stood in the way.
pub(crate) type Done = Result<String, Refusal>;

/// What stood in the way of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The kernel's answer.
    Errno(i32),
    /// The kernel answered well, and yet there was no effect.
    NoEffect(String),
}

/// What is told of an attempt.
pub(crate) struct Verdict {
    pub(crate) word: &'static str,
    pub(crate) detail: String,
}

impl Attempt {
    /// An attempt that sees its own effect.
    pub(crate) const fn new(name: &'static str, work: fn(&Scene) -> Done) -> Self {
        Self { name, kind: Kind::Escape, may_be_fatal: false, work }
    }

    pub(crate) fn make(&self, scene: &Scene) -> Verdict {
        match ((self.work)(scene), self.kind) {
            (Ok(detail), Kind::Escape) => Verdict { word: "escaped", detail },
            (Ok(detail), Kind::SeenByParent) => Verdict { word: "asked", detail },
            (Ok(detail), Kind::Gap) => Verdict { word: "gap", detail },
            (Err(refusal), _) => Verdict { word: "refused", detail: refusal.to_string() },
        }
    }
}

impl Refusal {
    pub(crate) fn no_effect(what: impl Into<String>) -> Self {
        Self::NoEffect(what.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Errno(number) => match errno::name(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "errno {number}"),
            },
            Refusal::NoEffect(what) => f.write_str(what),
        }
    }
}

/// For an attempt that the kernel is to refuse *after* it has looked at the permission: these answers say that it had.
pub(crate) fn beyond_permission(result: Result<usize, Refusal>, answers: &[i32]) -> Done {
    match result {
        Ok(_) => Ok("done".to_string()),
        Err(refusal @ Refusal::Errno(number)) if answers.contains(&number) => {
            Ok(format!("permitted, and then {refusal}"))
        }
        Err(refusal) => Err(refusal),
    }
}
