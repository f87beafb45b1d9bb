//! Sends back whatever comes, as soon as it comes, until the client ends.

use std::io::{Read, Write, stdin, stdout};

fn main() -> std::io::Result<()> {
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = input.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        // Standard output keeps what does not end a line.
        output.write_all(&buffer[..length]).and_then(|()| output.flush())?;
    }
}
