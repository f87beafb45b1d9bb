//! Grants: patterns over labels, and when one covers a request.

use crate::address::Cidr;
use crate::keys;
use crate::labels::{LabelError, LabelKey, LabelValue, Labels, MAX_LABELS};
use crate::right::Right;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// What the value of one label must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Any value, but the label must be there.
    Any,
    /// This value.
    Exact(LabelValue),
    /// Any name below this one.
    Suffix(Suffix),
    /// Any address in this range.
    Cidr(Cidr),
    /// Any port in this range.
    Ports(PortRange),
}

impl Pattern {
    /// The pattern of one value.
    ///
    /// # Errors
    /// If it is no label value.
    pub fn exact(value: &str) -> Result<Self, LabelError> {
        LabelValue::new(value).map(Self::Exact)
    }

    /// Whether `value` is what the pattern asks for. A value that is no address, or no port, never matches a range.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact.as_str() == value,
            Self::Suffix(suffix) => suffix.matches(value),
            Self::Cidr(range) => value.parse().is_ok_and(|address| range.contains(address)),
            Self::Ports(range) => value.parse().is_ok_and(|port| range.contains(port)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(value) => value.fmt(f),
            Self::Suffix(suffix) => suffix.fmt(f),
            Self::Cidr(range) => range.fmt(f),
            Self::Ports(range) => range.fmt(f),
        }
    }
}

/// `*.example.com`: every name below `example.com`, at any depth, and not `example.com` itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Suffix(Box<str>);

/// Why a text is no [`Suffix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name pattern is `*.` and a host name in lower case, as in *.example.com")]
pub struct ParseSuffixError;

impl Suffix {
    /// Whether `name` lies below.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        name.strip_suffix(&*self.0).and_then(|rest| rest.strip_suffix('.')).is_some_and(|host| !host.is_empty())
    }

    /// The name without the `*.` in front.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.0
    }
}

impl FromStr for Suffix {
    type Err = ParseSuffixError;

    fn from_str(text: &str) -> Result<Self, ParseSuffixError> {
        let parent = text.strip_prefix("*.").ok_or(ParseSuffixError)?;
        match keys::check_value(keys::SERVER_HOSTNAME, parent) {
            Ok(()) => Ok(Self(parent.into())),
            Err(_) => Err(ParseSuffixError),
        }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*.{}", self.0)
    }
}

impl fmt::Debug for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suffix({self})")
    }
}

/// A port, or a range of ports with both ends in it: `22`, `5432-5433`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text is no [`PortRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePortRangeError {
    /// Not a number from 1 to 65535, or two of them with a hyphen between.
    #[error("a port is a number from 1 to 65535, a range two of them with a hyphen between")]
    Number,
    /// The second is below the first.
    #[error("the range ends before it begins; did you mean {last}-{first}?")]
    Backwards {
        /// The first as written.
        first: u16,
        /// The last as written.
        last: u16,
    },
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 1, last: u16::MAX };

    /// The ports from `first` to `last`.
    ///
    /// # Errors
    /// If one is 0 or the range is backwards.
    pub fn new(first: u16, last: u16) -> Result<Self, ParsePortRangeError> {
        match (first, last) {
            (0, _) | (_, 0) => Err(ParsePortRangeError::Number),
            _ if last < first => Err(ParsePortRangeError::Backwards { first, last }),
            _ => Ok(Self { first, last }),
        }
    }

    /// Whether `port` is in the range.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The lowest port.
    #[must_use]
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub fn last(&self) -> u16 {
        self.last
    }
}

impl FromStr for PortRange {
    type Err = ParsePortRangeError;

