//! Who waits too long is told for what. The limits are tiny, and what they cut off never comes: nothing here measures time.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use http_client::{Client, Connect, ConnectError, Connecting, RequestError, Timeouts, Trust};

use crate::certificates::Authority;
use crate::world::{World, fetch, get_within, ok, read_head};

const SHORT: Duration = Duration::from_millis(20);

fn connect() -> Timeouts {
    Timeouts { connect: Some(SHORT), ..Timeouts::default() }
}

fn first_byte() -> Timeouts {
    Timeouts { first_byte: Some(SHORT), ..Timeouts::default() }
}

fn between_bytes() -> Timeouts {
    Timeouts { between_bytes: Some(SHORT), ..Timeouts::default() }
}

/// Never connects.
struct Never;

impl Connect for Never {
    fn connect(&self, _: &str, _: u16) -> Connecting {
        Box::pin(std::future::pending())
    }
}

/// A server that answers a request with this much and then nothing, until the client goes; or nothing at all.
fn stalling(words: &'static str) -> Arc<World> {
    World::new(move |_, mut far, _| {
        std::thread::spawn(move || {
            if !words.is_empty() {
                read_head(&mut far).unwrap();
                far.write_all(words.as_bytes()).unwrap();
            }
            let _ = far.read_to_end(&mut Vec::new());
        });
    })
}

fn is_connect_timeout(result: &Result<impl Sized, RequestError>) -> bool {
    matches!(result, Err(RequestError::Connect(ConnectError::TimedOut)))
}

#[tokio::test]
async fn connecting() {
    let client = Client::new(Arc::new(Never), Trust::nothing());
    assert!(is_connect_timeout(&get_within(&client, "http://db/", connect()).await));
    let zero = Timeouts { connect: Some(Duration::ZERO), ..Timeouts::default() };
    assert!(is_connect_timeout(&get_within(&client, "http://db/", zero).await));
}

#[tokio::test]
async fn the_handshake_is_part_of_connecting() {
    let client = stalling("").trusting(Authority::new().trusted());
    assert!(is_connect_timeout(&get_within(&client, "https://db/", connect()).await));
}

#[tokio::test]
async fn the_first_byte() {
    for words in ["", "HTTP/1.1 200 OK\r\n"] {
        let failed = get_within(&stalling(words).client(), "http://db/", first_byte()).await;
        assert!(matches!(failed, Err(RequestError::FirstByteTimedOut)), "{failed:?}");
    }
}

#[tokio::test]
async fn the_first_byte_after_all_of_the_request() {
    let body = Full::new(Bytes::from(vec![b'x'; 1 << 16]));
    let failed = stalling("").client().send(Request::post("http://db/").body(body).unwrap(), first_byte()).await;
    assert!(matches!(failed, Err(RequestError::FirstByteTimedOut)), "{failed:?}");
}

#[tokio::test]
async fn between_two_bytes() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let response = get_within(&stalling(head).client(), "http://db/", between_bytes()).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    let failed = body.frame().await.unwrap();
    assert!(matches!(failed, Err(RequestError::BetweenBytesTimedOut)), "{failed:?}");
    assert!(body.frame().await.is_none(), "once");
}

#[tokio::test]
async fn a_reader_that_takes_its_time_loses_nothing() {
    // The second half has come before it is asked for, however long that takes.
    let (halves, told) = std::sync::mpsc::channel();
    let world = World::new(move |_, mut far, _| {
        let halves = halves.clone();
        std::thread::spawn(move || {
            read_head(&mut far).unwrap();
            far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").unwrap();
            far.write_all(b"world").unwrap();
            halves.send(()).unwrap();
        });
    });
    let zero = Timeouts { between_bytes: Some(Duration::ZERO), ..Timeouts::default() };
    let response = get_within(&world.client(), "http://db/", zero).await.unwrap();
    told.recv().unwrap();
    // What is there is read before the limit is looked at, so that even no time at all is enough; but the connection must
    // have had its turn.
    let mut body = response.into_body();
    let mut read = Vec::new();
    while read.len() < 10 {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let frame = body.frame().await.unwrap().unwrap();
        read.extend_from_slice(&frame.into_data().unwrap());
    }
    assert_eq!(read, b"helloworld");
}

#[tokio::test]
async fn without_limits_nothing_is_cut_off() {
    let world = World::http1(|_| async { ok("hello") });
    assert_eq!(fetch(&world.client(), "http://db/").await.unwrap(), "hello");
    let ages = Some(Duration::MAX);
    let ages = Timeouts { connect: ages, first_byte: ages, between_bytes: ages };
    let response = get_within(&world.client(), "http://db/", ages).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
}
