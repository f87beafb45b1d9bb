//! Which questions a request asks, what is told of the answers, and what a guest learns, against a fake switchboard.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use capability::{LimitKind, Refusal, UnreachableCause};
use http_body_util::{BodyExt, Empty, Full};
use http_client::Trust;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{Hooks, OutgoingHttp};
use crate::limits::HostLimits;
use crate::sockets::tests::{Answer, Denials, Switchboard, connected, refused, unreachable};

/// A guest's requests, with a fake switchboard at the other end.
struct World {
    hooks: Hooks,
    denials: Arc<Denials>,
    switchboard: Switchboard,
}

impl World {
    fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> World {
        let switchboard = Switchboard::new(answer);
        let denials = Arc::new(Denials::default());
        let handle = Some(switchboard.handle.clone());
        let outgoing = OutgoingHttp::new(handle, Some("shop".to_owned()), Arc::clone(&denials) as _, Trust::nothing());
        let hooks = Hooks::new(Some(Arc::new(outgoing)), Arc::clone(&denials) as _, &HostLimits::default());
        World { hooks, denials, switchboard }
    }

    /// The body of the answer, or the code.
    async fn get(&mut self, uri: &str) -> Result<Bytes, String> {
        let request = http::Request::get(uri).body(bodiless()).unwrap();
        let response = send(&mut self.hooks, request).await.map_err(|error| format!("{error:?}"))?;
        Ok(response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes())
    }
}

fn bodiless() -> WasiBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

async fn send(hooks: &mut Hooks, request: http::Request<WasiBody>) -> Result<http::Response<WasiBody>, Error> {
    let sending = hooks.send_request(request, None, Box::new(async { Ok(()) }));
    Box::into_pin(sending).await.map(|(response, _)| response)
}

/// A connection to a server that says hello to everybody.
fn hello() -> Answer {
    let (near, mut far) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        while far.read(&mut [0; 4096]).unwrap_or(0) > 0 {
            far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
        }
    });
    connected(near, &[])
}

fn no_grant() -> Answer {
    refused(Refusal::Grant)
}

#[tokio::test]
async fn a_name_is_asked_for_as_such() {
    let mut world = World::new(|_| hello());
    for uri in ["http://API.example.com/", "http://db:8080/", "http://10.0.0.1:8080/", "http://[2001:db8::1]/"] {
        assert_eq!(world.get(uri).await.unwrap(), "hello");
        assert_eq!(world.get(uri).await.unwrap(), "hello", "over the same connection");
    }
    assert_eq!(
        world.switchboard.asked(),
        [
            "connect network=outside server_hostname=api.example.com server_port=80 transport=tcp",
            "connect network=shop server_hostname=db server_port=8080 transport=tcp",
            "connect network=outside server_address=10.0.0.1 server_port=8080 transport=tcp",
            "connect network=outside server_address=2001:db8::1 server_port=80 transport=tcp",
        ]
    );
    assert_eq!(world.denials.told(), [""; 0]);
}

const V4: &str = "connect network=outside server_address=127.0.0.1 server_port=80 transport=tcp";
const V6: &str = "connect network=outside server_address=::1 server_port=80 transport=tcp";
const LOCALHOST: &str = "connect network=outside server_hostname=localhost server_port=80 transport=tcp";

#[tokio::test]
async fn localhost_is_loopback_in_every_way_that_is_granted() {
    let check = async |granted: &'static [&str], asked: &[&str], result: Result<&'static str, &str>| {
        let mut world = World::new(|request| if granted.contains(&request) { hello() } else { no_grant() });
        assert_eq!(world.get("http://localhost/").await, result.map(Bytes::from).map_err(str::to_owned));
        assert_eq!(world.switchboard.asked(), asked);
        world.denials.told()
    };
    assert_eq!(check(&[V4, V6, LOCALHOST], &[V4], Ok("hello")).await, [""; 0]);
    assert_eq!(check(&[V6], &[V4, V6], Ok("hello")).await, [""; 0]);
    assert_eq!(check(&[LOCALHOST], &[V4, V6, LOCALHOST], Ok("hello")).await, [""; 0]);
    let told = check(&[], &[V4, V6, LOCALHOST], Err("HttpRequestDenied")).await;
    assert_eq!(told, ["connect to localhost:80 denied: no grant covers it"]);
}

