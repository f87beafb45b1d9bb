//! Reads to the end and says how much that was: `3 lines, 12 bytes`. A last line without an end is a line as well.

use std::io::{BufRead, stdin};

fn main() -> std::io::Result<()> {
    let mut input = stdin().lock();
    let (mut lines, mut bytes, mut last) = (0, 0, b'\n');
    loop {
        let chunk = input.fill_buf()?;
        let Some(end) = chunk.last() else { break };
        last = *end;
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        let length = chunk.len();
        bytes += length;
        input.consume(length);
    }
    println!("{} lines, {bytes} bytes", lines + usize::from(last != b'\n'));
    Ok(())
}
