//! Why a request failed, by what the caller may do about it.

use capability::Refusal;
use channel::{ReceiveError, SendError};
use protocol::EncodeError;
use protocol::message::Failure;
use std::io;
use std::sync::Arc;

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// The switchboard said no, and why. Asking again for the same is of no use, except for limits and time-outs.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The switchboard could not decide; its log says why. The handle is still of use.
    #[error("the switchboard failed; its log says why")]
    Fault,
    /// The switchboard is gone. The handle is of no use any more; connections made before go on.
    #[error("the switchboard is gone")]
    Gone,
    /// The request is too long to be said. Ask for less at once.
    #[error("the request cannot be sent")]
    Unsendable(#[from] EncodeError),
    /// This process has no room for the descriptor that came back, or too many are on their way. Close some and ask
    /// again: what was asked for may have been done, and is undone by the loss of its descriptor.
    #[error("out of descriptors")]
    OutOfDescriptors,
    /// What answers is no switchboard that this program understands. The handle is of no use.
    #[error("the switchboard does not keep to the protocol")]
    Protocol(#[source] Arc<ProtocolError>),
    /// The handle's socket failed.
    #[error("the handle failed")]
    Io(#[source] Arc<io::Error>),
}

/// How the switchboard broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// What it sent is no response.
    #[error("what it sent is no response")]
    Receive(#[source] ReceiveError),
    /// It answered a request that nobody waits for.
    #[error("it answered the request {id}, which is not under way")]
    UnknownRequest {
        /// The number in its response.
        id: u64,
    },
    /// It answered with what nobody asked for.
    #[error("it answered {request} with something else")]
    WrongResponse {
        /// The name of the request.
        request: &'static str,
    },
}

impl From<ProtocolError> for RequestError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(Arc::new(error))
    }
}

impl From<io::Error> for RequestError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Fault => Self::Fault,
        }
    }
}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Gone => Self::Gone,
            SendError::OutOfDescriptors => Self::OutOfDescriptors,
            SendError::Unsendable(cause) => Self::Unsendable(cause),
            SendError::Io(cause) => cause.into(),
            error @ (SendError::Full | SendError::WrongDescriptors { .. }) => io::Error::other(error).into(),
        }
    }
}

impl From<ReceiveError> for RequestError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Io(cause) => cause.into(),
            ReceiveError::OutOfDescriptors { .. } => Self::OutOfDescriptors,
            error @ (ReceiveError::Invalid { .. }
            | ReceiveError::Malformed(_)
            | ReceiveError::TooLong
            | ReceiveError::TooManyDescriptors
            | ReceiveError::WrongDescriptors { .. }) => ProtocolError::Receive(error).into(),
        }
    }
}
