//! Where a request goes: decides which URIs are fit, and writes each in one way, so that a pool of connections finds its
//! own.

use http::header::{CONNECTION, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Uri, Version, request};

use crate::error::RequestError;

/// Checks a request's head, and brings its URI in the one form.
pub(crate) fn prepare(head: &mut request::Parts) -> Result<(), RequestError> {
    if head.method == Method::CONNECT {
        return Err(RequestError::UnfitMethod);
    }
    let fit = fit(&head.uri).ok_or(RequestError::UnfitUri)?;
    head.uri = fit;
    // It is the connection that decides between the versions.
    head.version = Version::HTTP_11;
    // Trailers are passed on, so servers may send them; `te` concerns the connection alone (RFC 9110, section 10.1.4).
    if !head.headers.contains_key(TE) {
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
        head.headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    Ok(())
}

/// The URI with its host in lower case and no default port.
fn fit(uri: &Uri) -> Option<Uri> {
    let scheme = uri.scheme()?;
    let default = default_port(scheme)?;
    let authority = uri.authority()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    let port = port(authority, default)?;
    let host = authority.host().to_ascii_lowercase();
    let authority = if port == default { host } else { format!("{host}:{port}") };
    let root = PathAndQuery::from_static("/");
    let path = uri.path_and_query().cloned().unwrap_or(root);
    Uri::builder().scheme(scheme.clone()).authority(authority).path_and_query(path).build().ok()
}

/// Host without brackets and port of a URI in the one form.
pub(crate) fn host_and_port(uri: &Uri) -> Option<(&str, u16)> {
    let host = uri.host()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port(uri.authority()?, default_port(uri.scheme()?)?)?))
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn port(authority: &Authority, default: u16) -> Option<u16> {
    match authority.as_str().strip_prefix(authority.host())? {
        "" | ":" => Some(default),
        text => text.strip_prefix(':')?.parse().ok().filter(|port| *port != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(uri: &str) -> Option<Uri> {
        let (mut head, ()) = http::Request::get(uri).body(()).ok()?.into_parts();
        prepare(&mut head).ok().map(|()| head.uri)
    }

    #[test]
    fn one_authority_is_written_in_one_way() {
        let check = |text: &str, expected: &str, host: &str, port: u16| {
            let uri = prepared(text).expect(text);
            assert_eq!(uri.to_string(), expected);
            assert_eq!(host_and_port(&uri), Some((host, port)), "{text}");
        };
        check("http://Example.COM", "http://example.com/", "example.com", 80);
        check("http://example.com:80/a?b", "http://example.com/a?b", "example.com", 80);
        check("https://example.com:80/", "https://example.com:80/", "example.com", 80);
        check("HTTPS://example.com:443/", "https://example.com/", "example.com", 443);
        check("http://example.com:/", "http://example.com/", "example.com", 80);
        check("http://[::1]:8080/", "http://[::1]:8080/", "::1", 8080);
        check("https://[2001:DB8::1]/", "https://[2001:db8::1]/", "2001:db8::1", 443);
        check("http://db?q", "http://db/?q", "db", 80);
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for text in [
            "/",
            "example.com",
            "ftp://example.com/",
            "http://a:b@example.com/",
            "http://a@b/",
            "http://b:0/",
            "http://b:65536/",
        ] {
            assert_eq!(prepared(text), None, "{text}");
        }
    }

    #[test]
    fn a_tunnel_is_refused() {
        let (mut head, ()) = http::Request::connect("http://example.com/").body(()).unwrap().into_parts();
        assert!(matches!(prepare(&mut head), Err(RequestError::UnfitMethod)));
    }
}
