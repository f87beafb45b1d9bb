//! Decides what is told about a guest's death: one line for the cause, then the guest's own calls, innermost first.

use std::fmt;

use wasmtime::{Trap, WasmBacktrace};

/// More calls than this say nothing more; a stack overflow has ten thousand.
const MAX_FRAMES: usize = 20;

/// Why a guest died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrapReport {
    /// The cause, such as `wasm trap: out of bounds memory access`.
    pub cause: String,
    /// The guest's calls, innermost first, as far as they are told.
    pub frames: Vec<String>,
    /// How many outer calls are left out.
    pub left_out: usize,
}

impl TrapReport {
    /// Takes apart what the engine returned from a call.
    #[must_use]
    pub fn of(error: &wasmtime::Error) -> TrapReport {
        let all = error
            .downcast_ref::<WasmBacktrace>()
            .map(WasmBacktrace::frames)
            .unwrap_or_default();
        // Numbers of functions tell nobody anything: a guest without names is told without calls.
        let told = if all.iter().any(|frame| frame.func_name().is_some()) { all } else { &[] };
        TrapReport {
            cause: cause(error),
            frames: told.iter().take(MAX_FRAMES).map(frame_name).collect(),
            left_out: told.len().saturating_sub(MAX_FRAMES),
        }
    }
}

/// The cause without the backtrace, which the engine attaches as the outermost context.
fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

fn frame_name(frame: &wasmtime::FrameInfo) -> String {
    let function = match frame.func_name() {
        // Demangling is what the engine's symbols do by themselves when debug information is read, which it is not.
        Some(name) => name.to_owned(),
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
        for frame in &self.frames {
            write!(f, "\n    at {frame}")?;
        }
        if self.left_out > 0 {
            write!(f, "\n    and {} more calls", self.left_out)?;
        }
        Ok(())
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
    fn left_out_calls_are_counted() {
        let report = TrapReport {
            cause: "gone".into(),
            frames: vec!["a".into()],
            left_out: 3,
        };
        assert_eq!(report.to_string(), "gone\n    at a\n    and 3 more calls");
    }
}
