//! TLS: which version of HTTP is agreed on, what a handshake may cost, and which files can be served with.

use super::support::{Client, Door, Tell, alone, data, ok, on_paused_clock, pieces, whole};
use crate::{Limits, Outcome, RequestBody, RequestInfo, TlsConfigError, tls_config};
use bytes::Bytes;
use http::{Request, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::error::Error;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

// Made for these tests by `openssl req -x509` and `openssl ecparam -genkey`; nobody else trusts them.
const RSA_CERT: &str = include_str!("pem/rsa-cert.pem");
const RSA_KEY_PKCS1: &str = include_str!("pem/rsa-key.pem");
const EC_CERT: &str = include_str!("pem/ec-cert.pem");
const EC_KEY_SEC1: &str = include_str!("pem/ec-key.pem");

struct Identity {
    server: Arc<ServerConfig>,
    roots: RootCertStore,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).expect("it is PEM")).expect("it is a certificate");
    Identity { server: tls_config(cert.as_bytes(), key.as_bytes()).expect("they fit"), roots }
}

async fn shake_hands(client: Client, roots: &RootCertStore, protocols: &[&str]) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("the versions are known").with_root_certificates(roots.clone());
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, client.stream).await
}

async fn describe(request: Request<RequestBody>, info: RequestInfo) -> super::support::Answered {
    ok(whole(format!("{:?} {} {}", request.version(), info.scheme.as_str(), request.uri())))
}

