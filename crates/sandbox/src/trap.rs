//! Decides what is told about a guest's death: one line for the cause, then the guest's own calls, innermost first.

use std::fmt;

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

/// The innermost calls that the engine looks at; a stack overflow has ten thousand.
pub(crate) const MAX_CALLS: usize = 64;

/// More lines than this say nothing more.
const MAX_LINES: usize = 20;

/// Why a guest died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// The cause, such as `wasm trap: out of bounds memory access`.
    pub cause: String,
    /// The guest's calls, innermost first, as far as they are told; a function that called itself is told once.
    pub calls: Vec<String>,
}

impl TrapReport {
    /// Takes apart what the engine returned from a call.
    #[must_use]
    pub fn of(error: &wasmtime::Error) -> TrapReport {
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        // Numbers of functions tell nobody anything: a guest without names is told without calls.
        let told = if frames.iter().any(|frame| frame.func_name().is_some()) { frames } else { &[] };
        let names: Vec<String> = told.iter().map(frame_name).collect();
        TrapReport { cause: cause(error), calls: lines(&names) }
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
fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

fn frame_name(frame: &FrameInfo) -> String {
    let function = match frame.func_name() {
        // `#`: without the hash that Rust puts behind every name.
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("<function {}>", frame.func_index()),
    };
    match frame.module().name() {
        Some(module) => format!("{module}!{function}"),
        None => function,
    }
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
        let report = TrapReport::of(&wasmtime::Error::from(Trap::UnreachableCodeReached));
        assert_eq!(report.to_string(), "wasm trap: wasm `unreachable` instruction executed");
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
