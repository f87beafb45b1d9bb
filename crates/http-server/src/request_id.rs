//! The name of one request, which the client, the handler, the answer and the log have in common.
//!
//! What the client says is kept if it is a plain word; otherwise a new id is made. Ids that are made are different, and
//! that is all: whoever has seen one can guess the next.

use http::{HeaderName, HeaderValue};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The field that holds the id, in requests and in answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Most bytes of an id that is kept.
const LONGEST: usize = 64;

/// The id of a request: 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// What the client said, if it can be kept.
    pub(crate) fn kept(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok().filter(|text| (1..=LONGEST).contains(&text.len()))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        text.bytes().all(is_plain).then(|| Self(value.clone()))
    }

    pub(crate) fn to_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes ids that no other maker has made, in this process or another.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// The first half of every id: by what this maker differs from all others.
    maker: u64,
    /// The second half of the next.
    next: AtomicU64,
}

impl RequestIds {
    /// A maker that begins at random.
    pub(crate) fn new() -> Self {
        // The standard library keys its hashers from the system's random numbers.
        let random = RandomState::new();
        Self { maker: random.hash_one(0), next: AtomicU64::new(random.hash_one(1)) }
    }

    pub(crate) fn make(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}{number:016x}", self.maker);
        RequestId(HeaderValue::try_from(id).expect("digits are what a field may have"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_plain_word_is_kept() {
        let longest = "a".repeat(64);
        for text in ["a", "Az09._-", "018f3b1e-7c1d-7d55-b7a9-9a6d5ad0a3c1", &longest] {
            let kept = RequestId::kept(&HeaderValue::from_str(text).expect("a value"));
            assert_eq!(kept.expect("it is kept").as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_not() {
        let too_long = "a".repeat(65);
        for bytes in [b"".as_slice(), b"a b", b"a\"b", b"a/b", b"a\tb", b"\xc3\xa9", b"a,b", too_long.as_bytes()] {
            assert_eq!(RequestId::kept(&HeaderValue::from_bytes(bytes).expect("a value")), None, "{bytes:?}");
        }
    }

    #[test]
    fn made_ids_differ_and_would_be_kept() {
        let makers = [RequestIds::new(), RequestIds::new()];
        let ids: Vec<RequestId> = makers.iter().flat_map(|maker| (0..100).map(|_| maker.make())).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200);
        for id in ids {
            assert_eq!(id.as_str().len(), 32);
            assert_eq!(RequestId::kept(&id.to_value()), Some(id));
        }
    }
}
