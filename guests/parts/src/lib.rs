//! Parts of guests that have nothing to do with the interface they are written for.

pub mod checksum;
pub mod command_line;
pub mod query;
pub mod traces;
