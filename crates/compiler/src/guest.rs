//! Decides what a file is: WebAssembly or not, text or binary, module or component, and says in one line what is wrong.

use std::borrow::Cow;

/// What every WebAssembly binary begins with.
const MAGIC: &[u8] = b"\0asm";

/// Version and layer of a core module.
const MODULE: &[u8] = &[1, 0, 0, 0];

/// Version and layer of a component.
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// The two kinds of WebAssembly binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    Component,
}

/// A guest that cannot be compiled. Every text is one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadGuest {
    #[error("not WebAssembly: the file is empty")]
    Empty,
    #[error("not WebAssembly: it begins with \"{beginning}\"")]
    NotWasm { beginning: String },
    #[error("cut short at byte {length}: the WebAssembly binary goes on")]
    CutShort { length: usize },
    #[error("WebAssembly of an unknown version: {version:02x?}")]
    Version { version: Vec<u8> },
    #[error("line {line}, column {column}: {reason}")]
    Text { line: usize, column: usize, reason: String },
    #[error("invalid WebAssembly: {reason}")]
    Invalid { reason: String },
}

impl BadGuest {
    /// Tells what the compiler had against a binary of `length` bytes.
    pub(crate) fn invalid(error: &wasmtime::Error, length: usize) -> BadGuest {
        // The compiler only tells in words. What ends too early ends where the file ends.
        let reason = one_line(&error.root_cause().to_string());
        if reason.contains("unexpected end") || reason.contains("out of bounds (bound =") {
            return BadGuest::CutShort { length };
        }
        BadGuest::Invalid { reason }
    }
}

/// Turns text into a binary; a binary stays what it is.
pub(crate) fn binary(source: &[u8]) -> Result<Cow<'_, [u8]>, BadGuest> {
    if source.is_empty() {
        return Err(BadGuest::Empty);
    }
    if source.starts_with(MAGIC) {
        return Ok(Cow::Borrowed(source));
    }
    match std::str::from_utf8(source) {
        Ok(text) if looks_like_text(text) => wat::parse_str(text).map(Cow::Owned).map_err(|error| bad_text(&error)),
        _ => Err(BadGuest::NotWasm { beginning: beginning(source) }),
    }
}

/// Reads the header of a binary.
pub(crate) fn kind(binary: &[u8]) -> Result<Kind, BadGuest> {
    match binary.get(4..8) {
        None => Err(BadGuest::CutShort { length: binary.len() }),
        Some(MODULE) => Ok(Kind::Module),
        Some(COMPONENT) => Ok(Kind::Component),
        Some(version) => Err(BadGuest::Version { version: version.to_vec() }),
    }
}

/// The text format begins with a bracket, after white space and comments.
fn looks_like_text(text: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    start.starts_with('(') || start.starts_with(";;")
}

fn beginning(source: &[u8]) -> String {
    source.iter().take(8).flat_map(|byte| std::ascii::escape_default(*byte)).map(char::from).collect()
}

/// The parser draws a picture of the place over several lines; the first says what, the second where.
fn bad_text(error: &wat::Error) -> BadGuest {
    let picture = error.to_string();
    let mut lines = picture.lines();
    let reason = lines.next().unwrap_or_default().trim().to_owned();
    let place = lines.next().and_then(|line| {
        let mut parts = line.rsplit(':');
        let column = parts.next()?.trim().parse().ok()?;
        Some((parts.next()?.trim().parse().ok()?, column))
    });
    match place {
        Some((line, column)) => BadGuest::Text { line, column, reason },
        None => BadGuest::Invalid { reason },
    }
}

fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