#[test]
fn the_version_is_as_agreed_in_the_handshake() {
    on_paused_clock(async {
        let identity = identity();
        let mut door = Door::with(Limits::default(), Some(identity.server), describe);
        for (protocols, agreed) in
            [([].as_slice(), None), (&["http/1.1"], Some("http/1.1")), (&["http/1.1", "h2"], Some("h2"))]
        {
            let stream = shake_hands(door.connect(), &identity.roots, protocols).await;
            let mut stream = stream.expect("the certificate is trusted");
            let chosen = stream.get_ref().1.alpn_protocol();
            assert_eq!(chosen, agreed.map(str::as_bytes));
            if agreed == Some("h2") {
                let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2 is spoken");
                let mut task = JoinSet::new();
                task.spawn(connection);
                let mut requests: h2::client::SendRequest<Bytes> = requests.ready().await.expect("it goes on");
                let request = Request::builder().version(Version::HTTP_2).uri("https://localhost/a").body(());
                let (response, _) = requests.send_request(request.expect("a request"), true).expect("it is sent");
                let mut body = response.await.expect("it is answered").into_body();
                let text = body.data().await.expect("there is a body").expect("it is whole");
                assert_eq!(text, "HTTP/2.0 https https://localhost/a");
            } else {
                stream
                    .write_all(b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    .await
                    .expect("sent");
                let mut answer = String::new();
                // An end without a notice would be an error.
                stream.read_to_string(&mut answer).await.expect("it ends well");
                assert!(answer.ends_with("\r\n\r\nHTTP/1.1 https https://localhost/a"), "{answer}");
            }
        }
    });
}

#[test]
fn what_nobody_agrees_on_is_refused_in_the_handshake() {
    on_paused_clock(async {
        let identity = identity();
        let mut door = Door::with(Limits::default(), Some(identity.server), describe);
        assert!(shake_hands(door.connect(), &identity.roots, &["h3"]).await.is_err());
        assert!(shake_hands(door.connect(), &RootCertStore::empty(), &[]).await.is_err());
        let mut plain = door.connect();
        plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let alert = plain.rest().await.expect("it ends well");
        assert_eq!(alert.first(), Some(&21), "an alert of TLS, and nothing in clear text");
        assert_eq!(door.ended().await, []);
    });
}

#[test]
fn a_handshake_has_its_time() {
    on_paused_clock(async {
        let limits = Limits { handshake_time: Duration::from_secs(4), ..Limits::default() };
        let identity = identity();
        let mut door = Door::with(limits, Some(identity.server), describe);
        let mut client = door.connect();
        let start = Instant::now();
        client.send(b"\x16\x03\x01").await;
        client.rest().await.ok();
        door.ended().await;
        assert!((4..6).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        // And so has a client that shook hands and is silent.
        let stream = shake_hands(door.connect(), &identity.roots, &[]).await.expect("the certificate is trusted");
        let start = Instant::now();
        door.ended().await;
        assert!((10..12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        drop(stream);
    });
}

#[test]
fn a_body_that_fails_ends_without_a_notice() {
    on_paused_clock(async {
        let identity = identity();
        let mut door = Door::with(Limits::default(), Some(identity.server), async |_, _| {
            ok(pieces([data("abc"), Err("a secret".into())]))
        });
        let stream = shake_hands(door.connect(), &identity.roots, &[]).await;
        let mut stream = stream.expect("the certificate is trusted");
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("sent");
        let mut answer = String::new();
        let error = stream.read_to_string(&mut answer).await.expect_err("it does not end well");
        assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof), "{error:?}");
        assert_eq!(door.ended().await[0].outcome, Outcome::Failed);
    });
}

#[test]
fn a_client_that_ends_the_connection_is_gone() {
    alone(async {
        let (started, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let identity = identity();
        let mut door = {
            let (started, dropped) = (Arc::clone(&started), Arc::clone(&dropped));
            Door::with(Limits::default(), Some(identity.server), move |_, _| {
                let (started, tell) = (Arc::clone(&started), Tell(Arc::clone(&dropped)));
                async move {
                    started.notify_one();
                    let _tell = tell;
                    pending().await
                }
            })
        };
        let stream = shake_hands(door.connect(), &identity.roots, &[]).await;
        let mut stream = stream.expect("the certificate is trusted");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        started.notified().await;
        stream.shutdown().await.expect("it is connected");
        dropped.notified().await;
        assert!(door.ended().await[0].is_broken_off());
    });
}

#[test]
fn a_large_body_comes_whole() {
    alone(async {
        let identity = identity();
        let mut door = Door::with(Limits::default(), Some(identity.server), async |_, _| {
            ok(pieces((0..100).map(|_| data(vec![b'x'; 100_000]))))
        });
        let stream = shake_hands(door.connect(), &identity.roots, &[]).await;
        let mut stream = stream.expect("the certificate is trusted");
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it ends well");
        assert_eq!(answer.iter().filter(|byte| **byte == b'x').count() - 1, 10_000_000, "but for x-request-id");
        assert_eq!(door.ended().await[0].sent_bytes, 10_000_000);
    });
}

#[test]
fn keys_of_all_three_forms_can_be_served_with() {
    tls_config(RSA_CERT.as_bytes(), RSA_KEY_PKCS1.as_bytes()).expect("PKCS#1");
    tls_config(EC_CERT.as_bytes(), EC_KEY_SEC1.as_bytes()).expect("SEC1");
    // That of the other tests is PKCS#8. What else is in a file does not matter, nor do more certificates.
    let both = format!("some text\n{EC_KEY_SEC1}{EC_CERT}{RSA_CERT}");
    tls_config(both.as_bytes(), both.as_bytes()).expect("one file with all");
    assert_eq!(identity().server.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFLTBX\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let marked = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
    let encrypted_before = RSA_KEY_PKCS1.replace("-----BEGIN RSA PRIVATE KEY-----\n", marked);
    let garbled = "-----BEGIN CERTIFICATE-----\n####\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    let garbled_key = "-----BEGIN PRIVATE KEY-----\n####\n-----END PRIVATE KEY-----\n";
    for (cert, key, expected) in [
        ("", RSA_KEY_PKCS1, "the certificate file has no BEGIN CERTIFICATE"),
        (RSA_KEY_PKCS1, RSA_KEY_PKCS1, "the certificate file has no BEGIN CERTIFICATE"),
        (garbled, RSA_KEY_PKCS1, "the certificate file cannot be read as PEM"),
        (no_certificate, RSA_KEY_PKCS1, "the certificate file has a certificate that cannot be used"),
        (RSA_CERT, "", "the key file has no BEGIN PRIVATE KEY"),
        (RSA_CERT, RSA_CERT, "the key file has no BEGIN PRIVATE KEY"),
        (RSA_CERT, garbled_key, "the key file cannot be read as PEM"),
        (RSA_CERT, no_key, "the key file has a key that cannot be used"),
        (RSA_CERT, encrypted, "the key file is protected by a password"),
        (RSA_CERT, encrypted_before.as_str(), "the key file is protected by a password"),
        (RSA_CERT, EC_KEY_SEC1, "the key file does not belong to the first certificate"),
    ] {
        let error: TlsConfigError = tls_config(cert.as_bytes(), key.as_bytes()).expect_err("it cannot be used");
        assert!(error.to_string().starts_with(expected), "{error} ({:?})", error.source());
    }
}
