//! What a handle to the switchboard may do: labels, rights, grants, and the one way to weaken them.
//!
//! This crate is the whole security model of Cordboard and does nothing else: it is `no_std`, has no clock, no socket
//! and no hash order, and no other crate of ours. The path through it:
//!
//! 1. A [`Capability`] holds [`Rights`], two label sets and layers of [`Grant`]s. [`Capability::root`] makes the
//!    strongest; [`Capability::constrain`] makes a weaker one, never a stronger one.
//! 2. [`Capability::permit`] judges one request. Only it can make a [`Permit`], and whatever acts on a request (the
//!    directory of the switchboard) asks for one: a check cannot be forgotten because there is no way round it.
//! 3. Every "no" is a [`Refusal`].
//!
//! ```
//! use capability::{Capability, Constraint, Grant, Labels, Pattern, Right, Rights, right};
//!
//! let mut grant = Grant::new(Right::ClientConnect);
//! for (key, pattern) in [
//!     ("transport", Pattern::exact("tcp")?),
//!     ("network", Pattern::exact("outside")?),
//!     ("server_address", Pattern::Cidr("127.0.0.0/8".parse()?)),
//!     ("server_port", Pattern::Ports("22".parse()?)),
//! ] {
//!     grant = grant.with(key, pattern)?;
//! }
//! let guest = Capability::root().constrain(&Constraint {
//!     rights: Rights::only(Right::ClientConnect),
//!     grants: Some(vec![grant]),
//!     ..Constraint::default()
//! })?;
//!
//! let ssh = [("transport", "tcp"), ("network", "outside"), ("server_address", "127.0.0.1"), ("server_port", "22")];
//! assert!(guest.permit::<right::ClientConnect>(&Labels::try_from_pairs(ssh)?).is_ok());
//! let web = [("transport", "tcp"), ("network", "outside"), ("server_address", "127.0.0.1"), ("server_port", "80")];
//! assert!(guest.permit::<right::ClientConnect>(&Labels::try_from_pairs(web)?).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
mod constrain;
mod grant;
pub mod keys;
mod labels;
mod permit;
mod refusal;
pub mod right;

pub use address::{AddressScope, Cidr, ParseCidrError, is_public};
pub use constrain::{Capability, Constraint, MAX_GRANT_LAYERS, MAX_GRANTS_PER_LAYER};
pub use grant::{Grant, ParsePortRangeError, ParseSuffixError, Pattern, PortRange, Suffix};
pub use labels::{
    Contradiction, LabelError, LabelKey, LabelValue, Labels, MAX_KEY_BYTES, MAX_LABELS, MAX_VALUE_BYTES, MergeError,
};
pub use permit::Permit;
pub use refusal::{LimitKind, Refusal, UnreachableCause};
pub use right::{Right, Rights};
