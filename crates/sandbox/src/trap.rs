//! Decides what is told about a guest's death: one line for the cause, then the guest's own calls, innermost first.
//!
//! The names of functions are the guest's own words: they are cut, and what would give orders to a terminal is shown.

use std::fmt;

use wasmtime::component::ResourceTableError;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::limits::Limits;

/// The innermost calls that the engine looks at; a stack overflow has ten thousand.
pub(crate) const MAX_CALLS: usize = 64;

/// More lines than this say nothing more.
const MAX_LINES: usize = 20;

/// A name that is longer is cut, in characters. Those of generic Rust functions are seldom over a hundred.
const MAX_NAME_CHARACTERS: usize = 240;

/// How the engine's messages about limits begin or end; they have no types of their own.
const TOO_MUCH_IN_A_CALL: &str = "too much data is being copied between the host and the guest";
const TOO_MANY_HANDLES: &str = "store handle limit exceeded";

/// Why a guest died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// The cause, such as `wasm trap: out of bounds memory access`.
    pub cause: String,
    /// The guest's calls, innermost first, as far as they are told; a function that called itself is told once.
    pub calls: Vec<String>,
}

impl TrapReport {
    /// Takes apart what the engine returned from a call of a guest with these `limits`.
    #[must_use]
    pub fn of(error: &wasmtime::Error, limits: &Limits) -> TrapReport {
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        // Numbers of functions tell nobody anything: a guest without names is told without calls.
        let told = if frames.iter().any(|frame| frame.func_name().is_some()) { frames } else { &[] };
        let names: Vec<String> = told.iter().map(frame_name).collect();
        TrapReport { cause: cause(error, limits), calls: lines(&names) }
    }
}

/// Joins equal calls that follow each other, and cuts what is too long.
fn lines(names: &[String]) -> Vec<String> {
    let runs: Vec<&[String]> = names.chunk_by(|one, next| one == next).collect();
    let line = |run: &&[String]| match run {
        [name] => name.clone(),
        [name, ..] => format!("{name} ({} times)", run.len()),
        [] => String::new(),
    };
    let mut lines: Vec<String> = runs.iter().take(MAX_LINES).map(line).collect();
    if runs.len() > MAX_LINES {
        lines.push("...".to_owned());
    }
    lines
}

/// The cause without the backtrace, which the engine attaches as the outermost context.
fn cause(error: &wasmtime::Error, limits: &Limits) -> String {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trap.to_string();
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return format!("limit reached: {} resources at once", limits.resources);
    }
    let cause = error.root_cause().to_string();
    if cause.starts_with(TOO_MUCH_IN_A_CALL) {
        return format!("limit reached: {} bytes in one call", limits.call_bytes);
    }
    if cause.ends_with(TOO_MANY_HANDLES) {
        return format!("limit reached: {} handles at once", limits.handles);
    }
    cause
}

fn frame_name(frame: &FrameInfo) -> String {
    let function = match frame.func_name() {
        // `#`: without the hash that Rust puts behind every name.
        Some(name) => readable(&format!("{:#}", rustc_demangle::demangle(name))),
        None => format!("<function {}>", frame.func_index()),
    };
    match frame.module().name() {
        Some(module) => format!("{}!{function}", readable(module)),
        None => function,
    }
}

/// A name made fit for a line.
fn readable(name: &str) -> String {
    let mut readable = String::new();
    for (index, character) in name.chars().enumerate() {
        match character {
            _ if index == MAX_NAME_CHARACTERS => {
                readable.push_str("...");
                break;
            }
            _ if character.is_control() => readable.extend(character.escape_default()),
            _ => readable.push(character),
        }
    }
    readable
}

impl fmt::Display for TrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        self.calls.iter().try_for_each(|call| write!(f, "\n    at {call}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_is_told_by_its_name() {
        let report = TrapReport::of(&wasmtime::Error::from(Trap::UnreachableCodeReached), &Limits::default());
        assert_eq!(report.to_string(), "wasm trap: wasm `unreachable` instruction executed");
    }

    #[test]
    fn a_limit_is_told_with_its_number() {
        let limits = Limits { resources: 7, handles: 8, call_bytes: 9, ..Limits::default() };
        let check = |error: wasmtime::Error, expected: &str| assert_eq!(cause(&error, &limits), expected);
        check(ResourceTableError::Full.into(), "limit reached: 7 resources at once");
        check(wasmtime::Error::from(ResourceTableError::Full).context("pushing"), "limit reached: 7 resources at once");
        check(ResourceTableError::NotPresent.into(), "resource not present");
    }

    #[test]
    fn names_give_no_orders_and_have_an_end() {
        assert_eq!(readable("a\u{1b}[2J\nb\u{9b}"), "a\\u{1b}[2J\\nb\\u{9b}");
        assert_eq!(readable(&"é".repeat(MAX_NAME_CHARACTERS)), "é".repeat(MAX_NAME_CHARACTERS));
        assert!(readable(&"é".repeat(100_000)).ends_with("éé..."));
        assert_eq!(readable(&"é".repeat(100_000)).chars().count(), MAX_NAME_CHARACTERS + 3);
    }

    #[test]
    fn a_function_that_calls_itself_is_told_once() {
        let names = ["a", "b", "b", "b", "a"].map(str::to_owned);
        assert_eq!(lines(&names), ["a", "b (3 times)", "a"]);
    }

    #[test]
    fn a_long_way_is_cut() {
        let names: Vec<String> = (0..MAX_LINES + 2).map(|number| number.to_string()).collect();
        let lines = lines(&names);
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines.last().map(String::as_str), Some("..."));
    }
}
