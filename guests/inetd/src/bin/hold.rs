//! Says `ready`, waits until the client ends, and says `bye`.

use std::io::{copy, sink, stdin};

fn main() -> std::io::Result<()> {
    println!("ready");
    copy(&mut stdin().lock(), &mut sink())?;
    println!("bye");
    Ok(())
}
