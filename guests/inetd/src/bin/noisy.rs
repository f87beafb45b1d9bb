//! Writes on standard error what a log should survive, and `done` to its client.
//!
//! In this order: 200 numbered lines, one line of 100,000 letters, bytes that are no UTF-8, characters that control a
//! terminal, an empty line, and a last line without an end.

use std::io::{Write, stderr};

fn main() -> std::io::Result<()> {
    let mut error = stderr().lock();
    for number in 1..=200 {
        writeln!(error, "line {number}")?;
    }
    writeln!(error, "{}", "x".repeat(100_000))?;
    error.write_all(b"no text: \xff\xfe\xc3(\n")?;
    error.write_all(b"control: \x1b[31mred\x1b[0m \x07 \x08 \0 \r over\n")?;
    error.write_all(b"\n")?;
    error.write_all(b"no end")?;
    println!("done");
    Ok(())
}
