//! Bodies of requests and responses.

use std::future::Future;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use wasip3::wit_bindgen::rt::async_support::{FutureReader, StreamReader, StreamWriter};
use wasip3::{spawn_local, wit_future, wit_stream};

/// What comes behind a body: trailers, or why the body is not complete.
pub type End = Result<Option<Trailers>, ErrorCode>;

/// A response with a body that comes from elsewhere.
///
/// # Panics
///
/// If a header or the status is not allowed.
#[must_use]
pub fn response(status: u16, headers: &[(&str, &str)], body: StreamReader<u8>, end: FutureReader<End>) -> Response {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let headers = Fields::from_list(&pairs).expect("headers that are allowed");
    let (response, _sent) = Response::new(headers, Some(body), end);
    response.set_status_code(status).expect("a status");
    response
}

/// A response with a body that is written by a task of its own.
#[must_use]
pub fn streamed<W: Future<Output = End> + 'static>(
    status: u16,
    headers: &[(&str, &str)],
    write: impl FnOnce(StreamWriter<u8>) -> W,
) -> Response {
    let (writer, body) = wit_stream::new();
    let (end, ended) = wit_future::new(|| Ok(None));
    let written = write(writer);
    drop(spawn_local(async move {
        // Nobody waits for it if the client has gone.
        let _ = end.write(written.await).await;
    }));
    response(status, headers, body, ended)
}

/// A response with a short text.
#[must_use]
pub fn text(status: u16, text: impl Into<String>) -> Response {
    let text = text.into().into_bytes();
    streamed(status, &[("content-type", "text/plain")], move |mut writer| async move {
        writer.write_all(text).await;
        Ok(None)
    })
}

/// The body of a request, and how it ends.
#[must_use]
pub fn of_request(request: Request) -> (StreamReader<u8>, FutureReader<End>) {
    let (handled, outcome) = wit_future::new(|| Ok(()));
    // Its default says that all is well.
    drop(handled);
    Request::consume_body(request, outcome)
}

/// The body of a response, and how it ends.
#[must_use]
pub fn of_response(response: Response) -> (StreamReader<u8>, FutureReader<End>) {
    let (handled, outcome) = wit_future::new(|| Ok(()));
    drop(handled);
    Response::consume_body(response, outcome)
}

/// All fields as `name: value`, sorted.
#[must_use]
pub fn lines(fields: &Fields) -> Vec<String> {
    let pairs = fields.copy_all().into_iter();
    let mut lines: Vec<String> =
        pairs.map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value))).collect();
    lines.sort();
    lines
}
