//! The messages of Cordboard: their meaning as types, their bytes as `proto/cordboard.proto` defines them, and how many
//! descriptors each carries.
//!
//! [`message`] holds the types, which cannot hold an invalid label or grant. [`Message`] turns each into bytes and
//! back; [`DecodeError`] keeps bytes that are no message (the socket is closed) apart from a request that asks for
//! something invalid (it is answered with a refusal). [`ErrorCode`] numbers every way to fail; `docs/errors.md` says
//! what to do about each.
//!
//! Never here: sockets, descriptors themselves, and any judgement on what is asked.
//!
//! ```
//! use capability::Labels;
//! use protocol::Message;
//! use protocol::message::{Request, RequestBody, RequestId};
//!
//! let request = Request {
//!     id: RequestId(1),
//!     body: RequestBody::ClientConnect(Labels::try_from_pairs([("server_hostname", "db"), ("server_port", "5432")])?),
//! };
//! let bytes = request.encode()?;
//! assert_eq!(Request::decode(&bytes)?, request);
//! assert_eq!(request.descriptor_count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod call;
mod codec;
mod datagrams;
mod decision;
mod failure;
mod grant;
mod labels;
pub mod message;
mod request;
mod response;
#[expect(
    unnameable_types,
    unreachable_pub,
    reason = "generated from proto/cordboard.proto: made public by the generator, private by us"
)]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/cordboard.v1.rs"));
}

pub use codec::{
    DecodeError, EncodeError, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES, MalformedMessage, Message, RefusedRequest,
};
pub use datagrams::{MAX_DATAGRAM_BYTES, MAX_DATAGRAMS};
pub use failure::ErrorCode;
