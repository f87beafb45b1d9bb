//! Heads that are not allowed, or that no client expects.

use crate::answer;
use std::fmt::Write;
use wasip2::http::types::{
    Fields, HeaderError, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
};

fn word(result: Result<(), HeaderError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(HeaderError::InvalidSyntax) => "invalid-syntax",
        Err(HeaderError::Forbidden) => "forbidden",
        Err(HeaderError::Immutable) => "immutable",
    }
}

/// `/forbidden-headers`: headers that belong to the host, in every way to set one.
pub(crate) fn forbidden(out: ResponseOutparam) {
    let mut page = String::new();
    for name in
        ["connection", "Keep-Alive", "proxy-connection", "transfer-encoding", "upgrade", "host", "http2-settings"]
    {
        let fields = Fields::new();
        let append = word(fields.append(name, b"x"));
        let set = word(fields.set(name, &[b"x".to_vec()]));
        let list = word(Fields::from_list(&[(name.to_string(), b"x".to_vec())]).map(drop));
        let _ = writeln!(page, "{name}: append {append}, set {set}, from-list {list}");
    }
    answer(out, 200, &page);
}

/// `/bad-headers`: names and values that are none.
pub(crate) fn bad_syntax(out: ResponseOutparam) {
    let tries: [(&str, &[u8]); 7] = [
        ("", b"x"),
        ("a b", b"x"),
        ("a:b", b"x"),
        ("a\r\nb", b"x"),
        ("x-split", b"one\r\nset-cookie: two"),
        ("x-zero", b"a\0b"),
        ("x-not-utf8", b"\xff\xfe"),
    ];
    let mut page = String::new();
    for (name, value) in tries {
        let shown = String::from_utf8_lossy(value);
        let _ = writeln!(page, "{name:?} {shown:?}: {}", word(Fields::new().append(name, value)));
    }
    answer(out, 200, &page);
}

/// `/immutable-headers`: headers that are somebody else's.
pub(crate) fn immutable(request: &IncomingRequest, out: ResponseOutparam) {
    let mut page = String::new();
    let response = OutgoingResponse::new(Fields::new());
    let outgoing = OutgoingRequest::new(Fields::new());
    let all = [("request", request.headers()), ("response", response.headers()), ("outgoing", outgoing.headers())];
    for (whose, headers) in all {
        let append = word(headers.append("x-new", b"x"));
        let delete = word(headers.delete("user-agent"));
        let clone = word(headers.clone().append("x-new", b"x"));
        let _ = writeln!(page, "{whose}: append {append}, delete {delete}, on a copy {clone}");
    }
    drop((response, outgoing));
    answer(out, 200, &page);
}

/// `/bad-statuses`: which numbers are a status.
pub(crate) fn bad_statuses(out: ResponseOutparam) {
    let mut page = String::new();
    for status in [0, 99, 100, 199, 200, 599, 600, 999, 1000, u16::MAX] {
        let is_allowed = OutgoingResponse::new(Fields::new()).set_status_code(status).is_ok();
        let _ = writeln!(page, "{status}: {}", if is_allowed { "ok" } else { "refused" });
    }
    answer(out, 200, &page);
}

/// A body where the status has none, or is none that ends a request.
pub(crate) fn status_with_body(out: ResponseOutparam, status: u16) {
    let response = OutgoingResponse::new(Fields::new());
    if response.set_status_code(status).is_err() {
        return answer(out, 200, "that status is refused\n");
    }
    let body = response.body().expect("the body of a new response");
    ResponseOutparam::set(out, Ok(response));
    let _ = crate::write(&body, b"a body that must not be sent\n");
    let _ = OutgoingBody::finish(body, None);
}

fn with_headers(out: ResponseOutparam, pairs: &[(String, Vec<u8>)]) {
    match Fields::from_list(pairs) {
        Ok(fields) => {
            let response = OutgoingResponse::new(fields);
            let body = response.body().expect("the body of a new response");
            ResponseOutparam::set(out, Ok(response));
            let _ = crate::write(&body, b"see the headers\n");
            let _ = OutgoingBody::finish(body, None);
        }
        Err(error) => answer(out, 200, &format!("{}\n", word(Err(error)))),
    }
}

/// `/many-headers`: 500 of them, and one name with two values.
pub(crate) fn many(out: ResponseOutparam) {
    let mut pairs: Vec<_> = (0..500).map(|number| (format!("x-{number}"), b"value".to_vec())).collect();
    pairs.push(("set-cookie".to_string(), b"a=1".to_vec()));
    pairs.push(("set-cookie".to_string(), b"b=2".to_vec()));
    with_headers(out, &pairs);
}

/// `/large-header`: a value of one mebibyte.
pub(crate) fn large(out: ResponseOutparam) {
    with_headers(out, &[("x-large".to_string(), vec![b'x'; 1 << 20])]);
}

/// `/two-lengths`: two lengths that differ.
pub(crate) fn two_lengths(out: ResponseOutparam) {
    let pairs = ["16", "17"].map(|length| ("content-length".to_string(), length.as_bytes().to_vec()));
    with_headers(out, &pairs);
}

/// `/own-names`: headers that the host would set itself.
pub(crate) fn own_names(out: ResponseOutparam) {
    let pairs = [("date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("server", "mine"), ("x-request-id", "mine")];
    with_headers(out, &pairs.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())));
}
