//! `wasi:sockets` on a handle to the switchboard.
//!
//! The modules here know nothing of versions: [`tcp`] is the one state machine of a TCP socket, [`network`] asks the
//! handle for connections and addresses, [`names`] remembers which name an address came from. [`p2`] puts WASI 0.2 on
//! top; 0.3 and preview 1 belong beside it.
//!
//! Nothing here makes a socket. What is connected arrives as a descriptor.

mod connection;
mod denial;
mod fault;
mod names;
mod network;
mod options;
mod p2;
mod pending;
mod tcp;
#[cfg(test)]
mod tests;

pub(crate) use network::Network;
pub(crate) use p2::{SocketsView, add_0_2};

pub use denial::{Action, Denial, DenialCause, DenialReport};
