//! Looks through all its memory for what an earlier client said, then leaves there what this one says.
//!
//! Answers `nothing found` or what it found, and then, to a line, `left N bytes`.

use guest_parts::traces::{Traces, leave};
use std::io::stdin;

fn main() -> std::io::Result<()> {
    println!("{}", Traces::find());
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    println!("left {} bytes", leave(line.trim_end()));
    Ok(())
}
