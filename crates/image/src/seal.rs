//! The small file beside an entry: what the entry must sum up to, and which state of the file was last seen to do so.
//!
//! ```text
//! cord-seal 1
//! sum SHA-256 of the file
//! stamp DEVICE INODE SIZE MODIFIED-SECONDS MODIFIED-NANOSECONDS CHANGED-SECONDS CHANGED-NANOSECONDS
//! end SHA-256 of the lines above
//! ```
//!
//! A seal that was cut or changed anywhere does not parse. Who may write it is not this module's question: like the
//! entry it lies in a directory of this user alone.

use crate::digest::Digest;
use crate::stamp::Stamp;

/// The first line.
const HEADER: &str = "cord-seal 1";

/// No seal is longer; a longer file is not read to its end.
pub(crate) const MAX_BYTES: usize = 1024;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// What it holds.
    pub(crate) sum: Digest,
    /// The state in which it held that. `None`: hash it before use.
    pub(crate) stamp: Option<Stamp>,
}

impl Seal {
    pub(crate) fn to_text(self) -> String {
        let stamp = self.stamp.map_or_else(|| "none".to_owned(), |stamp| stamp.to_string());
        let body = format!("{HEADER}\nsum {}\nstamp {stamp}\n", self.sum);
        format!("{body}end {}\n", Digest::of_bytes(body.as_bytes()))
    }

    pub(crate) fn parse(text: &str) -> Option<Seal> {
        let mut lines = text.lines();
        let header = lines.next()?;
        let sum = Digest::parse(lines.next()?.strip_prefix("sum ")?)?;
        let stamp = match lines.next()?.strip_prefix("stamp ")? {
            "none" => None,
            stamp => Some(Stamp::parse(stamp)?),
        };
        let seal = Seal { sum, stamp };
        (header == HEADER && seal.to_text() == text).then_some(seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals() -> [Seal; 2] {
        let stamp = Stamp::of(&std::fs::File::open("/proc/self/exe").unwrap()).unwrap();
        [Some(stamp), None].map(|stamp| Seal { sum: Digest::of_bytes(b"x"), stamp })
    }

    #[test]
    fn text_comes_back_as_it_was() {
        for seal in seals() {
            let text = seal.to_text();
            assert!(text.len() < MAX_BYTES);
            assert_eq!(Seal::parse(&text), Some(seal));
        }
    }

    #[test]
    fn every_cut_and_every_change_is_seen() {
        for seal in seals() {
            let text = seal.to_text();
            for at in 0..text.len() {
                assert_eq!(Seal::parse(&text[..at]), None, "cut at {at}");
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1;
                if let Ok(changed) = String::from_utf8(changed) {
                    assert_eq!(Seal::parse(&changed), None, "changed at {at}");
                }
            }
        }
    }
}
