//! Servers that break the rules.

use http_body_util::BodyExt;
use http_client::{Client, RequestError};

use crate::certificates::{Authority, Ends};
use crate::world::{World, fetch, get, ok};

async fn failure(answer: impl Into<Vec<u8>>) -> RequestError {
    let answer = answer.into();
    let Err(error) = fetch(&World::saying(answer.clone()).client(), "http://db/").await else {
        panic!("{} bytes were taken", answer.len())
    };
    error
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let line = format!("x-long: {}\r\n", "y".repeat(2 * Client::MAX_HEAD_BYTES));
    let failed = failure(format!("HTTP/1.1 200 OK\r\n{line}\r\n")).await;
    assert!(matches!(failed, RequestError::HeadTooLarge), "{failed:?}");
    let lines = "x: y\r\n".repeat(Client::MAX_HEAD_FIELDS + 1);
    let failed = failure(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).await;
    assert!(matches!(failed, RequestError::HeadTooLarge), "{failed:?}");
}

#[tokio::test]
async fn as_many_fields_as_may_be_are_taken() {
    let lines = "x: y\r\n".repeat(Client::MAX_HEAD_FIELDS - 1);
    let world = World::saying(format!("HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n"));
    let response = get(&world.client(), "http://db/").await.unwrap();
    assert_eq!(response.headers().len(), Client::MAX_HEAD_FIELDS);
}

#[tokio::test]
async fn a_large_head_over_http2_is_no_answer() {
    let authority = Authority::new();
    let world = World::tls(authority.server("a.example", Ends::Later, &["h2"]), |request| async move {
        let mut answer = ok("hello");
        if request.uri().path() == "/large" {
            let large = "y".repeat(Client::MAX_HEAD_BYTES).parse().unwrap();
            answer.headers_mut().insert("x-long", large);
        }
        answer
    });
    let client = world.trusting(authority.trusted());
    let failed = fetch(&client, "https://a.example/large").await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(fetch(&client, "https://a.example/").await.unwrap(), "hello");
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    for answer in [
        "SSH-2.0-server\r\n",
        "HTTP/1.1 99999 Odd\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n",
    ] {
        let failed = failure(answer).await;
        assert!(matches!(failed, RequestError::Protocol { .. }), "{answer:?}: {failed:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_response_is_lost() {
    for answer in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"] {
        let failed = failure(answer).await;
        assert!(matches!(failed, RequestError::ConnectionLost), "{answer:?}: {failed:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_incomplete() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let failed = failure(answer).await;
        assert!(matches!(failed, RequestError::ResponseIncomplete), "{answer:?}: {failed:?}");
    }
}

#[tokio::test]
async fn a_body_without_length_ends_with_the_connection() {
    let world = World::saying("HTTP/1.1 200 OK\r\n\r\nhello");
    assert_eq!(fetch(&world.client(), "http://db/").await.unwrap(), "hello");
}

#[tokio::test]
async fn what_follows_a_response_is_not_taken_for_the_next() {
    let one = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let world = World::saying(format!("{one}hello{one}wrong"));
    let client = world.client();
    assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    assert_eq!(fetch(&client, "http://db/").await.unwrap(), "hello");
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test]
async fn redirects_cookies_and_codings_are_the_callers() {
    let world = World::saying(
        "HTTP/1.1 302 Found\r\nlocation: http://web/\r\nset-cookie: a=b\r\ncontent-encoding: gzip\r\n\
         content-length: 3\r\n\r\nzip",
    );
    let response = get(&world.client(), "http://db/").await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["location"]), (302, &"http://web/".parse().unwrap()));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "zip");
    assert_eq!(world.asked(), ["db 80"]);
}
