//! Pages with a short answer, and the one that asks another server.

use guest_parts::command_line::Wanted;
use guest_parts::query::Query;
use guest_parts::traces::{Traces, leave};
use p3_guests::body::{self, lines, text};
use p3_guests::{Code, read_to_end, request};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use wasip3::http::client;
use wasip3::http::types::{Fields, Method, Request, Response, Scheme};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// `/headers`: the headers of the request as `name: value`, sorted.
pub(crate) fn headers(request: &Request) -> Response {
    text(200, lines(&request.get_headers()).concat())
}

/// `/method`: method, scheme, authority and target, `-` for what was not told.
pub(crate) fn method(request: &Request) -> Response {
    let method = match request.get_method() {
        Method::Other(name) => name,
        known => format!("{known:?}").trim_start_matches("Method::").to_uppercase(),
    };
    let scheme = match request.get_scheme() {
        Some(Scheme::Http) => "http".to_string(),
        Some(Scheme::Https) => "https".to_string(),
        Some(Scheme::Other(name)) => name,
        None => "-".to_string(),
    };
    let authority = request.get_authority().unwrap_or("-".to_string());
    let target = request.get_path_with_query().unwrap_or("-".to_string());
    text(200, format!("{method} {scheme} {authority} {target}\n"))
}

/// `/status?code=N`: that status, with a body unless it has none.
pub(crate) fn status(query: &Query) -> Response {
    let code = query.number("code").and_then(|code| u16::try_from(code).ok()).unwrap_or(200);
    if matches!(code, 204 | 304) {
        let (end, ended) = wasip3::wit_future::new(|| Ok(None));
        drop(end);
        let (response, _sent) = Response::new(Fields::new(), None, ended);
        response.set_status_code(code).expect("a status");
        return response;
    }
    text(code, format!("status {code}\n"))
}

/// `/count`: how many requests for this page this instance has had.
pub(crate) fn count() -> Response {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    text(200, format!("{count}\n"))
}

/// `/secret`: what an earlier request has left in memory; then leaves there the body of this one.
pub(crate) async fn secret(request: Request) -> Response {
    let found = Traces::find();
    let (mut body, _end) = body::of_request(request);
    let said = read_to_end(&mut body).await;
    let left = leave(&String::from_utf8_lossy(&said));
    text(200, format!("{found}\nleft {left} bytes\n"))
}

/// `/env`: arguments and environment, sorted.
pub(crate) fn environment() -> Response {
    let mut page = String::new();
    for (index, argument) in std::env::args().enumerate().skip(1) {
        let _ = writeln!(page, "arg {index} {argument}");
    }
    let mut variables: Vec<(String, String)> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        let _ = writeln!(page, "{name}={value}");
    }
    text(200, page)
}

/// `/file?path=P`: a file, or why it cannot be read.
pub(crate) fn file(query: &Query) -> Response {
    match std::fs::read_to_string(query.text("path").unwrap_or_default()) {
        Ok(page) => text(200, page),
        Err(error) => text(404, format!("{:?}\n", error.kind())),
    }
}

/// `/stdout`: prints a line to standard output and another to standard error.
pub(crate) fn output() -> Response {
    println!("a line on standard output");
    eprintln!("a line on standard error");
    text(200, "printed\n")
}

/// `/fetch?url=U`: status, type and body of what is there. 502 and the error code if there is nothing.
pub(crate) async fn fetch(query: &Query) -> Response {
    let url = query.text("url").unwrap_or_default().to_string();
    let wanted = Wanted::parse([url].into_iter());
    let Ok(request) = request::of(&wanted) else { return text(400, "no such URL\n") };
    match client::send(request).await {
        Ok(found) => {
            let status = found.get_status_code();
            let content_type = found.get_headers().get("content-type").pop().unwrap_or_default();
            let (body, end) = body::of_response(found);
            body::response(status, &[("content-type", &String::from_utf8_lossy(&content_type))], body, end)
        }
        Err(error) => text(502, format!("{}\n", error.name())),
    }
}
