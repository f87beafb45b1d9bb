//! Typed calls on one handle to the switchboard.
//!
//! A [`Handle`] carries many requests at once: each has a number, a task reads the responses and gives each to whoever
//! asked. What comes back is an open descriptor: a connected socket ([`Connection`]), a place where connections arrive
//! ([`Server`]), a weaker handle, a target channel for an egress or a resolver, or the decisions ([`Decisions`]). They
//! go on without the handle, and a connected socket goes on without the switchboard.
//!
//! Never here: the switchboard's own code, and any decision. Whether a request is allowed is the switchboard's to say.
//!
//! ```no_run
//! use capability::Labels;
//! use client::Handle;
//! use std::path::Path;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let handle = Handle::new(fdpass::connect(Path::new("switchboard.sock"))?)?;
//! let to = Labels::try_from_pairs([("service", "db")])?;
//! let connection = handle.connect(&to).await?;
//! println!("connected to {}", connection.labels);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod calls;
mod error;
mod handle;
mod name;
mod stream;

pub use calls::MAX_REQUESTS_IN_FLIGHT;
pub use error::{ProtocolError, RequestError};
pub use handle::{Handle, TargetChannel};
pub use stream::{Connection, Decisions, Server};
