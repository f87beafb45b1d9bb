//! Answers one line with itself. If that line is `spin`, it works for ever then, without a call to the host.

use std::io::stdin;

fn main() -> std::io::Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    print!("{line}");
    if line == "spin\n" {
        let mut turns = 0_u64;
        loop {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
    Ok(())
}
