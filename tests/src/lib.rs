//! What the tests of whole processes stand on: the programs, processes that cannot outlive or hang a test, servers to
//! connect to, and networks of their own.
//!
//! The tests themselves are in `tests/all`. Nothing here waits for an amount of time: [`wait::until`] waits for a fact,
//! and gives up only after so long that something must be broken. What is missing on the machine fails a test.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, and every function here may fail one"
)]

pub mod board;
pub mod cord;
pub mod escape;
pub mod http;
pub mod namespace;
pub mod process;
pub mod programs;
pub mod published;
pub mod runner;
pub mod servers;
pub mod services;
pub mod wait;
