//! Pages with a short answer.

use crate::text;
use guest_parts::query::Query;
use guest_parts::traces::{Traces, leave};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use wstd::http::{Body, Error, Request, Response, StatusCode};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// `/headers`: the headers of the request as `name: value`, sorted.
pub(crate) fn headers(request: &Request<Body>) -> Result<Response<Body>, Error> {
    let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let pairs = request.headers().iter();
    let mut lines: Vec<String> = pairs.map(|(name, value)| format!("{name}: {}\n", shown(value.as_bytes()))).collect();
    lines.sort();
    text(StatusCode::OK, lines.concat())
}

/// `/method`: method, scheme, authority and target, `-` for what was not told.
pub(crate) fn method(request: &Request<Body>) -> Result<Response<Body>, Error> {
    let uri = request.uri();
    let scheme = uri.scheme_str().unwrap_or("-");
    let authority = uri.authority().map_or("-", |authority| authority.as_str());
    let target = uri.path_and_query().map_or("-", |target| target.as_str());
    text(StatusCode::OK, format!("{} {scheme} {authority} {target}\n", request.method()))
}

/// `/status?code=N`: that status, with a body unless it has none.
pub(crate) fn status(query: &Query) -> Result<Response<Body>, Error> {
    let code = query.number("code").unwrap_or(200);
    match u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok()) {
        Some(status) if matches!(code, 204 | 304) => Ok(Response::builder().status(status).body(Body::empty())?),
        Some(status) => text(status, format!("status {code}\n")),
        None => text(StatusCode::BAD_REQUEST, "no such status\n"),
    }
}

/// `/count`: how many requests for this page this instance has had.
pub(crate) fn count() -> Result<Response<Body>, Error> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    text(StatusCode::OK, format!("{count}\n"))
}

/// `/secret`: what an earlier request has left in memory; then leaves there the body of this one.
pub(crate) async fn secret(request: Request<Body>) -> Result<Response<Body>, Error> {
    let found = Traces::find();
    let mut body = request.into_body();
    let left = leave(body.str_contents().await?);
    text(StatusCode::OK, format!("{found}\nleft {left} bytes\n"))
}

/// `/env`: arguments and environment, sorted.
pub(crate) fn environment() -> Result<Response<Body>, Error> {
    let mut page = String::new();
    for (index, argument) in std::env::args().enumerate().skip(1) {
        writeln!(page, "arg {index} {argument}")?;
    }
    let mut variables: Vec<(String, String)> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        writeln!(page, "{name}={value}")?;
    }
    text(StatusCode::OK, page)
}

/// `/file?path=P`: a file, or why it cannot be read.
pub(crate) fn file(query: &Query) -> Result<Response<Body>, Error> {
    match std::fs::read(query.text("path").unwrap_or_default()) {
        Ok(bytes) => Ok(Response::new(bytes.into())),
        Err(error) => text(StatusCode::NOT_FOUND, format!("{:?}\n", error.kind())),
    }
}

/// `/stdout`: prints a line to standard output and another to standard error.
pub(crate) fn output() -> Result<Response<Body>, Error> {
    println!("a line on standard output");
    eprintln!("a line on standard error");
    text(StatusCode::OK, "printed\n")
}

/// `/grow?bytes=N`: takes so much memory, and gives it back. 507 if there is not so much.
pub(crate) fn grow(query: &Query) -> Result<Response<Body>, Error> {
    let bytes = query.number("bytes").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
    let mut block: Vec<u8> = Vec::new();
    if block.try_reserve_exact(bytes).is_err() {
        return text(StatusCode::INSUFFICIENT_STORAGE, "not so much memory\n");
    }
    block.resize(bytes, 1);
    let used = block.iter().filter(|byte| **byte == 1).count();
    text(StatusCode::OK, format!("used {used} bytes\n"))
}
