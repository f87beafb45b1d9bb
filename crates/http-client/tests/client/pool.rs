//! Which connection a request takes, and when it is sent again.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use http_client::{Client, RequestError, Timeouts};
use tokio::sync::{Barrier, mpsc};

use crate::certificates::{Authority, Ends};
use crate::world::{World, fetch, get, ok, read_head, serve_http1, tokio_stream};

#[tokio::test]
async fn requests_to_one_authority_share_a_connection() {
    let world = World::http1(|_| async { ok("hello") });
    let client = world.client();
    for uri in ["http://db/", "http://DB/again", "http://db:80/", "http://db:81/", "http://web/", "http://db/"] {
        assert_eq!(fetch(&client, uri).await.unwrap(), "hello");
    }
    assert_eq!(world.asked(), ["db 80", "db 81", "web 80"]);
}

#[tokio::test]
async fn two_clients_share_none() {
    let world = World::http1(|_| async { ok("hello") });
    let (one, other) = (world.client(), world.client());
    fetch(&one, "http://db/").await.unwrap();
    fetch(&one.clone(), "http://db/").await.unwrap();
    fetch(&other, "http://db/").await.unwrap();
    assert_eq!(world.asked(), ["db 80", "db 80"]);
}

#[tokio::test]
async fn many_streams_of_http2_are_one_connection() {
    let authority = Authority::new();
    let together = Arc::new(Barrier::new(8));
    let meeting = Arc::clone(&together);
    let world = World::tls(authority.server("a.example", Ends::Later, &["h2"]), move |request| {
        let meeting = Arc::clone(&meeting);
        async move {
            if request.uri().path() == "/meet" {
                meeting.wait().await;
            }
            ok("hello")
        }
    });
    let client = world.trusting(authority.trusted());
    fetch(&client, "https://a.example/").await.unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        requests.spawn(async move { fetch(&client, "https://a.example/meet").await.unwrap() });
    }
    assert_eq!(requests.join_all().await, ["hello"; 8]);
    assert_eq!(world.asked(), ["a.example 443"]);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_said() {
    let more = Client::MAX_IDLE + 5;
    let together = Arc::new(Barrier::new(more));
    let (closed, mut closings) = mpsc::unbounded_channel();
    let world = World::new(move |world, far, _| {
        let (together, closed) = (Arc::clone(&together), closed.clone());
        world.start(async move {
            serve_http1(tokio_stream(far), move |_| {
                let together = Arc::clone(&together);
                async move {
                    together.wait().await;
                    ok("hello")
                }
            })
            .await;
            closed.send(()).unwrap();
        });
    });
    let client = world.client();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..more {
        let client = client.clone();
        requests.spawn(async move { fetch(&client, "http://db/").await.unwrap() });
    }
    requests.join_all().await;
    for _ in 0..5 {
        closings.recv().await.unwrap();
    }
    assert!(closings.try_recv().is_err(), "the others are kept");
    drop(client);
    for _ in 0..Client::MAX_IDLE {
        closings.recv().await.unwrap();
    }
}

/// A server that answers one request of each connection and then does `next` with it.
fn answering_once(next: impl Fn(UnixStream) + Clone + Send + Sync + 'static) -> Arc<World> {
    World::new(move |_, mut far, _| {
        let next = next.clone();
        std::thread::spawn(move || {
            if read_head(&mut far).is_some() {
                far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
                next(far);
            }
        });
    })
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_not_seen() {
    let world = answering_once(drop);
    let client = world.client();
    for _ in 0..20 {
        assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn one_that_dies_while_it_takes_the_next_request_is_not_seen_either() {
    // Reads the second request and goes without a word.
    let world = answering_once(|mut far| drop(read_head(&mut far)));
    let client = world.client();
    for _ in 0..3 {
        assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    }
    assert_eq!(world.asked().len(), 3);
    assert_eq!(post(&client, "").await.unwrap_err().to_string(), lost(), "it may have been done");
    assert_eq!(world.asked().len(), 3);
    fetch(&client, "http://db/").await.unwrap();
    let put = Request::put("http://db/").body(Full::new(Bytes::from("x"))).unwrap();
    let failed = client.send(put, Timeouts::default()).await;
    assert_eq!(failed.unwrap_err().to_string(), lost(), "its body is gone");
}

async fn post(client: &Client, body: &'static str) -> Result<(), RequestError> {
    let request = Request::builder().method(Method::POST).uri("http://db/");
    client.send(request.body(Full::new(Bytes::from(body))).unwrap(), Timeouts::default()).await.map(drop)
}

fn lost() -> String {
    RequestError::ConnectionLost.to_string()
}

#[tokio::test]
async fn a_new_connection_that_dies_is_told() {
    let world = World::new(|_, mut far, _| drop(std::thread::spawn(move || drop(read_head(&mut far)))));
    let client = world.client();
    assert_eq!(fetch(&client, "http://db/").await.unwrap_err().to_string(), lost());
    assert_eq!(world.asked().len(), 1);
}

/// A server that sends half of an answer, counts the connections that end, and tells of them.
fn half(answer: &'static str) -> (Arc<World>, mpsc::UnboundedReceiver<()>) {
    let (ended, endings) = mpsc::unbounded_channel();
    let world = World::new(move |_, mut far, nth| {
        let ended = ended.clone();
        std::thread::spawn(move || {
            let first = read_head(&mut far);
            if nth == 1 {
                far.write_all(answer.as_bytes()).unwrap();
                // The client hangs up: nothing comes.
                assert_eq!(read_head(&mut far), None);
                ended.send(()).unwrap();
            } else if first.is_some() {
                far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
            }
        });
    });
    (world, endings)
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    let (world, mut endings) = half("HTTP/1.1 200 OK\r\n");
    let client = world.client();
    let timeouts = Timeouts { first_byte: Some(std::time::Duration::from_millis(20)), ..Timeouts::default() };
    let failed = crate::world::get_within(&client, "http://db/", timeouts).await;
    assert!(matches!(failed, Err(RequestError::FirstByteTimedOut)), "{failed:?}");
    endings.recv().await.unwrap();
    assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn a_response_that_is_given_up_closes_its_connection() {
    let (world, mut endings) = half("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nsome");
    let client = world.client();
    let mut response = get(&client, "http://db/").await.unwrap();
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "some");
    drop(response);
    endings.recv().await.unwrap();
    assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn a_response_outlives_its_client() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let world = World::http1(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async { ok(vec![b'x'; 1 << 20]) }
    });
    let client = world.client();
    let response = get(&client, "http://db/").await.unwrap();
    drop(client);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 1 << 20);
    assert_eq!(served.load(Ordering::Relaxed), 1);
}
