//! The calls of a handle. `requests` asks for everything there is, `failures` is refused and let down in every way,
//! `abandoned` gives requests up, `streams` goes on after the request.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

mod abandoned;
mod failures;
mod fake;
mod requests;
mod streams;
