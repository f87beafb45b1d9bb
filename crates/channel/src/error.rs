//! What may go wrong with one message, by what the caller may do about it.

use capability::Refusal;
use protocol::message::RequestId;
use protocol::{EncodeError, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES, MalformedMessage};
use std::io;

/// Why a packet was not taken as a message. It is gone, and what it carried is closed.
///
/// After [`Invalid`](Self::Invalid) and [`OutOfDescriptors`](Self::OutOfDescriptors) the channel goes on; after
/// anything else the peer does not keep to the protocol, or the socket is broken: drop the channel.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// A request for something that cannot be. Answer it with the refusal, and go on.
    #[error("request {} asks for something invalid", id.0)]
    Invalid {
        /// Its number.
        id: RequestId,
        /// What was asked: [`RequestBody::name`](protocol::message::RequestBody::name).
        request: &'static str,
        /// The answer.
        #[source]
        refusal: Refusal,
    },
    /// This process had no room for what a message carried. Fail the request or call of that number, and go on.
    #[error("out of descriptors: what a message carried is lost")]
    OutOfDescriptors {
        /// The number of the message, if it has one.
        id: Option<u64>,
    },
    /// The bytes are no message.
    #[error("the peer sent what is no message")]
    Malformed(#[source] MalformedMessage),
    /// The packet is longer than a message may be.
    #[error("the peer sent more than {MAX_MESSAGE_BYTES} bytes in one packet")]
    TooLong,
    /// The packet carries more descriptors than any message may.
    #[error("the peer sent more than {MAX_DESCRIPTORS} descriptors in one packet")]
    TooManyDescriptors,
    /// The message carries another number of descriptors than such a message must.
    #[error("the peer sent a message with {received} descriptors that must have {expected}")]
    WrongDescriptors {
        /// How many such a message carries.
        expected: usize,
        /// How many this one carried.
        received: usize,
    },
    /// The socket failed.
    #[error("cannot receive")]
    Io(#[source] io::Error),
}

impl ReceiveError {
    /// Whether the channel is still of use.
    #[must_use]
    pub fn is_about_one_message(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::OutOfDescriptors { .. } => true,
            Self::Malformed(_)
            | Self::TooLong
            | Self::TooManyDescriptors
            | Self::WrongDescriptors { .. }
            | Self::Io(_) => false,
        }
    }
}

/// Why a message was not sent. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The peer has no room now.
    #[error("the peer does not read")]
    Full,
    /// The peer has closed its end.
    #[error("the peer is gone")]
    Gone,
    /// Too many descriptors of this user are on their way. Possible again when some have arrived.
    #[error("too many descriptors are on their way")]
    OutOfDescriptors,
    /// The message cannot be said.
    #[error("the message cannot be sent")]
    Unsendable(#[from] EncodeError),
    /// The caller gave another number of descriptors than such a message carries.
    #[error("a message with {given} descriptors that must have {expected}")]
    WrongDescriptors {
        /// How many such a message carries.
        expected: usize,
        /// How many were given.
        given: usize,
    },
    /// The socket failed.
    #[error("cannot send")]
    Io(#[source] io::Error),
}
