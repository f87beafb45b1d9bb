//! Parts of guests that have nothing to do with the interface they are written for.

pub mod checksum;
pub mod command_line;
pub mod hostile;
#[cfg(target_arch = "wasm32")]
pub mod memory;
pub mod query;
#[cfg(target_arch = "wasm32")]
pub mod traces;
