//! What the WASI 0.3 programs share: addresses as people write them, names of errors, checks that are printed, and
//! requests and responses with their bodies.

pub mod body;
pub mod request;

mod address;
mod code;
mod report;
mod stream;

pub use address::{family, parse, plain, plain_ip, wire};
pub use code::Code;
pub use report::Report;
pub use stream::{Connection, read_exactly, read_to_end, send_all};

/// The arguments after the program's own name.
#[must_use]
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// Says on standard error why the program cannot go on, and makes that its outcome.
///
/// # Errors
///
/// Always.
pub fn fail<T>(message: impl std::fmt::Display) -> Result<T, ()> {
    eprintln!("{message}");
    Err(())
}
