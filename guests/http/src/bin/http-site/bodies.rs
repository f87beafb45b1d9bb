//! Pages whose bodies come in pieces.

use crate::text;
use futures_lite::stream::unfold;
use guest_parts::checksum::{Checksum, pattern};
use guest_parts::query::Query;
use std::convert::Infallible;
use wstd::http::body::{Bytes, Frame, util::StreamBody};
use wstd::http::{Body, BodyExt, Error, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use wstd::time::Duration;

const CHUNK_BYTES: u64 = 64 * 1024;
const CONTENT_TYPE: &str = "content-type";

/// `/echo`: sends the body back while it comes, with its type and its trailers.
pub(crate) fn echo(request: Request<Body>) -> Result<Response<Body>, Error> {
    let mut response = Response::builder();
    if let Some(value) = request.headers().get(CONTENT_TYPE) {
        response = response.header(CONTENT_TYPE, value);
    }
    Ok(response.body(request.into_body())?)
}

/// `/sum`: reads the body as it comes, and answers its length and its checksum.
pub(crate) async fn sum(request: Request<Body>) -> Result<Response<Body>, Error> {
    let mut body = request.into_body().into_boxed_body();
    let (mut length, mut checksum) = (0, Checksum::default());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len();
            checksum.add(&data);
        }
    }
    text(StatusCode::OK, format!("{length} {:016x}\n", checksum.value()))
}

/// `/big?bytes=N[&length=1]`: so many bytes of a pattern, with `length` announced beforehand.
pub(crate) fn big(query: &Query) -> Result<Response<Body>, Error> {
    let total = query.number("bytes").unwrap_or_default();
    let chunks = unfold(0, move |begin| async move {
        let length = CHUNK_BYTES.min(total - begin);
        let chunk = pattern(begin, usize::try_from(length).expect("a chunk is small"));
        (length > 0).then_some((Bytes::from(chunk), begin + length))
    });
    let mut response = Response::builder().header(CONTENT_TYPE, "application/octet-stream");
    if query.text("length").is_some() {
        response = response.header("content-length", total);
    }
    Ok(response.body(Body::from_stream(chunks))?)
}

/// `/slow?ms=N&chunks=K`: so many lines with such pauses before each.
pub(crate) fn slow(query: &Query) -> Result<Response<Body>, Error> {
    let pause = Duration::from_millis(query.number("ms").unwrap_or(100));
    let count = query.number("chunks").unwrap_or(1);
    let chunks = unfold(1, move |number| async move {
        if number > count {
            return None;
        }
        wstd::task::sleep(pause).await;
        Some((Bytes::from(format!("chunk {number}\n")), number + 1))
    });
    Ok(Response::builder().header(CONTENT_TYPE, "text/plain").body(Body::from_stream(chunks))?)
}

/// `/trailers`: how many bytes came, in a trailer `x-length`, and behind it the trailers that came.
pub(crate) async fn trailers(request: Request<Body>) -> Result<Response<Body>, Error> {
    let collected = request.into_body().into_boxed_body().collect().await?;
    let mut trailers = collected.trailers().cloned().unwrap_or_default();
    trailers.insert("x-length", HeaderValue::from(collected.to_bytes().len()));
    let announced = names(&trailers);
    let frames = [Frame::data(Bytes::from("see the trailers\n")), Frame::trailers(trailers)];
    let frames = futures_lite::stream::iter(frames.map(Ok::<_, Infallible>));
    let response = Response::builder().header(CONTENT_TYPE, "text/plain").header("trailer", announced);
    Ok(response.body(Body::from_http_body(StreamBody::new(frames)))?)
}

fn names(trailers: &HeaderMap) -> String {
    trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(", ")
}

/// `/after?ms=N`: answers at once, and so much later prints a line on standard error.
pub(crate) fn after(query: &Query) -> Result<Response<Body>, Error> {
    let pause = Duration::from_millis(query.number("ms").unwrap_or(100));
    let later = async move {
        wstd::task::sleep(pause).await;
        eprintln!("work after the response is done");
    };
    wstd::runtime::spawn(later).detach();
    text(StatusCode::OK, "answered before the work is done\n")
}

/// `/trap-mid`: an answer that fails after its head and some of its body.
pub(crate) fn trap_in_the_middle() -> Result<Response<Body>, Error> {
    let chunks = unfold(0, |number| async move {
        if number == 3 {
            // So that what came before is on its way.
            wstd::task::sleep(Duration::from_millis(50)).await;
            crate::stops::trap();
        }
        Some((Bytes::from(format!("chunk {number}\n")), number + 1))
    });
    Ok(Response::builder().header(CONTENT_TYPE, "text/plain").body(Body::from_stream(chunks))?)
}
