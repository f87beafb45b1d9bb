//! The messages of Cordboard: their meaning as types, their bytes as `proto/cordboard.proto` defines them, and how many
//! descriptors each carries.

pub mod message;
