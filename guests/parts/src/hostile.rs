//! What a hostile guest does that needs no interface of its own: the standard library is enough.
//!
//! A hostile guest is told what to do in its arguments, or else in the first line of its input. What comes of it is a line
//! on standard output, if the guest lives to tell.

use std::fs::File;
use std::hint::black_box;
use std::io::{Write, stderr, stdout};

/// The words that say what to do.
#[must_use]
pub fn words() -> Vec<String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        return arguments;
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line that says what to do");
    line.split_whitespace().map(str::to_owned).collect()
}

/// Does it, if it is one of these. `None`: it is something else.
///
/// | words | what is done |
/// |---|---|
/// | `hello TEXT` | nothing bad: TEXT is the answer |
/// | `memory` | takes all memory |
/// | `recursion` | calls itself for ever |
/// | `spin` | computes for ever |
/// | `compute MILLIONS` | computes for a while |
/// | `files PATH` | opens a file until it is refused |
/// | `closed-files PATH N` | opens it N times and closes it each time |
/// | `print STREAM` | prints lines for ever: `stdout` or `stderr` |
/// | `line STREAM` | prints one line without an end |
#[must_use]
pub fn ordinary(words: &[&str]) -> Option<String> {
    match words {
        ["hello", text] => Some((*text).to_owned()),
        ["memory"] => memory(),
        ["recursion"] => Some(deeper(1).to_string()),
        ["spin"] => loop {
            black_box(0);
        },
        ["compute", millions] => Some(compute(millions.parse().expect("a number"))),
        ["files", path] => Some(files(path)),
        ["closed-files", path, times] => {
            (0..times.parse().expect("a number")).for_each(|_: u32| drop(File::open(path).expect("the file")));
            Some("done".to_owned())
        }
        ["print", stream] => print(stream, &format!("{}\n", "x".repeat(99))),
        ["line", stream] => print(stream, &"x".repeat(1000)),
        _ => None,
    }
}

fn memory() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
        black_box(&all);
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn deeper(depth: u64) -> u64 {
    black_box(depth) + deeper(black_box(depth + 1))
}

fn compute(millions: u64) -> String {
    let mut state = 1_u64;
    for _ in 0..millions * 1_000_000 {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    state.to_string()
}

fn files(path: &str) -> String {
    let mut open = Vec::new();
    loop {
        match File::open(path) {
            Ok(file) => open.push(file),
            Err(error) => return format!("{} files, then {:?}", open.len(), error.raw_os_error()),
        }
    }
}

fn print(stream: &str, text: &str) -> ! {
    loop {
        // Whoever does not listen any more is not what ends it.
        let _ = match stream {
            "stderr" => stderr().write_all(text.as_bytes()),
            _ => stdout().write_all(text.as_bytes()),
        };
    }
}
