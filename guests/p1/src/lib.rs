//! The calls of preview 1 and WasmEdge's beside them, each as a function whose error is the name of its number.

pub mod calls;
pub mod errno;
pub mod poll;
pub mod report;
pub mod sockets;
