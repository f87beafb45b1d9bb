//! Answers as no framework would let one: what a host has to expect from a hostile or broken guest.
//!
//! Pages that try something and are refused print what they were told, one line for each try.

mod bodies;
mod heads;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    DnsErrorPayload, ErrorCode, Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Odd;

impl Guest for Odd {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        match target.split('?').next().unwrap_or_default() {
            // Drops its only chance to answer.
            "/never" => {}
            "/error/timeout" => fail(out, ErrorCode::HttpResponseTimeout),
            "/error/denied" => fail(out, ErrorCode::HttpRequestDenied),
            "/error/internal" => fail(out, ErrorCode::InternalError(Some("the inside of the guest".to_string()))),
            "/error/dns" => fail(out, ErrorCode::DnsError(DnsErrorPayload { rcode: None, info_code: None })),
            "/too-long" => bodies::too_long(out),
            "/too-short" => bodies::too_short(out),
            "/unfinished" => bodies::unfinished(out),
            "/no-body-taken" => bodies::not_taken(out),
            "/finish-at-once" => bodies::finished_at_once(out),
            "/body-twice" => bodies::twice(out),
            "/trap-after" => bodies::trap_after(out),
            "/stream-kept" => bodies::stream_kept(out),
            "/one-byte-writes" => bodies::one_byte_writes(out),
            "/trailers" => bodies::trailers(out),
            "/request-body-twice" => bodies::request_twice(&request, out),
            "/forbidden-headers" => heads::forbidden(out),
            "/bad-headers" => heads::bad_syntax(out),
            "/immutable-headers" => heads::immutable(&request, out),
            "/bad-statuses" => heads::bad_statuses(out),
            "/informational" => heads::status_with_body(out, 103),
            "/switching" => heads::status_with_body(out, 101),
            "/no-content" => heads::status_with_body(out, 204),
            "/not-modified" => heads::status_with_body(out, 304),
            "/many-headers" => heads::many(out),
            "/large-header" => heads::large(out),
            "/two-lengths" => heads::two_lengths(out),
            "/own-names" => heads::own_names(out),
            _ => answer(out, 404, "no such page\n"),
        }
    }
}

wasip2::http::proxy::export!(Odd);

fn main() {
    eprintln!("this program answers HTTP requests and does nothing else");
}

fn fail(out: ResponseOutparam, code: ErrorCode) {
    ResponseOutparam::set(out, Err(code));
}

/// An answer as it should be.
fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("the body of a new response");
    ResponseOutparam::set(out, Ok(response));
    // The client may have gone.
    let _ = write(&body, text.as_bytes());
    let _ = OutgoingBody::finish(body, None);
}

/// Writes all of it, and tells why that ended early.
fn write(body: &OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream".to_string())?;
    for chunk in bytes.chunks(4096) {
        stream.blocking_write_and_flush(chunk).map_err(|error| format!("{error}"))?;
    }
    Ok(())
}
