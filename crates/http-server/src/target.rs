//! To whom a request is addressed, and whether it says so in one voice.
//!
//! A request that could be understood in two ways is refused: whoever stands before this server may have understood the
//! other one.

use crate::handler::Scheme;
use http::header::{HOST, HeaderMap};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderValue, Method, StatusCode, Version};
use std::net::SocketAddr;

/// Makes the URI of `request` absolute and its one `host` field the authority of that.
///
/// The scheme is that of the connection. An absolute target goes before `host`, as HTTP wants it. A client of HTTP/1.0 that
/// names no host means `server`.
///
/// # Errors
/// The status to refuse it with: 501 for `CONNECT`, 400 for what contradicts itself or names nobody.
pub(crate) fn settle(request: &mut Parts, scheme: Scheme, server: SocketAddr) -> Result<(), StatusCode> {
    if request.method == Method::CONNECT {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    let authority = authority(request, scheme, server)?;
    if request.headers.get(HOST).is_none_or(|host| host != authority.as_str()) {
        request.headers.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(bad)?);
    }
    let path = path(&request.method, &request.uri)?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Http => http::uri::Scheme::HTTP,
        Scheme::Https => http::uri::Scheme::HTTPS,
    });
    parts.authority = Some(authority);
    parts.path_and_query = Some(path);
    request.uri = Uri::from_parts(parts).map_err(bad)?;
    Ok(())
}

fn bad<E>(_: E) -> StatusCode {
    StatusCode::BAD_REQUEST
}

fn authority(request: &Parts, scheme: Scheme, server: SocketAddr) -> Result<Authority, StatusCode> {
    let host = host(&request.headers)?;
    let named = match (request.uri.scheme_str(), request.uri.authority()) {
        (Some("http" | "https"), Some(authority)) => Some(checked(authority.clone())?),
        (None, None) => None,
        // A scheme that this server does not speak, or a target that only `CONNECT` may have.
        _ => return Err(StatusCode::BAD_REQUEST),
    };
    match (request.version, named, host) {
        (Version::HTTP_11, _, None) => Err(StatusCode::BAD_REQUEST),
        (Version::HTTP_2, Some(named), Some(host)) if !is_same(&named, &host, scheme) => Err(StatusCode::BAD_REQUEST),
        (_, Some(named), _) => Ok(named),
        (_, None, Some(host)) => Ok(host),
        (Version::HTTP_10, None, None) => server.to_string().parse().map_err(bad),
        (_, None, None) => Err(StatusCode::BAD_REQUEST),
    }
}

