//! Which fields concern only one connection, and so are not passed on.

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Besides those that `connection` names.
static OF_CONNECTION: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out of a request whatever concerns only its connection. An upgrade is not heeded, as nobody has to. What is left
/// of `te` is whether the client takes trailers.
pub(crate) fn strip_request(fields: &mut HeaderMap) {
    if !fields.keys().any(is_of_connection) {
        return;
    }
    let takes_trailers = fields.get_all(TE).iter().any(|value| names(value).any(|name| name == "trailers"));
    strip(fields);
    if takes_trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether the body's length can only be understood in one way. Without a chunked coding there is nothing to understand;
/// of codings, only `chunked` is known, and twice it is no coding (RFC 9112, sections 6.1 and 7).
///
/// # Errors
/// What a client is told.
pub(crate) fn check_coding(fields: &HeaderMap) -> Result<(), StatusCode> {
    let codings: Vec<String> = fields.get_all(TRANSFER_ENCODING).iter().flat_map(names).collect();
    match &codings[..] {
        [] => Ok(()),
        [only] if only == "chunked" => Ok(()),
        several if several.iter().all(|coding| coding == "chunked") => Err(StatusCode::BAD_REQUEST),
        _ => Err(StatusCode::NOT_IMPLEMENTED),
    }
}

/// Takes out of an answer, or of the trailers of one, whatever concerns only its connection.
pub(crate) fn strip_answer(fields: &mut HeaderMap) {
    strip(fields);
}

/// Takes out of trailers also what would frame the body.
pub(crate) fn strip_trailers(fields: &mut HeaderMap) {
    strip(fields);
    fields.remove(CONTENT_LENGTH);
}

/// To look at a few names costs less than to look for each of ours.
fn is_of_connection(name: &HeaderName) -> bool {
    *name == TE || OF_CONNECTION.contains(name)
}

fn strip(fields: &mut HeaderMap) {
    if !fields.keys().any(is_of_connection) {
        return;
    }
    if fields.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = fields.get_all(CONNECTION).iter().flat_map(named_fields).collect();
        for name in named {
            fields.remove(name);
        }
    }
    for name in &OF_CONNECTION {
        fields.remove(name);
    }
    fields.remove(TE);
}

/// The fields that a value of `connection` names. None of them frames the message or is what a message is routed by.
fn named_fields(value: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    names(value).filter_map(|name| HeaderName::try_from(name).ok()).filter(|name| *name != CONTENT_LENGTH)
}

/// The members of a list, in small letters and without parameters.
fn names(value: &HeaderValue) -> impl Iterator<Item = String> {
    let members = value.to_str().unwrap_or_default().split(',');
    members.map(|member| member.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_concerns_the_connection_is_not_passed_on() {
        let mut request = fields(&[
            ("connection", "close, X-Hop"),
            ("connection", "upgrade , te, content-length"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip;q=0.5, Trailers"),
            ("content-length", "3"),
            ("x-end", "2"),
        ]);
        strip_request(&mut request);
        assert_eq!(request, fields(&[("te", "trailers"), ("content-length", "3"), ("x-end", "2")]));
    }

    #[test]
    fn te_is_for_trailers_alone_and_for_requests_alone() {
        let mut request = fields(&[("te", "gzip")]);
        strip_request(&mut request);
        assert_eq!(request, HeaderMap::new());
        let mut answer = fields(&[("te", "trailers"), ("upgrade", "websocket"), ("content-length", "1")]);
        strip_answer(&mut answer);
        assert_eq!(answer, fields(&[("content-length", "1")]));
        strip_trailers(&mut answer);
        assert_eq!(answer, HeaderMap::new());
    }
}
