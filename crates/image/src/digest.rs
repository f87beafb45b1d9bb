//! SHA-256 of what a file holds.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest as _, Sha256};

/// How much of a file is read at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Digits of a digest as text.
const TEXT_BYTES: usize = 64;

/// A SHA-256 sum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Sums up some bytes.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Sums up a whole file, wherever its cursor stands.
    pub(crate) fn of_file(file: &File) -> io::Result<Digest> {
        let mut sum = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        loop {
            match file.read_at(&mut chunk, offset) {
                Ok(0) => return Ok(Digest(sum.finalize().into())),
                Ok(count) => {
                    sum.update(&chunk[..count]);
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what `Display` wrote, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Digest> {
        if text.len() != TEXT_BYTES || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, start) in bytes.iter_mut().zip((0..TEXT_BYTES).step_by(2)) {
            *byte = u8::from_str_radix(text.get(start..start + 2)?, 16).ok()?;
        }
        Some(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not digit by digit through the formatter: a start of a guest writes a dozen sums.
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        f.write_str(&digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect::<String>())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_sums_up_as_its_bytes_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let bytes = vec![7; length];
            std::fs::write(file.path(), &bytes).unwrap();
            assert_eq!(Digest::of_file(&File::open(file.path()).unwrap()).unwrap(), Digest::of_bytes(&bytes));
        }
    }

    #[test]
    fn text_comes_back_as_it_was() {
        let digest = Digest::of_bytes(b"abc");
        let text = digest.to_string();
        assert_eq!(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Digest::parse(&text), Some(digest));
        for bad in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &format!("+{}", &text[1..]), ""] {
            assert_eq!(Digest::parse(bad), None);
        }
    }
}
