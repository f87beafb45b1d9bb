//! Why a request failed, as finely as `wasi:http` can tell it.

use std::error::Error;

use crate::connect::ConnectError;

/// Why a request has no response, or a response not all of its body.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The URI is not absolute, not of `http` or `https`, names no host or a port that is none, or holds a password.
    #[error("the URI is none that a request can be sent to")]
    UnfitUri,
    /// `CONNECT`, which asks for a tunnel.
    #[error("the method is none of a request")]
    UnfitMethod,
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is a connection, but no TLS on it.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The response did not begin in time.
    #[error("the response did not begin in time")]
    FirstByteTimedOut,
    /// The response's body stalled.
    #[error("the response stalled")]
    BetweenBytesTimedOut,
    /// The connection ended before the response began.
    #[error("the connection ended before the response began")]
    ConnectionLost,
    /// The response's head, or its trailers, are larger than [`MAX_HEAD_BYTES`](crate::Client::MAX_HEAD_BYTES) or have more
    /// than [`MAX_HEAD_FIELDS`](crate::Client::MAX_HEAD_FIELDS).
    #[error("the response's head is too large")]
    HeadTooLarge,
    /// The response broke off.
    #[error("the response broke off")]
    ResponseIncomplete,
    /// What the server says is no HTTP.
    #[error("the server broke the protocol: {reason}")]
    Protocol {
        /// How, for a log.
        reason: String,
    },
    /// The request's body failed: this is its own error.
    #[error("the request's body failed")]
    RequestBody(#[source] Box<dyn Error + Send + Sync>),
}

/// Why there is no TLS with a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No certificate is trusted: the machine has none, and none was added.
    #[error("this machine trusts no certificates, and none was added")]
    NoRoots,
    /// The server's certificate is not to be trusted: by its issuer, its name or its time.
    #[error("the server's certificate is not to be trusted: {reason}")]
    Certificate {
        /// Why, for a log.
        reason: String,
    },
    /// The server ended the handshake, and said why.
    #[error("the server refused TLS: {message}")]
    Alert {
        /// The number of the alert.
        id: u8,
        /// Its name.
        message: String,
    },
    /// What the server says is no TLS, or none that is spoken here.
    #[error("the server broke TLS: {reason}")]
    Protocol {
        /// How, for a log.
        reason: String,
    },
}

impl From<&rustls::Error> for TlsError {
    fn from(error: &rustls::Error) -> TlsError {
        match error {
            rustls::Error::AlertReceived(alert) => {
                TlsError::Alert { id: u8::from(*alert), message: format!("{alert:?}") }
            }
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                TlsError::Certificate { reason: error.to_string() }
            }
            other => TlsError::Protocol { reason: other.to_string() },
        }
    }
}
