//! Bodies that are not what was announced, or not ended as they should be.

use crate::{answer, write};
use http_guests::code;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam, Trailers};

/// A response whose head is on its way, and its body.
fn begin(out: ResponseOutparam, headers: &[(&str, &str)]) -> OutgoingBody {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    let response = OutgoingResponse::new(Fields::from_list(&pairs).expect("headers that are allowed"));
    let body = response.body().expect("the body of a new response");
    ResponseOutparam::set(out, Ok(response));
    body
}

/// Says on standard error how a body ended, because the client can't be told any more.
fn finish(body: OutgoingBody, trailers: Option<Trailers>) {
    match OutgoingBody::finish(body, trailers) {
        Ok(()) => eprintln!("finish: ok"),
        Err(error) => eprintln!("finish: {}", code::name(&error)),
    }
}

/// `/too-long`: 10 bytes where 5 were announced.
pub(crate) fn too_long(out: ResponseOutparam) {
    let body = begin(out, &[("content-length", "5")]);
    if let Err(error) = write(&body, b"0123456789") {
        eprintln!("write: {error}");
    }
    finish(body, None);
}

/// `/too-short`: 5 bytes where 10 were announced.
pub(crate) fn too_short(out: ResponseOutparam) {
    let body = begin(out, &[("content-length", "10")]);
    let _ = write(&body, b"01234");
    finish(body, None);
}

/// `/unfinished`: some bytes, and then the body is dropped instead of ended, which says that it is not complete.
pub(crate) fn unfinished(out: ResponseOutparam) {
    let body = begin(out, &[]);
    let _ = write(&body, b"the begin of something\n");
    drop(body);
}

/// `/no-body-taken`: a response whose body was never asked for.
pub(crate) fn not_taken(out: ResponseOutparam) {
    ResponseOutparam::set(out, Ok(OutgoingResponse::new(Fields::new())));
}

/// `/finish-at-once`: a body that was ended without a stream.
pub(crate) fn finished_at_once(out: ResponseOutparam) {
    finish(begin(out, &[]), None);
}

/// `/body-twice`: the body and its stream can be had once.
pub(crate) fn twice(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("the body of a new response");
    let again = response.body().is_err();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("the stream of a new body");
    let stream_again = body.write().is_err();
    let text = format!("a second body is refused: {again}\na second stream is refused: {stream_again}\n");
    let _ = stream.blocking_write_and_flush(text.as_bytes());
    drop(stream);
    finish(body, None);
}

/// `/trap-after`: a complete answer, and then a trap.
pub(crate) fn trap_after(out: ResponseOutparam) {
    answer(out, 200, "complete\n");
    std::arch::wasm32::unreachable();
}

/// `/stream-kept`: ends the body while its stream is alive, which is a trap by the text of the interface.
pub(crate) fn stream_kept(out: ResponseOutparam) {
    let body = begin(out, &[]);
    let stream = body.write().expect("the stream of a new body");
    let _ = stream.blocking_write_and_flush(b"some\n");
    let _ = OutgoingBody::finish(body, None);
    drop(stream);
}

/// `/one-byte-writes`: 1,000 writes of one byte each.
pub(crate) fn one_byte_writes(out: ResponseOutparam) {
    let body = begin(out, &[]);
    let stream = body.write().expect("the stream of a new body");
    for _ in 0..1000 {
        if stream.blocking_write_and_flush(b".").is_err() {
            break;
        }
    }
    drop(stream);
    finish(body, None);
}

/// `/trailers`: a body with two trailers.
pub(crate) fn trailers(out: ResponseOutparam) {
    let body = begin(out, &[("trailer", "x-one, x-two")]);
    let _ = write(&body, b"see the trailers\n");
    let pairs = [("x-one", "1"), ("x-two", "2")].map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    finish(body, Some(Fields::from_list(&pairs).expect("trailers that are allowed")));
}

/// `/request-body-twice`: the body of a request and its stream can be had once.
pub(crate) fn request_twice(request: &IncomingRequest, out: ResponseOutparam) {
    let body = request.consume().expect("the body of the request");
    let again = request.consume().is_err();
    let stream = body.stream().expect("the stream of the body");
    let stream_again = body.stream().is_err();
    drop(stream);
    answer(out, 200, &format!("a second body is refused: {again}\na second stream is refused: {stream_again}\n"));
}
