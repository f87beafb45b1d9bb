//! The rights a handle may hold, and a type for each, so that a permit names at compile time what it permits.

use core::fmt;

/// Which of a handle's label sets a request through it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The in-labels: the request registers something that others reach.
    In,
    /// The out-labels: the request reaches for something.
    Out,
}

/// A right of a [`Permit`](crate::Permit), as a type. Sealed: the rights are those of [`Right`].
pub trait RightKind: sealed::Sealed {
    /// The right as a value.
    const RIGHT: Right;
    /// The label set that a request by this right carries.
    const SIDE: Side;
}

mod sealed {
    #[expect(unnameable_types, reason = "that nobody can name it is what seals it")]
    pub trait Sealed {}
}

macro_rules! rights {
    ($($name:ident, $bit:literal, $text:literal, $side:ident, $doc:literal;)*) => {
        /// What a handle may ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Right {
            $(#[doc = $doc] $name = $bit,)*
        }

        impl Right {
            /// Every right, in the order of its number.
            pub const ALL: [Right; [$($bit),*].len()] = [$(Right::$name),*];

            /// The name as written in texts, `client-connect` for example.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Right::$name => $text,)* }
            }

            /// The label set that a request by this right carries.
            #[must_use]
            pub fn side(self) -> Side {
                match self { $(Right::$name => Side::$side,)* }
            }
        }

        $(
            #[doc = $doc]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}
            impl sealed::Sealed for $name {}
            impl RightKind for $name {
                const RIGHT: Right = Right::$name;
                const SIDE: Side = Side::$side;
            }
        )*
    };
}

rights! {
    ClientConnect, 0, "client-connect", Out, "Connect to a server or, through an egress, to the outside; look up names.";
    ServerStart, 1, "server-start", In, "Register a server.";
    IngressConnect, 2, "ingress-connect", Out, "Push an accepted connection to a server.";
    EgressStart, 3, "egress-start", In, "Register an egress.";
    ResolverStart, 4, "resolver-start", In, "Register a resolver.";
    List, 5, "list", Out, "List the targets.";
    Watch, 6, "watch", Out, "Follow the decisions.";
}

/// To ask for the addresses of a host name, as a type. It takes [`Right::ClientConnect`] and is less than that: see
/// [`Capability::permit_lookup`](crate::Capability::permit_lookup).
#[derive(Clone, Copy, Debug)]
pub enum Lookup {}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of rights.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = Self((1 << Right::ALL.len()) - 1);

    /// This right alone.
    #[must_use]
    pub const fn only(right: Right) -> Self {
        Self(1 << right as u8)
    }

    /// These rights and `right`.
    #[must_use]
    pub const fn and(self, right: Right) -> Self {
        Self(self.0 | 1 << right as u8)
    }

    /// Whether `right` is among them.
    #[must_use]
    pub const fn contain(self, right: Right) -> bool {
        self.0 & Self::only(right).0 != 0
    }

    /// Those that `other` does not hold.
    #[must_use]
    pub const fn beyond(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.contain(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::and)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, right) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{right}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}
