//! The edges of the switchboard: where sockets come from the outside and where they are made towards it.
//!
//! * [`ingress`] accepts connections, or hears datagrams, and pushes a socket for each into the switchboard.
//! * [`egress`] dials outside for the switchboard and hands over the connected socket.
//! * [`resolver`] turns host names into addresses for the switchboard.
//!
//! Each is one `run` that takes what it works on as values: a listener opened by [`ingress::bind`], a
//! [`Handle`](client::Handle), a target channel. Each is bounded by limits with sensible defaults. After a hand-over an
//! edge keeps nothing of a connection, so the end of an edge ends none.
//!
//! This is the one crate that connects, listens and resolves. The edges know neither each other nor the switchboard's
//! own code, and decide nothing that the switchboard decides: an egress dials what it is told to, and only checks where
//! a *name* leads, because nobody else knows before it does.
//!
//! ```no_run
//! use capability::Labels;
//! use client::Handle;
//! use edge::egress::{self, EgressLimits};
//!
//! # async fn example(handle: Handle) -> Result<(), Box<dyn std::error::Error>> {
//! let labels = Labels::try_from_pairs([("transport", "tcp"), ("network", "outside")])?;
//! let target = handle.egress_start(&labels).await?;
//! egress::run(target, EgressLimits::default()).await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod calls;
pub mod egress;
pub mod ingress;
mod names;
pub mod resolver;
#[cfg(test)]
mod testing;

pub use calls::ServeError;
