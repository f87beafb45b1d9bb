//! Asks a server for a page, on the raw interface of `wasi:http` 0.2.
//!
//! `fetch URL [--header NAME:VALUE]... [--method M] [--body TEXT] [--repeat N]`
//! `[--connect-ms N] [--first-byte-ms N] [--between-bytes-ms N]`
//!
//! Prints the status, the headers sorted, an empty line, the body, and behind it the trailers if there are any. If that
//! fails, standard error says `error: ` and the error code as the interface spells it, and the exit code is 1.

use guest_parts::command_line::Wanted;
use http_guests::code;
use std::io::{Write, stdout};
use std::process::ExitCode;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    http_error_code,
};
use wasip2::io::streams::StreamError;

const CHUNK_BYTES: u64 = 64 * 1024;

fn main() -> ExitCode {
    let wanted = Wanted::parse(std::env::args().skip(1));
    for _ in 0..wanted.repeat {
        if let Err(error) = fetch(&wanted) {
            // What was received is shown in any case.
            let _ = stdout().flush();
            eprintln!("error: {}", code::name(&error));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn fetch(wanted: &Wanted) -> Result<(), ErrorCode> {
    let request = OutgoingRequest::new(fields(&wanted.headers));
    request.set_method(&method(&wanted.method)).expect("a method");
    request.set_scheme(wanted.scheme.as_deref().map(scheme).as_ref()).expect("a scheme");
    request.set_authority(wanted.authority.as_deref()).expect("an authority");
    request.set_path_with_query(Some(&wanted.target)).expect("a path");
    let body = request.body().expect("the body of a new request");
    let answer = handle(request, Some(options(wanted)))?;
    // That the server does not read is told by the answer.
    if let Some(text) = &wanted.body {
        let stream = body.write().expect("the stream of a new body");
        for chunk in text.as_bytes().chunks(4096) {
            if stream.blocking_write_and_flush(chunk).is_err() {
                break;
            }
        }
    }
    let finished = OutgoingBody::finish(body, None);
    answer.subscribe().block();
    match answer.get().expect("it is ready").expect("asked for once") {
        // A server may answer without having read everything.
        Ok(response) => show(response),
        Err(error) => finished.and(Err(error)),
    }
}

fn fields(headers: &[(String, String)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in headers {
        if let Err(error) = fields.append(name, value.as_bytes()) {
            eprintln!("header {name}: {error:?}");
        }
    }
    fields
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_string()),
    }
}

fn scheme(name: &str) -> Scheme {
    match name {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_string()),
    }
}

fn options(wanted: &Wanted) -> RequestOptions {
    let options = RequestOptions::new();
    let set = [
        options.set_connect_timeout(wanted.connect_nanoseconds),
        options.set_first_byte_timeout(wanted.first_byte_nanoseconds),
        options.set_between_bytes_timeout(wanted.between_bytes_nanoseconds),
    ];
    assert!(set.iter().all(Result::is_ok), "a time limit is not supported: {set:?}");
    options
}

fn show(response: IncomingResponse) -> Result<(), ErrorCode> {
    println!("{}", response.status());
    show_fields(&response.headers());
    println!();
    let body = response.consume().expect("the body of a new response");
    let stream = body.stream().expect("the stream of a new body");
    let mut output = stdout().lock();
    loop {
        match stream.blocking_read(CHUNK_BYTES) {
            Ok(bytes) => output.write_all(&bytes).expect("somebody reads"),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(http_error_code(&error).unwrap_or(ErrorCode::InternalError(None)));
            }
        }
    }
    drop((stream, output));
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    if let Some(trailers) = trailers.get().expect("it is ready").expect("asked for once")? {
        show_fields(&trailers);
    }
    Ok(())
}

fn show_fields(fields: &Fields) {
    let entries = fields.entries().into_iter();
    let mut lines: Vec<_> =
        entries.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(&value))).collect();
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
}