    fn from_str(text: &str) -> Result<Self, ParsePortRangeError> {
        let port = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<u16>().ok().ok_or(ParsePortRangeError::Number),
            false => Err(ParsePortRangeError::Number),
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(port(first)?, port(last)?),
            None => port(text).and_then(|only| Self::new(only, only)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// A pattern over labels, for the requests of one right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    right: Right,
    patterns: BTreeMap<LabelKey, Pattern>,
    private: bool,
}

impl Grant {
    /// A grant for requests by `right` that name no destination yet.
    #[must_use]
    pub fn new(right: Right) -> Self {
        Self { right, patterns: BTreeMap::new(), private: false }
    }

    /// The same, and the value of `key` must match `pattern`.
    ///
    /// # Errors
    /// If `key` is no label key or has a pattern already, or there are [`MAX_LABELS`] patterns.
    pub fn with(mut self, key: &str, pattern: Pattern) -> Result<Self, LabelError> {
        let key = LabelKey::new(key)?;
        if self.patterns.contains_key(&key) {
            return Err(LabelError::Repeated { key });
        }
        if self.patterns.len() >= MAX_LABELS {
            return Err(LabelError::TooMany);
        }
        self.patterns.insert(key, pattern);
        Ok(self)
    }

    /// The same, and names that it covers may lead to addresses that are not public.
    ///
    /// # Authority
    /// Whoever answers for those names decides which host of a private network is reached.
    #[must_use]
    pub fn marked_private(mut self) -> Self {
        self.private = true;
        self
    }

    /// The right it is for.
    #[must_use]
    pub fn right(&self) -> Right {
        self.right
    }

    /// Whether names that it covers may lead to addresses that are not public.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The patterns in the order of their keys.
    pub fn patterns(&self) -> impl ExactSizeIterator<Item = (&LabelKey, &Pattern)> {
        self.patterns.iter()
    }

    /// Whether a request by `right` that carries `labels` is covered: each pattern finds its label and matches, and
    /// each destination label of the request has a pattern (see [`keys::DESTINATION`]).
    #[must_use]
    pub fn covers(&self, right: Right, labels: &Labels) -> bool {
        let matches = |(key, pattern): (&LabelKey, &Pattern)| {
            labels.get(key.as_str()).is_some_and(|value| pattern.matches(value))
        };
        self.right == right && self.mentions_destination(labels) && self.patterns.iter().all(matches)
    }

    fn mentions_destination(&self, labels: &Labels) -> bool {
        let mentions = |key: &&str| labels.get(key).is_none() || self.patterns.contains_key(*key);
        keys::DESTINATION.iter().all(mentions)
    }

    /// Whether some connection by the host name in `labels` would be covered, at whatever port: then the name may be
    /// looked up.
    #[must_use]
    pub(crate) fn covers_lookup(&self, labels: &Labels) -> bool {
        let agrees = |(key, pattern): (&LabelKey, &Pattern)| match labels.get(key.as_str()) {
            Some(value) => pattern.matches(value),
            None => matches!(key.as_str(), keys::TRANSPORT | keys::SERVER_PORT),
        };
        self.right == Right::ClientConnect
            && self.patterns.contains_key(keys::SERVER_HOSTNAME)
            && self.mentions_destination(labels)
            && self.patterns.iter().all(agrees)
    }

    /// The addresses at which this grant would cover the same request, were it made by address.
    pub(crate) fn addresses_for(&self, right: Right, labels_without_name: &Labels) -> Vec<Cidr> {
        let Some(addresses) = self.patterns.get(keys::SERVER_ADDRESS) else {
            return Vec::new();
        };
        let rest = Self {
            patterns: self
                .patterns
                .iter()
                .filter(|(key, _)| key.as_str() != keys::SERVER_ADDRESS)
                .map(clone_pair)
                .collect(),
            ..*self
        };
        if !rest.covers(right, labels_without_name) {
            return Vec::new();
        }
        match addresses {
            Pattern::Any => Cidr::everything().to_vec(),
            Pattern::Cidr(range) => alloc::vec![*range],
            Pattern::Exact(value) => value.as_str().parse::<IpAddr>().map(Cidr::of).into_iter().collect(),
            Pattern::Suffix(_) | Pattern::Ports(_) => Vec::new(),
        }
    }
}

fn clone_pair((key, pattern): (&LabelKey, &Pattern)) -> (LabelKey, Pattern) {
    (key.clone(), pattern.clone())
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.right)?;
        for (key, pattern) in &self.patterns {
            write!(f, " {key}={pattern}")?;
        }
        if self.private { f.write_str(" private") } else { Ok(()) }
    }
}
