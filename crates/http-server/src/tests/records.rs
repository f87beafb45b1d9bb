//! One record for each request, and what it says.

use super::support::{Door, alone, data, nothing, ok, on_paused_clock, pieces, whole};
use crate::{Outcome, RequestBody};
use http::{Method, Request, Version};
use std::time::Duration;
use tokio::time::sleep;

#[test]
fn a_record_says_what_was_asked_and_what_was_sent() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/streamed" => {
                sleep(Duration::from_secs(3)).await;
                ok(pieces([data("abc"), data(""), data("defg")]))
            }
            "/none" => ok(nothing()),
            _ => ok(whole("abcdef")),
        });
        let mut client = door.connect();
        let address = client.stream.local_addr().expect("it is connected");
        client.send("GET /streamed?x=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nReferer: /b\r\n\r\n").await;
        client.reply().await;
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.reply_to("HEAD").await;
        client.get("/none").await;
        client.send("GET http://b/ HTTP/1.0\r\n\r\n").await;
        client.reply().await;
        drop(client);
        let records = door.ended().await;
        let lines: Vec<_> = records
            .iter()
            .map(|record| {
                let line = record.line.as_ref().expect("it was understood");
                assert_eq!((record.client, record.outcome), (address, Outcome::Complete));
                (&line.method, line.target.as_str(), line.version, record.status, record.sent_bytes)
            })
            .collect();
        assert_eq!(
            lines,
            [
                (&Method::GET, "/streamed?x=1", Version::HTTP_11, 200, 7),
                (&Method::HEAD, "/", Version::HTTP_11, 200, 0),
                (&Method::GET, "/none", Version::HTTP_11, 200, 0),
                (&Method::GET, "http://b/", Version::HTTP_10, 200, 6),
            ]
        );
        assert_eq!((records[0].user_agent.as_deref(), records[0].referer.as_deref()), (Some("test"), Some("/b")));
        assert_eq!(records[0].duration.as_secs(), 3);
    });
}

#[test]
fn every_byte_of_a_large_body_is_counted_once() {
    alone(async {
        let mut door = Door::new(async |_, _| ok(pieces((0..500).map(|_| data(vec![b'x'; 100_000])))));
        let mut client = door.connect();
        assert_eq!(client.get("/").await.body.len(), 50_000_000);
        drop(client);
        let records = door.ended().await;
        assert_eq!((records[0].sent_bytes, records[0].outcome), (50_000_000, Outcome::Complete));
    });
}

#[test]
fn a_record_is_there_when_the_answer_is() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(whole("abc")));
        let mut client = door.connect();
        for _ in 0..3 {
            client.get("/").await;
            assert_eq!(door.records().len(), 1);
        }
    });
}
