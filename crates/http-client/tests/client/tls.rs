//! Whose certificate is believed, and which version of HTTP is spoken.

use std::io::{Read, Write};
use std::sync::Arc;

use http::Version;
use http_body_util::BodyExt;
use http_client::{ConnectError, RequestError, TlsError, Trust, TrustError};

use crate::certificates::{Authority, Ends};
use crate::world::{World, fetch, get, ok, tokio_stream};

const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// A server with a certificate of `authority`.
fn world(authority: &Authority, name: &str, ends: Ends) -> Arc<World> {
    World::tls(authority.server(name, ends, &BOTH), |_| async { ok("hello") })
}

fn is_certificate_error(result: &Result<impl Sized, RequestError>) -> bool {
    matches!(result, Err(RequestError::Tls(TlsError::Certificate { .. })))
}

#[tokio::test]
async fn a_certificate_of_an_added_authority_is_believed() {
    let authority = Authority::new();
    let world = world(&authority, "api.example.com", Ends::Later);
    let client = world.trusting(authority.trusted());
    assert_eq!(fetch(&client, "https://api.example.com/").await.unwrap(), "hello");
    assert_eq!(world.asked(), ["api.example.com 443"]);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not() {
    let world = world(&Authority::new(), "api.example.com", Ends::Later);
    let client = world.trusting(Authority::new().trusted());
    assert!(is_certificate_error(&fetch(&client, "https://api.example.com/").await));
}

#[tokio::test]
async fn neither_is_one_that_has_expired() {
    let authority = Authority::new();
    let world = world(&authority, "api.example.com", Ends::LongAgo);
    assert!(is_certificate_error(&fetch(&world.trusting(authority.trusted()), "https://api.example.com/").await));
}

#[tokio::test]
async fn nor_one_for_another_name() {
    let authority = Authority::new();
    let world = world(&authority, "api.example.com", Ends::Later);
    let client = world.trusting(authority.trusted());
    for uri in ["https://www.example.com/", "https://127.0.0.1/", "https://com/"] {
        assert!(is_certificate_error(&fetch(&client, uri).await), "{uri}");
    }
}

#[tokio::test]
async fn an_address_is_believed_by_its_address() {
    let authority = Authority::new();
    for (name, uri, asked) in
        [("127.0.0.1", "https://127.0.0.1:8443/", "127.0.0.1 8443"), ("::1", "https://[::1]/", "::1 443")]
    {
        let world = world(&authority, name, Ends::Later);
        let client = world.trusting(authority.trusted());
        assert_eq!(fetch(&client, uri).await.unwrap(), "hello");
        assert!(is_certificate_error(&fetch(&client, "https://127.0.0.2/").await));
        assert_eq!(world.asked(), [asked, "127.0.0.2 443"]);
    }
}

#[tokio::test]
async fn a_final_dot_is_no_part_of_the_name() {
    let authority = Authority::new();
    let world = world(&authority, "api.example.com", Ends::Later);
    assert_eq!(fetch(&world.trusting(authority.trusted()), "https://api.example.com./").await.unwrap(), "hello");
    assert_eq!(world.asked(), ["api.example.com. 443"]);
}

#[tokio::test]
async fn what_the_server_offers_best_is_spoken() {
    let authority = Authority::new();
    for (offers, version) in [
        (&["h2", "http/1.1"][..], Version::HTTP_2),
        (&["http/1.1", "h2"], Version::HTTP_11),
        (&["h2"], Version::HTTP_2),
        (&["http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ] {
        let world = World::tls(authority.server("a.example", Ends::Later, offers), |request| async move {
            let field = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
            let fields = ["host", "connection", "te"].map(field);
            ok(format!("{:?} {:?} {fields:?}", request.version(), request.uri().authority()))
        });
        let response = get(&world.trusting(authority.trusted()), "https://a.example:444/").await.unwrap();
        assert_eq!(response.version(), version, "{offers:?}");
        let seen = response.into_body().collect().await.unwrap().to_bytes();
        let expected = match version {
            Version::HTTP_2 => "HTTP/2.0 Some(a.example:444) [None, None, None]",
            _ => "HTTP/1.1 None [Some(\"a.example:444\"), Some(\"te\"), Some(\"trailers\")]",
        };
        assert_eq!(seen, expected, "{offers:?}");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_told() {
    let world = World::new(|_, mut far, _| {
        std::thread::spawn(move || {
            far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // The client closes.
            let _ = far.read_to_end(&mut Vec::new());
        });
    });
    let failed = fetch(&world.trusting(Authority::new().trusted()), "https://a.example/").await;
    assert!(matches!(failed, Err(RequestError::Tls(TlsError::Protocol { .. }))), "{failed:?}");
}

#[tokio::test]
async fn a_server_that_hangs_up_in_the_handshake_is_lost() {
    let world = World::new(|_, far, _| drop(far));
    let failed = fetch(&world.trusting(Authority::new().trusted()), "https://a.example/").await;
    assert!(matches!(failed, Err(RequestError::ConnectionLost)), "{failed:?}");
}

#[tokio::test]
async fn an_alert_is_told_with_its_number() {
    let authority = Authority::new();
    let config = authority.demanding_server("a.example");
    let world = World::new(move |world, far, _| {
        let config = Arc::clone(&config);
        world.start(async move {
            // Stays open, or the request would find the connection broken before the alert is read.
            let _open = far.try_clone().unwrap();
            let accepted = tokio_rustls::TlsAcceptor::from(config).accept(tokio_stream(far)).await;
            assert!(accepted.is_err());
            std::future::pending().await
        });
    });
    let failed = fetch(&world.trusting(authority.trusted()), "https://a.example/").await;
    let Err(RequestError::Tls(TlsError::Alert { id, message })) = failed else { panic!("{failed:?}") };
    assert_eq!((id, &*message), (116, "CertificateRequired"));
}

#[tokio::test]
async fn without_roots_only_https_fails() {
    let world = World::http1(|_| async { ok("hello") });
    let client = world.client();
    assert_eq!(fetch(&client, "http://a.example/").await.unwrap(), "hello");
    let failed = fetch(&client, "https://a.example/").await;
    assert!(matches!(failed, Err(RequestError::Tls(TlsError::NoRoots))), "{failed:?}");
}

#[tokio::test]
async fn a_host_that_no_certificate_can_name_is_asked_of_nobody() {
    let world = World::http1(|_| async { ok("hello") });
    let failed = fetch(&world.trusting(Authority::new().trusted()), "https://a..b/").await;
    assert!(matches!(failed, Err(RequestError::Connect(ConnectError::NotAHost))), "{failed:?}");
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn what_cannot_be_added_is_told() {
    let mut trust = Trust::nothing();
    let good = Authority::new().pem();
    let add = |trust: &mut Trust, text: &str| trust.add_pem(text.as_bytes());
    assert_eq!(add(&mut trust, ""), Err(TrustError::NoCertificate));
    assert_eq!(add(&mut trust, "no PEM at all\n"), Err(TrustError::NoCertificate));
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(add(&mut trust, &key), Err(TrustError::NoCertificate));
    let broken = "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
    let failed = add(&mut trust, &format!("{good}{broken}"));
    assert!(matches!(failed, Err(TrustError::Malformed { number: 2, .. })), "{failed:?}");
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let failed = add(&mut trust, other);
    assert!(matches!(failed, Err(TrustError::Unfit { number: 1, .. })), "{failed:?}");
    assert_eq!(add(&mut trust, &good), Ok(()));
    assert_eq!(format!("{trust:?}"), "Trust { platform: false, added: 1 }");
}
