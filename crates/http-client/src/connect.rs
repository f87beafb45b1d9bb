//! The one question that is asked of whoever makes connections, and how it can be answered.

use std::os::fd::OwnedFd;
use std::pin::Pin;

/// A connection on its way. Dropping it gives the connection up.
pub type Connecting = Pin<Box<dyn Future<Output = Result<OwnedFd, ConnectError>> + Send>>;

/// Makes connections.
///
/// # Authority
///
/// All that a [`Client`](crate::Client) can reach. It is asked whenever a connection is made, not for each request: what it
/// once gave is used again for the same host and port.
pub trait Connect: Send + Sync + 'static {
    /// Connects to `host`, a name or an address without brackets, port `port`. What comes is a connected stream socket of
    /// the internet or of Unix.
    fn connect(&self, host: &str, port: u16) -> Connecting;
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// It is not allowed.
    #[error("the connection is not allowed")]
    Denied,
    /// The host is neither a name nor an address.
    #[error("the host is neither a name nor an address")]
    NotAHost,
    /// The name has no address.
    #[error("the name has no address")]
    NameUnresolvable,
    /// Whoever knows names does not answer now.
    #[error("the name cannot be looked up now")]
    TemporaryResolverFailure,
    /// Nobody stands for what was asked: a service that does not run.
    #[error("nobody answers to the name")]
    NotFound,
    /// Nobody listens there.
    #[error("the connection was refused")]
    Refused,
    /// There is no way there.
    #[error("the host cannot be reached")]
    Unreachable,
    /// It took too long, TLS included.
    #[error("connecting took too long")]
    TimedOut,
    /// There are as many connections as there may be.
    #[error("there are too many connections")]
    LimitReached,
    /// Whoever makes connections failed, or what it gave is no connection.
    #[error("no connection could be made: {0}")]
    Failed(String),
}
