//! Exit codes and the one line on standard error, as container tools have them.

use manifest::flags::UsageError;
use rustix::process::Signal;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// The guest trapped: 128 and the number of `SIGABRT`.
pub(crate) const TRAPPED: u8 = 134;

/// The exit code of what a signal has ended, as shells and container tools tell it.
pub(crate) fn by_signal(signal: Signal) -> ExitCode {
    ExitCode::from(128_u8.saturating_add(u8::try_from(signal.as_raw()).unwrap_or(u8::MAX)))
}

/// Why `cord` ends without a guest's exit code.
#[derive(Debug)]
pub(crate) enum Fault {
    /// 125: a fault of `cord` itself, or of what was typed.
    Ours(anyhow::Error),
    /// 126: the guest cannot be run.
    CannotRun(anyhow::Error),
    /// 127: there is no such guest.
    NotFound(anyhow::Error),
    /// 125, and the other process of ours whose fault it is has said why.
    Told,
}

impl Fault {
    pub(crate) fn ours(error: impl Into<anyhow::Error>) -> Self {
        Self::Ours(error.into())
    }

    pub(crate) fn cannot_run(error: impl Into<anyhow::Error>) -> Self {
        Self::CannotRun(error.into())
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Ours(_) | Self::Told => 125,
            Self::CannotRun(_) => 126,
            Self::NotFound(_) => 127,
        })
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::Ours(error)
    }
}

impl fmt::Display for Fault {
    /// The error and its causes, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(error) | Self::CannotRun(error) | Self::NotFound(error) => {
                write!(f, "{}", format!("{error:#}").replace('\n', " "))
            }
            Self::Told => f.write_str("see above"),
        }
    }
}

/// Says one line on standard error, `cord: ` before it.
pub(crate) fn say(line: impl fmt::Display) {
    // One write, so that lines of several processes do not mix. If standard error is gone, nobody is left to tell.
    let _ = io::stderr().write_all(format!("cord: {line}\n").as_bytes());
}

/// What a command line that is none deserves: help on standard output, anything else in one line.
pub(crate) fn usage(usage: &UsageError) -> ExitCode {
    if let Some(help) = usage.help() {
        let _ = io::stdout().write_all(help.as_bytes());
        return ExitCode::SUCCESS;
    }
    if usage.is_missing_command() {
        let _ = io::stderr().write_all(format!("{usage}\n").as_bytes());
    } else {
        let command = usage.command().map(|command| format!("{command} ")).unwrap_or_default();
        say(format_args!("{usage}; see cord {command}--help"));
    }
    ExitCode::from(125)
}
