//! The WASI interfaces a guest sees, and running a guest with them: preview 0 and 1 modules, 0.2 and 0.3 components.
//!
//! The path through this crate: [`Program`] joins a guest's code with the interfaces that it imports and does all that
//! is the same for every instance. [`Program::run`] makes one instance from
//! a [`GuestSpec`] and runs it to its [`Exit`]. A guest that answers requests is an [`HttpProgram`] instead, and each
//! [`HttpInstance`] of it takes one request after the other.
//!
//! Files, clocks, random numbers, arguments, environment and standard streams are wasmtime-wasi's. Sockets are ours:
//! they never call `socket`, `connect` or `bind`, but ask the guest's [`client::Handle`]. A guest without one can reach
//! nothing but itself. What is refused goes to the guest as `access-denied` and to a [`DenialReport`] with the reason.
//!
//! Never here: `std::net` beyond its address types, configuration, and the switchboard's side of anything.

mod component;
mod cpu;
mod descriptors;
mod exit;
mod files;
mod guest;
mod http;
mod imports;
mod limits;
mod linkers;
mod p1;
mod program;
mod sockets;
mod state;
mod stdio;
mod store;
mod workdir;

pub use component::needs_concurrency;
pub use cpu::Cpus;
pub use descriptors::Descriptors;
pub use exit::{Exit, RunError};
pub use guest::{Access, GuestSpec, Start, Volume};
pub use http::{
    HttpBody, HttpBodyError, HttpFailure, HttpInstance, HttpProgram, OutgoingHttp, RequestBodyError, Scheme,
};
pub use limits::HostLimits;
pub use linkers::LinkError;
pub use p1::{ConnectFd, ListenFd};
pub use program::Program;
pub use sockets::{Action, Denial, DenialCause, DenialReport, Transport};
pub use stdio::{GuestLog, Stdio, StdioConnection};
