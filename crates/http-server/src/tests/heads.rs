//! What is refused before a handler sees it, and with what status.

use super::support::{Door, alone, nothing, ok, on_paused_clock, whole};
use crate::Limits;

/// What a handler says of the request that it was given.
fn described() -> Door {
    Door::new(|request, _| {
        let mut names: Vec<_> = request.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let (method, uri) = (request.method(), request.uri());
        let authority = uri.authority().expect("there is an authority");
        let path = uri.path_and_query().expect("there is a path");
        assert_eq!(request.headers()["host"], authority.as_str());
        std::future::ready(ok(whole(format!("{method} {authority} {path} {}", names.join(",")))))
    })
}

#[test]
fn a_target_names_its_authority_itself_or_by_the_host() {
    on_paused_clock(async {
        for (head, expected) in [
            ("GET /a?b HTTP/1.1\r\nHost: example.com\r\n\r\n", "GET example.com /a?b host,x-request-id"),
            ("GET http://other:81/a HTTP/1.1\r\nHost: example.com\r\n\r\n", "GET other:81 /a host,x-request-id"),
            ("GET / HTTP/1.0\r\n\r\n", "GET 192.0.2.1:80 / host,x-request-id"),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS a * host,x-request-id"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                 HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
                "GET a / host,x-request-id",
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n",
                "GET a / host,te,x-request-id",
            ),
        ] {
            let mut door = described();
            let mut client = door.connect();
            client.send(head).await;
            let reply = client.reply().await;
            assert_eq!((reply.status, reply.text()), (200, expected), "{head}");
        }
    });
}

#[test]
fn what_can_be_understood_in_two_ways_is_refused() {
    on_paused_clock(async {
        for (status, request) in [
            (400, "GET / HTTP/1.1\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
            (400, "GET http://b/ HTTP/1.1\r\n\r\n"),
            (400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
            (501, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
            (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
            (400, "GET /\r\n\r\n"),
            (400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 4\r\n\r\nabcd"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            (400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            (400, "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n"),
        ] {
            let mut door = described();
            let mut client = door.connect();
            // What follows would be a request of its own, for whoever understood the first in another way.
            client.send(format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let reply = client.reply().await;
            assert_eq!((reply.status, reply.field("connection")), (status, Some("close")), "{request:?}");
            client.sees_the_end().await;
            drop(client);
            let records = door.ended().await;
            assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [status], "{request:?}");
        }
    });
}

#[test]
fn of_two_lengths_the_chunks_count_and_nothing_after_them() {
    on_paused_clock(async {
        for fields in [
            "Content-Length: 60\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n",
        ] {
            let mut door = Door::new(async |mut request: http::Request<crate::RequestBody>, _| {
                assert_eq!(request.headers().get("content-length"), None);
                ok(whole(super::support::collect(request.body_mut()).await.expect("the body is whole")))
            });
            let mut client = door.connect();
            let body = "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")).await;
            let reply = client.reply().await;
            assert_eq!((reply.text(), reply.field("connection")), ("abc", Some("close")));
            client.sees_the_end().await;
            drop(client);
            assert_eq!(door.ended().await.len(), 1);
        }
    });
}

const SMALL: fn() -> Limits = || Limits { head_bytes: 1000, head_fields: 5, target_bytes: 100, ..Limits::default() };

#[test]
fn a_head_beyond_a_limit_is_refused_with_the_status_for_that() {
    on_paused_clock(async {
        let (long, longer) = ("x".repeat(101), "x".repeat(1000));
        for (status, request) in [
            (414, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
            (431, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {longer}\r\n\r\n")),
            (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(5))),
            // It has no end yet, and that of the line is not needed to refuse it.
            (431, format!("GET /{longer}")),
        ] {
            let mut door = Door::with(SMALL(), None, async |_, _| ok(nothing()));
            let mut client = door.connect();
            client.send(&request).await;
            let reply = client.reply().await;
            assert_eq!((reply.status, reply.field("connection")), (status, Some("close")), "{request}");
            client.sees_the_end().await;
            drop(client);
            let records = door.ended().await;
            assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [status], "{request}");
        }
    });
}

#[test]
fn a_head_within_the_limits_is_taken() {
    on_paused_clock(async {
        let mut door = Door::with(SMALL(), None, async |_, _| ok(nothing()));
        let mut client = door.connect();
        let (path, value) = ("x".repeat(99), "x".repeat(800));
        client.send(format!("GET /{path} HTTP/1.1\r\nHost: a\r\nA: {value}\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n")).await;
        assert_eq!(client.reply().await.status, 200);
    });
}

#[test]
fn requests_in_one_packet_are_answered_in_their_order() {
    alone(async {
        let mut door = described();
        let mut client = door.connect();
        let requests: String = (0..50).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        client.send(requests).await;
        for number in 0..50 {
            assert_eq!(client.reply().await.text(), format!("GET a /{number} host,x-request-id"));
        }
    });
}

#[test]
fn a_line_may_end_with_a_line_feed_alone_and_no_value_holds_one() {
    on_paused_clock(async {
        let mut door = described();
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\nHost: a\nX: b\nY: c\n\n").await;
        assert_eq!(client.reply().await.text(), "GET a / host,x,x-request-id,y");
    });
}
