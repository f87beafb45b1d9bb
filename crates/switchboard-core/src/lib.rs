//! The switchboard as a value: events and the time go in, effects come out.
//!
//! It holds handles and targets, picks a target for each request or refuses, and says what the driver is to do. It has
//! no socket, no clock, no task and no hash order: the same events give the same effects, always. The path through it:
//!
//! 1. [`Switchboard::open`] makes the first handle; a request to constrain makes weaker ones.
//! 2. [`Switchboard::handle`] takes an [`Event`] and adds [`Effect`]s. A request is answered once, whatever happens to
//!    the target; only a handle that is closed before gets no answer.
//! 3. Inside, the handle's [`Capability`](capability::Capability) judges the request and mints a proof, and with the
//!    proof the [`Directory`] picks the target.
//!
//! ```
//! use capability::{Capability, Labels};
//! use core::time::Duration;
//! use protocol::message::{RequestBody, RequestId};
//! use switchboard_core::{Effect, Event, Limits, Switchboard};
//!
//! let mut switchboard = Switchboard::new(Limits::default());
//! let handle = switchboard.open(Capability::root())?;
//! let web = Labels::try_from_pairs([("network", "shop"), ("server_hostname", "web")])?;
//! let ask = |number, body| Event::Request { handle, id: RequestId(number), body };
//!
//! let mut effects = Vec::new();
//! switchboard.handle(ask(1, RequestBody::ServerStart(web.clone())), Duration::ZERO, &mut effects);
//! let [Effect::NewTarget { new, .. }] = effects[..] else { panic!("{effects:?}") };
//! let made = Event::Done { handle, id: RequestId(1), outcome: Ok(()) };
//! switchboard.handle(made, Duration::ZERO, &mut effects);
//!
//! effects.clear();
//! switchboard.handle(ask(2, RequestBody::ClientConnect(web)), Duration::ZERO, &mut effects);
//! assert!(matches!(effects[..], [Effect::Join { target, .. }] if target == new));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounts;
mod directory;
mod event;
mod limits;
mod size;
mod slab;
mod switchboard;

pub use directory::{Choice, Cursor, Directory, KeySetId, MAX_TIES_COMPARED, Registers, TargetId};
pub use event::{Closing, Effect, Event, HandleId, Undone, WatchId};
pub use limits::{Allowance, Limits};
pub use switchboard::Switchboard;
