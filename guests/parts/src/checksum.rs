//! FNV-1a with 64 bits, and the bytes that `/big` sends.

/// A checksum of bytes that come in pieces.
#[derive(Debug, Clone, Copy)]
pub struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The sum of all that was added.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

/// `length` bytes of an endless pattern, from `begin` on: its byte N is N modulo 251, so that no two neighbouring
/// pages are equal.
#[must_use]
pub fn pattern(begin: u64, length: usize) -> Vec<u8> {
    let first = begin % 251;
    let numbers = first..first + length as u64;
    numbers.map(|number| u8::try_from(number % 251).expect("251 is less than 256")).collect()
}
