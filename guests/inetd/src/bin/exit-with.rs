//! Reads a line, and exits with the code that it names.

use std::io::stdin;

fn main() -> std::io::Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    std::process::exit(line.trim().parse().expect("a line with a number"));
}
