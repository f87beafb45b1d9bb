//! Makes requests of what was asked for on a command line.

use guest_parts::command_line::Wanted;
use wasip3::http::types::{Fields, HeaderError, Method, Request, RequestOptions, Scheme};
use wasip3::{spawn_local, wit_future, wit_stream};

/// A request.
///
/// # Errors
///
/// A header that is not allowed.
///
/// # Panics
///
/// If the interface refuses anything else.
pub fn of(wanted: &Wanted) -> Result<Request, HeaderError> {
    let headers = Fields::new();
    for (name, value) in &wanted.headers {
        headers.append(name, value.as_bytes())?;
    }
    let body = wanted.body.clone().map(|text| {
        let (mut writer, body) = wit_stream::new();
        drop(spawn_local(async move {
            writer.write_all(text.into_bytes()).await;
        }));
        body
    });
    let (end, ended) = wit_future::new(|| Ok(None));
    drop(end);
    let (request, _sent) = Request::new(headers, body, ended, Some(options(wanted)));
    request.set_method(&method(&wanted.method)).expect("a method");
    request.set_scheme(wanted.scheme.as_deref().map(scheme).as_ref()).expect("a scheme");
    request.set_authority(wanted.authority.as_deref()).expect("an authority");
    request.set_path_with_query(Some(&wanted.target)).expect("a path");
    Ok(request)
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
