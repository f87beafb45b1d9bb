//! The client: a pool of connections, the phases of a request, and when a request is sent again.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, Request, Response, request};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, sleep, sleep_until};

use crate::address;
use crate::body::ResponseBody;
use crate::classify::{Phase, classify};
use crate::connect::{Connect, ConnectError};
use crate::connector::{Connector, Served};
use crate::error::RequestError;
use crate::tasks::Tasks;
use crate::trust::Trust;
use crate::upload::{BoxError, Progress, Upload};

/// How long the parts of a request may take. `None`: as long as they like, connecting at most
/// [`LONGEST_CONNECT`](crate::LONGEST_CONNECT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection, TLS included.
    pub connect: Option<Duration>,
    /// From then, or from the last piece of the request's body that the connection took, until the head of the response.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the response's body, as far as somebody waits for the next one.
    pub between_bytes: Option<Duration>,
}

/// Sends requests. Clones share one pool of connections, which are closed with the last of them and of the responses.
///
/// # Authority
///
/// That of its [`Connect`].
#[derive(Clone)]
pub struct Client {
    pool: legacy::Client<Connector, Upload>,
    tasks: Arc<Tasks>,
}

/// A request that brought no response.
struct Failed {
    error: RequestError,
    /// Whether its connection had brought one before.
    was_reused: bool,
}

impl Client {
    /// How long a connection waits for its next request. Servers close theirs after 5 seconds at the earliest, but most
    /// after a minute.
    pub const IDLE_TIME: Duration = Duration::from_secs(20);

    /// Connections to one authority that wait for a request.
    pub const MAX_IDLE: usize = 32;

    /// The largest head of a response, in bytes.
    pub const MAX_HEAD_BYTES: usize = 64 * 1024;

    /// Most fields in the head of a response.
    pub const MAX_HEAD_FIELDS: usize = 256;

    /// What a server may send of one response over HTTP/2 before it is read, in bytes.
    pub const STREAM_WINDOW: u32 = 256 * 1024;

    /// What it may send of all responses of one connection: as much as 64 that nobody reads, so that few of them do not
    /// stop the others.
    pub const CONNECTION_WINDOW: u32 = 64 * Client::STREAM_WINDOW;

    /// How long a connection with requests under way over HTTP/2 may be silent before the server is asked whether it is
    /// there, and how long it may take to say so.
    const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));

    /// A client whose connections are those of `connect`, and which believes the servers that `trust` does.
    #[must_use]
    pub fn new(connect: Arc<dyn Connect>, trust: Trust) -> Client {
        let tasks = Arc::new(Tasks::default());
        let pool = legacy::Client::builder(tasks.spawner())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Client::IDLE_TIME)
            .pool_max_idle_per_host(Client::MAX_IDLE)
            .http1_max_buf_size(Client::MAX_HEAD_BYTES)
            .http1_max_headers(Client::MAX_HEAD_FIELDS)
            .http2_max_header_list_size(u32::try_from(Client::MAX_HEAD_BYTES).unwrap_or(u32::MAX))
            .http2_initial_stream_window_size(Client::STREAM_WINDOW)
            .http2_initial_connection_window_size(Client::CONNECTION_WINDOW)
            .http2_keep_alive_interval(Client::PING.0)
            .http2_keep_alive_timeout(Client::PING.1)
            .build(Connector::new(connect, trust));
        Client { pool, tasks }
    }

    /// Sends a request and waits for the head of its response. The version of HTTP is the connection's, whatever the
    /// request says; `host` is set from the URI unless the request has its own. A body of unknown length goes out only with
    /// methods that are made to have one.
    ///
    /// A request whose connection had been used before and went without a response is sent again if the method allows
    /// that (RFC 9110, section 9.2.2) and nothing of its body is gone.
    ///
    /// Dropping the future gives the request up, and the connection with it, or the stream of it.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn send<B>(&self, request: Request<B>, timeouts: Timeouts) -> Result<Response<ResponseBody>, RequestError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        address::prepare(&mut head)?;
        let again = head.method.is_idempotent().then(|| head.clone());
        let upload = Upload::new(body);
        let progress = upload.progress();
        let mut failed = match self.attempt(head, upload, timeouts).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let Some(head) = again.filter(|head| progress.is_empty(&head.method)) else { return Err(failed.error) };
        // A new connection ends this, and one that was used is never found twice.
        while failed.was_reused && matches!(failed.error, RequestError::ConnectionLost) {
            failed = match self.attempt(head.clone(), Upload::empty(), timeouts).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
        }
        Err(failed.error)
    }

    async fn attempt(
        &self,
        head: request::Parts,
        upload: Upload,
        timeouts: Timeouts,
    ) -> Result<Response<ResponseBody>, Failed> {
        let progress = upload.progress();
        let mut request = Request::from_parts(head, upload);
        let mut connection = capture_connection(&mut request);
        let response = pin!(self.pool.request(request));
        match phases(response, &mut connection, &progress, timeouts).await {
            Ok(response) => {
                if let Some(served) = served(&connection) {
                    served.set();
                }
                Ok(response.map(|body| ResponseBody::new(body, timeouts.between_bytes, Arc::clone(&self.tasks))))
            }
            Err(error) => {
                let was_reused = served(&connection).is_some_and(|served| served.get());
                let error = progress.error().map_or(error, RequestError::RequestBody);
                Err(Failed { error, was_reused })
            }
        }
    }
}

/// Waits for the connection, then for the head.
async fn phases(
    mut response: Pin<&mut legacy::ResponseFuture>,
    connection: &mut CaptureConnection,
    progress: &Progress,
    timeouts: Timeouts,
) -> Result<Response<Incoming>, RequestError> {
    let head = |answer: Result<_, legacy::Error>| answer.map_err(|error| classify(&error, Phase::Head));
    tokio::select! {
        biased;
        answer = &mut response => return head(answer),
        _ = connection.wait_for_connection_metadata() => {}
        () = elapsed(timeouts.connect) => return Err(ConnectError::TimedOut.into()),
    }
    let Some(limit) = timeouts.first_byte else { return head(response.await) };
    let mut since = Instant::now();
    loop {
        // Further away than any clock goes is never.
        let Some(due) = since.checked_add(limit) else { return head(response.await) };
        tokio::select! {
            biased;
            answer = &mut response => return head(answer),
            () = sleep_until(due) => {}
        }
        match progress.taken() {
            Some(taken) if taken > since => since = taken,
            _ => return Err(RequestError::FirstByteTimedOut),
        }
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// What a connection remembers.
fn served(connection: &CaptureConnection) -> Option<Served> {
    let mut extensions = Extensions::new();
    connection.connection_metadata().as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