/// What the one `host` field names, if there is one.
fn host(headers: &HeaderMap) -> Result<Option<Authority>, StatusCode> {
    let mut values = headers.get_all(HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    checked(Authority::try_from(value.as_bytes()).map_err(bad)?).map(Some)
}

/// A host and perhaps a port, and nothing else.
fn checked(authority: Authority) -> Result<Authority, StatusCode> {
    let after_host = authority.as_str().strip_prefix(authority.host());
    let is_port = |text: &str| text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_good = match after_host.map(|rest| rest.split_at_checked(1)) {
        _ if authority.host().is_empty() => false,
        // Not even the host is first: there is a name of a user.
        None => false,
        Some(None) => true,
        Some(Some((colon, port))) => colon == ":" && (port.is_empty() || is_port(port)),
    };
    if is_good { Ok(authority) } else { Err(StatusCode::BAD_REQUEST) }
}

fn is_same(one: &Authority, other: &Authority, scheme: Scheme) -> bool {
    let usual = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

/// The path and the query; a star is for `OPTIONS` alone.
fn path(method: &Method, uri: &Uri) -> Result<PathAndQuery, StatusCode> {
    match uri.path() {
        "*" if *method != Method::OPTIONS => Err(StatusCode::BAD_REQUEST),
        "*" => Ok(PathAndQuery::from_static("*")),
        path if path.starts_with('/') => uri.path_and_query().cloned().ok_or(StatusCode::BAD_REQUEST),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const SERVER: &str = "192.0.2.1:8080";

    fn settled(version: Version, method: Method, target: &str, hosts: &[&str]) -> Result<String, u16> {
        let uri = Uri::try_from(target).expect("a target");
        let mut builder = Request::builder().version(version).method(method).uri(uri);
        for host in hosts {
            builder = builder.header(HOST, *host);
        }
        let (mut parts, ()) = builder.body(()).expect("a request").into_parts();
        let server = SERVER.parse().expect("an address");
        settle(&mut parts, Scheme::Http, server).map_err(|status| status.as_u16())?;
        let hosts: Vec<_> = parts.headers.get_all(HOST).iter().collect();
        assert_eq!(hosts, [parts.uri.authority().expect("an authority").as_str()]);
        assert_eq!(parts.uri.scheme_str(), Some("http"));
        Ok(format!("{} {}", hosts[0].to_str().expect("ASCII"), parts.uri.path_and_query().expect("a path")))
    }

    #[test]
    fn the_target_and_the_host_name_one_authority() {
        for (version, target, hosts, expected) in [
            (Version::HTTP_11, "/a?b", ["example.com"].as_slice(), Ok("example.com /a?b")),
            (Version::HTTP_11, "/", &["example.com:81"], Ok("example.com:81 /")),
            (Version::HTTP_11, "/", &["example.com:"], Ok("example.com: /")),
            (Version::HTTP_11, "/", &["[2001:db8::1]:81"], Ok("[2001:db8::1]:81 /")),
            (Version::HTTP_11, "/", &[], Err(400)),
            (Version::HTTP_11, "/", &["a", "a"], Err(400)),
            (Version::HTTP_11, "/", &[""], Err(400)),
            (Version::HTTP_11, "/", &["a b"], Err(400)),
            (Version::HTTP_11, "/", &["a,b"], Ok("a,b /")),
            (Version::HTTP_11, "/", &["a/b"], Err(400)),
            (Version::HTTP_11, "/", &["user@a"], Err(400)),
            (Version::HTTP_11, "/", &["a:65536"], Err(400)),
            (Version::HTTP_11, "/", &["a:+1"], Err(400)),
            (Version::HTTP_11, "/", &[":80"], Err(400)),
            (Version::HTTP_11, "http://b:1/x", &["a"], Ok("b:1 /x")),
            (Version::HTTP_11, "https://b/x", &["a"], Ok("b /x")),
            (Version::HTTP_11, "http://b", &["a"], Ok("b /")),
            (Version::HTTP_11, "http://b/x", &[], Err(400)),
            (Version::HTTP_11, "http://user@b/x", &["b"], Err(400)),
            (Version::HTTP_11, "ftp://b/x", &["b"], Err(400)),
            (Version::HTTP_11, "b:80", &["b"], Err(400)),
            (Version::HTTP_11, "*", &["a"], Err(400)),
            (Version::HTTP_10, "/", &[], Ok("192.0.2.1:8080 /")),
            (Version::HTTP_10, "/", &["a"], Ok("a /")),
            (Version::HTTP_10, "/", &["a", "b"], Err(400)),
            (Version::HTTP_2, "https://a/x", &[], Ok("a /x")),
            (Version::HTTP_2, "http://a/x", &["A:80"], Ok("a /x")),
            (Version::HTTP_2, "http://a/x", &["b"], Err(400)),
            (Version::HTTP_2, "/x", &["b"], Ok("b /x")),
            (Version::HTTP_2, "/x", &[], Err(400)),
        ] {
            let settled = settled(version, Method::GET, target, hosts);
            assert_eq!(settled.as_deref().map_err(|status| *status), expected, "{version:?} {target} {hosts:?}");
        }
    }

    #[test]
    fn a_star_is_for_options_and_connect_is_not_done() {
        assert_eq!(settled(Version::HTTP_11, Method::OPTIONS, "*", &["a"]), Ok("a *".to_owned()));
        assert_eq!(settled(Version::HTTP_11, Method::CONNECT, "a:80", &["a:80"]), Err(501));
    }
}
