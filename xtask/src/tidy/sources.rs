//! Rules of a single source file: it says what it decides, is named after its role, and is unsafe only where it may be.

use super::Findings;
use std::path::Path;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "misc"];
/// The crates that may hold unsafe code, file by file. `tests/escape` is an attacker, and in no program that is shipped.
const UNSAFE_CRATES: &[&str] =
    &["crates/fdpass", "crates/sandbox", "crates/jail", "tests/escape", "guests/p1", "guests/parts"];
/// A file longer than this probably holds two things.
const LONG_LINES: usize = 600;

/// Holds one file, named relative to the workspace, against the rules.
pub(super) fn check(path: &Path, text: &str, findings: &mut Findings) {
    let name = path.display();
    if !text.starts_with("//!") {
        findings.faults.push(format!("{name}: begins with no `//!` line that says what the module decides"));
    }
    let words = path.with_extension("");
    if let Some(empty) = words.iter().find(|word| EMPTY_NAMES.iter().any(|name| word == name)) {
        findings.faults.push(format!("{name}: `{}` names no role", empty.to_string_lossy()));
    }
    if has_word(&code_only(text), "unsafe") {
        check_unsafe(path, text, findings);
    }
    let lines = text.lines().count();
    if lines > LONG_LINES {
        findings.warnings.push(format!("{name}: {lines} lines"));
    }
}

fn check_unsafe(path: &Path, text: &str, findings: &mut Findings) {
    let name = path.display();
    if !UNSAFE_CRATES.iter().any(|allowed| path.starts_with(allowed)) {
        findings.faults.push(format!("{name}: unsafe code outside of {}", UNSAFE_CRATES.join(", ")));
    }
    let squeezed: String = text.split_whitespace().collect();
    if !squeezed.contains("#![expect(unsafe_code,reason=") {
        findings.faults.push(format!("{name}: unsafe code without `#![expect(unsafe_code, reason = ...)]`"));
    }
}

fn has_word(code: &str, wanted: &str) -> bool {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == wanted)
}

/// The text without comments and without what stands in quotes. Good enough to find a keyword by.
fn code_only(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['/', '"', '\'', 'r']) {
        let (before, from) = rest.split_at(at);
        code += before;
        let length = skipped(from, before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_'));
        match length {
            Some(length) => {
                code.push(' ');
                rest = from.get(length..).unwrap_or_default();
            }
            None => {
                code += &from[..1];
                rest = &from[1..];
            }
        }
    }
    code + rest
}

/// How long the comment or literal is that begins here, if one does.
fn skipped(from: &str, inside_word: bool) -> Option<usize> {
    let until = |end: &str, start: usize| Some(from[start..].find(end).map_or(from.len(), |at| start + at + end.len()));
    if from.starts_with("//") {
        return until("\n", 2);
    }
    if from.starts_with("/*") {
        return until("*/", 2);
    }
    if from.starts_with('"') {
        return Some(quoted(from));
    }
    if let Some(raw) = from.strip_prefix('r').filter(|_| !inside_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        return raw[hashes..]
            .starts_with('"')
            .then(|| until(&format!("\"{}", "#".repeat(hashes)), hashes + 2))
            .flatten();
    }
    // A quote character as a literal would else open a string.
    ["'\"'", "'\\\"'", "'\\''"].iter().find(|literal| from.starts_with(**literal)).map(|literal| literal.len())
}

/// The length of a string literal with its quotes.
fn quoted(from: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in from.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    from.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(Path::new(path), text, &mut findings);
        findings.faults
    }

    #[test]
    fn a_file_in_order_has_no_faults() {
        assert!(faults("crates/edge/src/dial.rs", "//! Decides.\nfn main() {}\n").is_empty());
    }

    #[test]
    fn a_file_must_begin_with_its_doc() {
        let found = faults("crates/edge/src/dial.rs", "#![no_std]\n//! Decides.\n");
        assert_eq!(found, ["crates/edge/src/dial.rs: begins with no `//!` line that says what the module decides"]);
    }

    #[test]
    fn empty_names_are_refused_as_file_and_as_folder() {
        for path in ["crates/edge/src/util.rs", "crates/edge/src/helpers/dial.rs", "crates/common/src/lib.rs"] {
            assert_eq!(faults(path, "//! Decides.\n").len(), 1, "{path}");
        }
        assert!(faults("crates/edge/src/utility.rs", "//! Decides.\n").is_empty());
    }

    #[test]
    fn unsafe_needs_its_crate_and_its_reason() {
        let bare = "//! Decides.\nfn f() { unsafe { g() } }\n";
        let reasoned =
            "//! Decides.\n#![expect(\n    unsafe_code,\n    reason = \"it must\"\n)]\nfn f() { unsafe { g() } }\n";
        assert_eq!(faults("crates/edge/src/dial.rs", bare).len(), 2);
        assert_eq!(faults("crates/edge/src/dial.rs", reasoned).len(), 1);
        assert_eq!(faults("crates/fdpass/src/send.rs", bare).len(), 1);
        assert!(faults("crates/fdpass/src/send.rs", reasoned).is_empty());
    }

    #[test]
    fn unsafe_is_a_word_of_the_code_only() {
        let text = "//! unsafe\n#![forbid(unsafe_code)]\n/* unsafe */ const A: &str = \"unsafe \\\" unsafe\"; // unsafe\n\
                    const B: &str = r#\"\" unsafe\"#; const C: char = '\"'; const D: &str = \"unsafe\";\nfn f<'a>() {}\n";
        assert!(faults("crates/edge/src/dial.rs", text).is_empty());
        assert_eq!(faults("crates/edge/src/dial.rs", &format!("{text}unsafe fn g() {{}}\n")).len(), 2);
    }

    #[test]
    fn a_long_file_is_a_warning() {
        let mut findings = Findings::default();
        check(Path::new("crates/edge/src/dial.rs"), &"//! Decides.\n".repeat(601), &mut findings);
        assert_eq!(findings.warnings, ["crates/edge/src/dial.rs: 601 lines"]);
        assert!(findings.faults.is_empty());
    }
}
