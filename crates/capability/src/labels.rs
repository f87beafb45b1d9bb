//! Label sets: what they may hold, and when two of them merge (rule 1 of the switchboard).

use crate::keys;
use alloc::borrow::Borrow;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use smol_str::SmolStr;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 63;
/// Longest value, in bytes of UTF-8.
pub const MAX_VALUE_BYTES: usize = 255;
/// Most labels in one set.
pub const MAX_LABELS: usize = 32;

/// The name of a label: `[a-z][a-z0-9_.-]*`, at most [`MAX_KEY_BYTES`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(SmolStr);

impl LabelKey {
    /// Checks and keeps a key.
    ///
    /// # Errors
    /// [`LabelError::Key`] if it is not of the form above.
    pub fn new(key: &str) -> Result<Self, LabelError> {
        let mut bytes = key.bytes();
        let starts_well = bytes.next().is_some_and(|first| first.is_ascii_lowercase());
        let goes_on_well = bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-'));
        if starts_well && goes_on_well && key.len() <= MAX_KEY_BYTES {
            Ok(Self(key.into()))
        } else {
            Err(LabelError::Key { key: shorten(key) })
        }
    }

    /// A key of [`keys`], which are all of the right form.
    pub(crate) fn reserved(key: &'static str) -> Self {
        Self(SmolStr::new_static(key))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The value of a label: UTF-8 without NUL, at most [`MAX_VALUE_BYTES`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelValue(SmolStr);

impl LabelValue {
    /// Checks and keeps a value.
    ///
    /// # Errors
    /// [`LabelError::Value`] if it holds a NUL or is too long.
    pub fn new(value: &str) -> Result<Self, LabelError> {
        if value.len() <= MAX_VALUE_BYTES && !value.contains('\0') {
            Ok(Self(value.into()))
        } else {
            Err(LabelError::Value)
        }
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_like {
    ($($name:ty),*) => {$(
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &*self.0) }
        }
    )*};
}
text_like!(LabelKey, LabelValue);

/// Why something is no label, or does not fit into a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not of the form `[a-z][a-z0-9_.-]*`, or longer than [`MAX_KEY_BYTES`].
    #[error("{key:?} is no label key: it must match [a-z][a-z0-9_.-]* and have at most {MAX_KEY_BYTES} bytes")]
    Key {
        /// The key, cut short if it is long.
        key: String,
    },
    /// Holds a NUL or is longer than [`MAX_VALUE_BYTES`].
    #[error("a label value must have no NUL and at most {MAX_VALUE_BYTES} bytes")]
    Value,
    /// Not the one spelling that a reserved key admits (see [`keys`]).
    #[error("the value of the reserved label {key:?} is not in its canonical form")]
    NotCanonical {
        /// The reserved key.
        key: String,
    },
    /// More than [`MAX_LABELS`].
    #[error("a label set holds at most {MAX_LABELS} labels")]
    TooMany,
    /// The set holds this key already.
    #[error("the label {key:?} is there already")]
    Repeated {
        /// The key.
        key: LabelKey,
    },
}

/// Two sets give these keys different values. Names the keys, never a value: the values are the other side's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the labels {keys:?} have another value already")]
pub struct Contradiction {
    /// The keys, in order.
    pub keys: Vec<LabelKey>,
}

/// A set of labels: each key once, at most [`MAX_LABELS`]. Describes one end of a connection.
///
/// In the order of their keys, in one piece of memory: sets are small, and each connection copies, merges and compares a
/// dozen of them.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Vec<(LabelKey, LabelValue)>);

impl Labels {
    /// The empty set: contradicts nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one label.
    ///
    /// # Errors
    /// If it is no label, the key is there already, or the set is full.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), LabelError> {
        let key = LabelKey::new(key)?;
        let value = LabelValue::new(value)?;
        keys::check_value(key.as_str(), value.as_str())?;
        match self.position(key.as_str()) {
            Ok(_) => Err(LabelError::Repeated { key }),
            Err(_) if self.0.len() >= MAX_LABELS => Err(LabelError::TooMany),
            Err(place) => {
                self.0.insert(place, (key, value));
                Ok(())
            }
        }
    }

    /// Where `key` is, or where it would be.
    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(there, _)| there.as_str().cmp(key))
    }

    /// The set of these pairs.
    ///
    /// # Errors
    /// As [`Labels::insert`].
    pub fn try_from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelError> {
        let pairs = pairs.into_iter();
        let mut labels = Self(Vec::with_capacity(pairs.size_hint().0.min(MAX_LABELS)));
        for (key, value) in pairs {
            labels.insert(key, value)?;
        }
        Ok(labels)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.get(self.position(key).ok()?)?;
        Some(value.as_str())
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LabelKey, &LabelValue)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &LabelKey> {
        self.0.iter().map(|(key, _)| key)
    }

    /// Takes one label out.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        Self(self.0.iter().filter(|(there, _)| there.as_str() != key).cloned().collect())
    }

    /// The keys that have one value here and another there.
    #[must_use]
    pub fn contradictions(&self, other: &Self) -> Vec<LabelKey> {
        let differs = |(key, value): &(&LabelKey, &LabelValue)| {
            other.get(key.as_str()).is_some_and(|there| there != value.as_str())
        };
        self.iter().filter(differs).map(|(key, _)| key.clone()).collect()
    }

    /// Rule 1: the union of two sets, unless they contradict each other.
    ///
    /// # Errors
    /// [`MergeError`] with the keys that contradict, or because the union is too large.
    pub fn merge(&self, other: &Self) -> Result<Self, MergeError> {
        let keys = self.contradictions(other);
        if !keys.is_empty() {
            return Err(MergeError::Contradiction(Contradiction { keys }));
        }
        let mut union = Vec::with_capacity(self.len() + other.len());
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some((our_key, _)), Some((their_key, _))) = (ours.peek(), theirs.peek()) {
            match our_key.cmp(their_key) {
                Ordering::Less => union.extend(ours.next().cloned()),
                Ordering::Greater => union.extend(theirs.next().cloned()),
                Ordering::Equal => {
                    union.extend(ours.next().cloned());
                    theirs.next();
                }
            }
        }
        union.extend(ours.chain(theirs).cloned());
        if union.len() > MAX_LABELS { Err(MergeError::TooMany) } else { Ok(Self(union)) }
    }
}

/// Why two label sets have no union.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Some key has two values.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// The union would hold more than [`MAX_LABELS`].
    #[error("the union would hold more than {MAX_LABELS} labels")]
    TooMany,
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{key}={value}")?;
        }
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_KEY_BYTES).collect()
}