#[tokio::test]
async fn where_nobody_listens_on_one_loopback_the_other_is_tried() {
    let mut world = World::new(|request| match request {
        V4 => unreachable(UnreachableCause::ConnectionRefused),
        _ => hello(),
    });
    assert_eq!(world.get("http://localhost/").await.unwrap(), "hello");
    let mut world = World::new(|request| match request {
        V4 => unreachable(UnreachableCause::ConnectionRefused),
        _ => no_grant(),
    });
    assert_eq!(world.get("http://localhost/").await.unwrap_err(), "ConnectionRefused", "that is what was granted");
    assert_eq!(world.denials.told(), [""; 0]);
}

#[tokio::test]
async fn a_refusal_is_told_as_a_grant_would_name_it() {
    let mut world = World::new(|_| no_grant());
    for uri in ["https://api.example.com/", "http://db/", "http://10.0.0.1:8080/", "http://[::2]:8080/"] {
        assert_eq!(world.get(uri).await.unwrap_err(), "HttpRequestDenied");
    }
    assert_eq!(
        world.denials.told(),
        [
            "connect to api.example.com:443 denied: no grant covers it",
            "connect to db:80 denied: no grant covers it",
            "connect to 10.0.0.1:8080 denied: no grant covers it",
            "connect to [::2]:8080 denied: no grant covers it",
        ]
    );
}

#[tokio::test]
async fn a_server_that_this_host_does_not_believe_is_told() {
    let mut world = World::new(|_| hello());
    assert_eq!(world.get("https://api.example.com/").await.unwrap_err(), "ConfigurationError");
    let told = "connect to api.example.com:443 denied: this machine trusts no certificates, and none was added";
    assert_eq!(world.denials.told(), [told]);
}

#[tokio::test]
async fn what_went_wrong_is_the_guests_code() {
    let check = async |refusal: Refusal, expected: &str, told: bool| {
        let mut world = World::new(move |_| refused(refusal.clone()));
        assert_eq!(world.get("http://api.example.com/").await.unwrap_err(), expected);
        assert_eq!(world.denials.told().len(), usize::from(told), "{expected}");
    };
    let cause = |cause| Refusal::Unreachable { cause };
    check(Refusal::Grant, "HttpRequestDenied", true).await;
    check(Refusal::PrivateName { address: "10.0.0.1".parse().unwrap() }, "HttpRequestDenied", true).await;
    check(Refusal::Limit { limit: LimitKind::Dials }, "ConnectionLimitReached", true).await;
    check(Refusal::NotFound, "DestinationNotFound", true).await;
    check(cause(UnreachableCause::ConnectionRefused), "ConnectionRefused", false).await;
    check(cause(UnreachableCause::TimedOut), "ConnectionTimeout", false).await;
    check(cause(UnreachableCause::HostUnreachable), "DestinationIpUnroutable", false).await;
    let dns = |rcode: &str| format!("DnsError {{ rcode: Some({rcode:?}), info_code: None }}");
    check(cause(UnreachableCause::NameNotFound), &dns("NXDOMAIN"), false).await;
    check(cause(UnreachableCause::NameTemporary), &dns("SERVFAIL"), false).await;
}

#[tokio::test]
async fn what_is_no_host_is_asked_of_nobody() {
    let mut world = World::new(|_| hello());
    for uri in
        ["http://127.1/", "http://a..b/", "http://[::ffff:127.0.0.1]/", "http://a:b@api.example.com/", "http://a:0/"]
    {
        assert_eq!(world.get(uri).await.unwrap_err(), "HttpRequestUriInvalid", "{uri}");
    }
    assert_eq!(world.switchboard.asked(), [""; 0]);
}

#[tokio::test]
async fn without_a_network_everything_is_denied_and_told() {
    let denials = Arc::new(Denials::default());
    let outgoing = OutgoingHttp::new(None, None, Arc::clone(&denials) as _, Trust::nothing());
    for way in [None, Some(Arc::new(outgoing))] {
        let mut hooks = Hooks::new(way, Arc::clone(&denials) as _, &HostLimits::default());
        for uri in ["http://localhost:8080/", "http://[::1]/"] {
            let failed = send(&mut hooks, http::Request::get(uri).body(bodiless()).unwrap()).await;
            assert!(matches!(failed, Err(Error::HttpRequestDenied)), "{failed:?}");
        }
    }
    let one = "connect to localhost:8080 denied: it has no access to the network";
    let other = "connect to [::1]:80 denied: it has no access to the network";
    assert_eq!(denials.told(), [one, other, one, other]);
}

