//! What answers requests, and what it is told about them.

use crate::request_body::RequestBody;
use crate::request_id::RequestId;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use std::error::Error;
use std::net::SocketAddr;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of a request beside itself.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Names the request. It is also in the field `x-request-id` of the request and of its answer.
    pub id: RequestId,
    /// How the connection is protected, whatever the client says.
    pub scheme: Scheme,
    /// The client's end of the connection.
    pub client: SocketAddr,
    /// This end of the connection.
    pub server: SocketAddr,
}

/// Answers requests.
///
/// A request comes with an absolute URI: the scheme of the connection, the authority that the client named, a path (`*`
/// for `OPTIONS *`). There is one `host` field and it is that authority. What concerns only the connection is gone
/// (`connection`, `keep-alive`, `transfer-encoding`, `upgrade` and the like); `te` is there if trailers may be sent.
///
/// Of the answer, too, whatever concerns only the connection is taken away, and `content-length` is held against the body:
/// a body that is longer or shorter breaks the connection. `date` and `x-request-id` are added.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer. An error in it breaks the connection, so that no client takes the part for the whole.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Answers one request. The future is dropped when the client is gone, and so is the body.
    ///
    /// # Errors
    /// The client is told what the [`Failure`] says and nothing else.
    fn handle(
        &self,
        request: Request<RequestBody>,
        info: RequestInfo,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failure>> + Send;
}

/// Why there is no answer of the handler's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too many requests are under way. The client is told 503, and to ask again in a second.
    #[error("there is no room for the request")]
    NoRoom,
    /// It took too long. The client is told 504.
    #[error("the request took too long")]
    TimedOut,
    /// It went wrong. The client is told 500.
    #[error("the request could not be answered")]
    Broken,
}

impl Failure {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
