//! How HTTP/1 and HTTP/2 are driven, and how a connection of each is ended.

use crate::answer::{PLAIN_TEXT, plain_text};
use crate::clock::{self, Moment};
use crate::drive::{End, drive};
use crate::handler::Handler;
use crate::opening::Opened;
use crate::request_id::REQUEST_ID;
use crate::service::Service;
use crate::streams::Streams;
use crate::transport::Transport;
use http::StatusCode;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

/// Least and usual size of the buffers of one HTTP/1 connection, in bytes; a limit for heads that is larger counts.
const HTTP1_BUFFER: usize = 128 * 1024;

/// Most bytes of answers that one HTTP/2 stream keeps while its client is not ready.
const HTTP2_SEND_BUFFER: usize = 128 * 1024;

/// Most bytes that are thrown away after an answer that came before the end of its request.
const LINGER_BYTES: usize = 64 << 20;

/// The socket under a connection.
pub(crate) trait Underlying {
    fn transport(&self) -> &Transport;
}

impl Underlying for Transport {
    fn transport(&self) -> &Transport {
        self
    }
}

impl Underlying for Box<TlsStream<Transport>> {
    fn transport(&self) -> &Transport {
        self.get_ref().0
    }
}

pub(crate) async fn serve_http1<I, H>(io: Opened<I>, service: Arc<Service<H>>, mut drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Underlying + Unpin,
    H: Handler,
{
    let limits = service.limits;
    let mut connection = http1::Builder::new()
        .half_close(service.scheme == crate::Scheme::Http)
        // A client that came late may still ask once.
        .keep_alive(!*drain.borrow())
        // The driver keeps all times itself.
        .header_read_timeout(None)
        .max_headers(limits.head_fields)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes.max(HTTP1_BUFFER))
        .serve_connection(TokioIo::new(io), service_fn(|request| service.call(request, None)));
    let leave = http1::Connection::graceful_shutdown;
    let end = drive(&mut connection, leave, &service.activity, &limits, &mut drain).await;
    // The answer that is under way ends here, if it has not.
    let io = connection.into_parts().io.into_inner();
    match end {
        End::Done(Ok(())) if service.activity.has_unread_body() => linger(io, &service).await,
        End::Done(Ok(())) | End::Abandoned => {}
        End::Done(Err(error)) if error.is_parse() => {
            service.record_refusal(status_of(&error));
            linger(io, &service).await;
        }
        // The body of an answer failed: its client must not take the part for the whole.
        End::Done(Err(error)) if error.is_user() => io.io().transport().reset_on_close(),
        End::Done(Err(error)) => tracing::debug!(%error, client = %service.client, "connection broke"),
        End::HeadOverdue => refuse(io, &service, StatusCode::REQUEST_TIMEOUT).await,
    }
}

pub(crate) async fn serve_http2<I, H>(io: Opened<I>, service: Arc<Service<H>>, mut drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Underlying + Unpin,
    H: Handler,
{
    let limits = service.limits;
    service.activity.turn_to_http2();
    let streams = Streams::default();
    let latest = streams.latest();
    let mut connection = http2::Builder::new(streams.executor(limits.write_idle_time))
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.pending_resets)
        .max_local_error_reset_streams(limits.faulty_streams)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_time)
        .serve_connection(TokioIo::new(io), service_fn(|request| service.call(request, Some(&latest))));
    let leave = http2::Connection::graceful_shutdown;
    let end = drive(&mut connection, leave, &service.activity, &limits, &mut drain).await;
    drop(connection);
    streams.end().await;
    if let End::Done(Err(error)) = end {
        tracing::debug!(%error, client = %service.client, "connection broke");
    }
}

/// With what the library refuses a head that it does not understand.
fn status_of(error: &hyper::Error) -> StatusCode {
    if error.is_parse_too_large() { StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE } else { StatusCode::BAD_REQUEST }
}

/// Answers a head that is not whole, and ends the connection.
async fn refuse<I, H>(mut io: Opened<I>, service: &Service<H>, status: StatusCode)
where
    I: AsyncRead + AsyncWrite + Unpin,
    H: Handler,
{
    let id = service.record_refusal(status);
    let (text, date) = (plain_text(status), Moment::from(clock::now()));
    let text = String::from_utf8_lossy(&text);
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\ncontent-type: {kind}\r\ndate: {date}\r\n\
         {REQUEST_ID}: {id}\r\n\r\n{text}",
        length = text.len(),
        kind = String::from_utf8_lossy(PLAIN_TEXT.as_bytes()),
        date = date.in_field(),
    );
    // Whoever does not take it is not waited for: the transport ends a write that does not move.
    if io.write_all(answer.as_bytes()).await.is_ok() && io.shutdown().await.is_ok() {
        linger(io, service).await;
    }
}

/// Takes for a while what a client still sends, so that it sees the answer and not a reset.
async fn linger<I, H>(mut io: Opened<I>, service: &Service<H>)
where
    I: AsyncRead + Unpin,
{
    let mut waste = vec![0; 16 * 1024];
    let mut left = LINGER_BYTES;
    let drained = timeout(service.limits.linger_time, async {
        while left > 0 {
            match io.read(&mut waste).await {
                Ok(0) | Err(_) => break,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    });
    // Either way the connection is closed now.
    let _ = drained.await;
}
