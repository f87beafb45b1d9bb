//! Decides what every message can do, how long it may be, and what bytes that are none mean.

use crate::datagrams::{MAX_DATAGRAM_BYTES, MAX_DATAGRAMS};
use crate::message::RequestId;
use capability::{LabelError, Refusal};

/// Longest message, in bytes. Part of the schema: both sides must agree on it. The largest datagram and the largest
/// label set fit into one; and two fit into a socket's default buffer.
pub const MAX_MESSAGE_BYTES: usize = 81_920;
/// Most descriptors that one message carries.
pub const MAX_DESCRIPTORS: usize = 1;

/// What crosses a socket in one direction.
pub trait Message: Sized {
    /// What such a message is called in errors and logs.
    const NAME: &'static str;

    /// The bytes.
    ///
    /// # Errors
    /// If there is no such message: see [`EncodeError`].
    fn encode(&self) -> Result<Vec<u8>, EncodeError>;

    /// The message of these bytes.
    ///
    /// # Errors
    /// See [`DecodeError`].
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// How many descriptors it carries; never more than [`MAX_DESCRIPTORS`].
    fn descriptor_count(&self) -> usize;

    /// The number that ties it to its request or call, if it has one.
    fn id(&self) -> Option<u64>;
}

/// Why a message has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// It is too long. Ask for less, or say it in several messages.
    #[error("the message has {bytes} bytes, and at most {MAX_MESSAGE_BYTES} are allowed")]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// More datagrams than one message carries. Send fewer, or the rest through the socket's own way.
    #[error("at most {MAX_DATAGRAMS} datagrams of {MAX_DATAGRAM_BYTES} bytes together are allowed")]
    Datagrams,
    /// A decision must name its request.
    #[error("a decision without the name of its request")]
    Unnamed,
}

/// Why bytes were not taken as a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are no message. The peer does not speak this protocol: close the socket.
    #[error("the bytes are no message")]
    Malformed(#[from] MalformedMessage),
    /// They are a request, for something that cannot be. Answer it with the refusal and go on.
    #[error(transparent)]
    Invalid(#[from] RefusedRequest),
}

/// A request that is refused as it stands, before anybody looks at the handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request {} asks for something invalid", id.0)]
pub struct RefusedRequest {
    /// Its number, for the answer.
    pub id: RequestId,
    /// What was asked: [`RequestBody::name`](crate::message::RequestBody::name).
    pub request: &'static str,
    /// The answer.
    #[source]
    pub refusal: Refusal,
}

/// What is wrong with bytes that are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// Not protobuf, or not of this schema.
    #[error("not of the schema")]
    Wire(#[from] prost::DecodeError),
    /// A part that must be there is missing, or has a value that it cannot have.
    #[error("the field {field} is missing or has no possible value")]
    Field {
        /// The field's name in the schema.
        field: &'static str,
    },
    /// A label that cannot be.
    #[error("a label that cannot be")]
    Label(#[from] LabelError),
    /// This direction carries no message at all.
    #[error("nothing may be said here")]
    Unexpected,
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
}

/// The bytes of a wire type.
pub(crate) fn to_bytes(message: &impl prost::Message) -> Result<Vec<u8>, EncodeError> {
    let bytes = message.encoded_len();
    if bytes > MAX_MESSAGE_BYTES { Err(EncodeError::TooLong { bytes }) } else { Ok(message.encode_to_vec()) }
}

/// The wire type of these bytes.
pub(crate) fn from_bytes<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, MalformedMessage> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(MalformedMessage::TooLong);
    }
    Ok(M::decode(bytes)?)
}

/// A part that the schema allows to be absent, and the meaning does not.
pub(crate) fn required<T>(part: Option<T>, field: &'static str) -> Result<T, MalformedMessage> {
    part.ok_or(MalformedMessage::Field { field })
}

/// The direction of a socket in which nothing is ever said, as the watcher's side of a watch channel.
impl Message for std::convert::Infallible {
    const NAME: &'static str = "nothing";

    fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        match *self {}
    }

    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Err(MalformedMessage::Unexpected.into())
    }

    fn descriptor_count(&self) -> usize {
        match *self {}
    }

    fn id(&self) -> Option<u64> {
        match *self {}
    }
}
