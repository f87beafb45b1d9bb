//! The other end of the guest `stream`: what it wants is in its first 17 bytes.

use std::io::{self, Read, Write};

/// Serves one connection to its end.
pub(crate) fn end(mut stream: impl Read + Write) {
    // A client that breaks off is no fault of the others.
    let _ = serve(&mut stream);
}

fn serve(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut head = [0; 17];
    stream.read_exact(&mut head)?;
    let number = |at: usize| head[at..at + 8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let (size, count) = (number(1), number(9));
    let mut buffer = vec![b'y'; usize::try_from(size).map_err(io::Error::other)?];
    stream.write_all(b"!")?;
    match head[0] {
        b's' => {
            // However it comes: the reader of a stream takes what is there.
            buffer.resize(256 << 10, 0);
            let mut left = size * count;
            while left > 0 {
                match stream.read(&mut buffer)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    some => left = left.saturating_sub(u64::try_from(some).map_err(io::Error::other)?),
                }
            }
            stream.write_all(b"!")?;
        }
        b'r' => (0..count).try_for_each(|_| stream.write_all(&buffer))?,
        _ => (0..count).try_for_each(|_| {
            stream.read_exact(&mut buffer)?;
            stream.write_all(&buffer)
        })?,
    }
    // Until the client has read it all.
    io::copy(stream, &mut io::sink())?;
    Ok(())
}
