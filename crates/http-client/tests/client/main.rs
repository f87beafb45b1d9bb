//! Requests through a real client to real servers, at the other ends of socket pairs. `tls` is about certificates and
//! versions, `pool` about which connection a request takes, `timeouts` about those who wait, `bodies` about what streams,
//! `hostile` about servers that break the rules, `connecting` about connections that are not made.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a helper cannot set up fails the test")]

mod bodies;
mod certificates;
mod connecting;
mod hostile;
mod pool;
mod timeouts;
mod tls;
mod world;
