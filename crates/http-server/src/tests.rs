//! Whole connections: raw bytes or an HTTP/2 client on one end of a socket, the front door on the other.
//!
//! `heads`: what is refused before a handler sees it. `bodies`: what a client sends after its head. `answers`: what a handler
//! may say. `times`: how long a client may take. `gone`: clients that leave. `drain`: servers that stop. `http2` and
//! `encrypted`: the same there. `records`: what is written down.

mod answers;
mod bodies;
mod drain;
mod encrypted;
mod gone;
mod heads;
mod http2;
mod records;
mod support;
mod times;