#[tokio::test]
async fn a_guest_has_so_many_requests_under_way_and_no_more() {
    let mut world = World::new(|_| hello());
    let request = || http::Request::get("http://db/").body(bodiless()).unwrap();
    let mut send = || world.hooks.send_request(request(), None, Box::new(async { Ok(()) }));
    let mut under_way: Vec<_> = (0..HostLimits::default().requests).map(|_| send()).collect();
    let failed = Box::into_pin(send()).await.map(drop);
    assert!(matches!(failed, Err(Error::ConnectionLimitReached)), "{failed:?}");
    let (response, _) = Box::into_pin(under_way.remove(0)).await.unwrap();
    assert!(Box::into_pin(send()).await.is_err(), "a response that is held is one of them");
    drop(response);
    assert!(Box::into_pin(send()).await.is_ok());
}

#[tokio::test]
async fn a_time_limit_of_the_guest_is_kept() {
    // Nobody is at the other end, but it stays open.
    let (near, far) = UnixStream::pair().unwrap();
    let mut world = World::new(move |_| connected(near.try_clone().unwrap(), &[]));
    let options = RequestOptions { first_byte_timeout: Some(std::time::Duration::ZERO), ..RequestOptions::default() };
    let request = http::Request::get("http://db/").body(bodiless()).unwrap();
    let sending = world.hooks.send_request(request, Some(options), Box::new(async { Ok(()) }));
    let failed = Box::into_pin(sending).await.map(drop);
    assert!(matches!(failed, Err(Error::ConnectionReadTimeout)), "{failed:?}");
    drop(far);
}

#[tokio::test]
async fn a_guest_that_ends_in_the_middle_of_its_body_is_not_taken_for_one_that_is_done() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = std::sync::Mutex::new(Some(near));
    let mut world = World::new(move |_| connected(near.lock().unwrap().take().unwrap(), &[]));
    let (sender, pieces) = tokio::sync::mpsc::channel(1);
    let request = http::Request::post("http://db/").body(Pieces(pieces).boxed_unsync()).unwrap();
    let mut sending = Box::into_pin(world.hooks.send_request(request, None, Box::new(async { Ok(()) })));
    let server = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        while !seen.ends_with(b"half\r\n") {
            let mut buffer = [0; 4096];
            let count = far.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..count]);
        }
        // The head of a response, so that the request goes on when the guest has gone.
        far.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        (far, seen)
    });
    sender.send("half").await.unwrap();
    let (response, _) = sending.as_mut().await.unwrap();
    let (mut far, _) = server.await.unwrap();
    // As a store goes: with what it holds at once, the response too if nobody kept it.
    drop(world.hooks);
    drop(sender);
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).map(|_| rest)
    });
    let rest = rest.await.unwrap().unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the body was ended well: {rest:?}");
    drop(response);
}

/// A body as somebody writes it.
struct Pieces(tokio::sync::mpsc::Receiver<&'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(http_body::Frame::data(Bytes::from(piece)))))
    }
}

#[tokio::test]
async fn what_concerns_the_connection_is_the_clients() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = std::sync::Mutex::new(Some(near));
    let mut world = World::new(move |_| connected(near.lock().unwrap().take().unwrap(), &[]));
    let server = tokio::task::spawn_blocking(move || {
        let mut seen = [0; 4096];
        let count = far.read(&mut seen).unwrap();
        far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        String::from_utf8(seen[..count].to_vec()).unwrap()
    });
    let body = Full::new(Bytes::from("body")).map_err(|never| match never {}).boxed_unsync();
    let request = http::Request::put("http://DB:8080/path?query").body(body).unwrap();
    assert_eq!(send(&mut world.hooks, request).await.unwrap().status(), 204);
    let seen = server.await.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        (lines, body),
        (
            vec!["PUT /path?query HTTP/1.1", "connection: te", "content-length: 4", "host: db:8080", "te: trailers"],
            "body"
        )
    );
    assert!(!world.hooks.set_host_header());
}
