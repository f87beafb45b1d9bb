//! What a handler may say, and what becomes of what it may not.

use super::support::{Answered, AnyBody, Door, data, nothing, ok, on_paused_clock, pieces, whole};
use crate::{Failure, Outcome, RequestBody};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use std::io;

fn with(status: u16, fields: &[(&'static str, &'static str)], body: AnyBody) -> Answered {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in fields {
        response.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    Ok(response)
}

#[test]
fn the_answer_to_head_has_the_length_and_no_body() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/known" => ok(whole("abc")),
            "/said" => with(200, &[("content-length", "5")], nothing()),
            "/streamed" => ok(pieces([data("abc")])),
            "/unsaid" => ok(nothing()),
            "/broken" => Err(Failure::Broken),
            _ => with(200, &[("content-length", "3")], pieces([data("abc")])),
        });
        let mut client = door.connect();
        for (path, length) in [
            ("/known", Some("3")),
            ("/said", Some("5")),
            ("/streamed", None),
            ("/unsaid", None),
            ("/broken", Some("26")),
            ("/", Some("3")),
        ] {
            client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            let reply = client.reply_to("HEAD").await;
            assert_eq!(reply.field("content-length"), length, "{path}: {reply:?}");
            assert_eq!(reply.field("transfer-encoding"), None, "{path}: {reply:?}");
        }
        // Had there been a body, it would come here.
        assert_eq!(client.get("/").await.text(), "abc");
    });
}

#[test]
fn where_no_body_may_be_there_is_none() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/204" => with(204, &[("content-length", "3")], whole("abc")),
            "/204/streamed" => with(204, &[], pieces([data("abc")])),
            "/205" => with(205, &[("content-length", "3")], whole("abc")),
            "/304" => with(304, &[("etag", "\"a\"")], whole("abc")),
            _ => ok(whole("next")),
        });
        let mut client = door.connect();
        for (path, status, length) in
            [("/204", 204, None), ("/204/streamed", 204, None), ("/205", 205, Some("0")), ("/304", 304, None)]
        {
            let reply = client.get(path).await;
            assert_eq!((reply.status, reply.field("content-length")), (status, length), "{path}");
            assert_eq!(reply.field("transfer-encoding"), None, "{path}");
            assert_eq!(client.get("/").await.text(), "next");
        }
    });
}

#[test]
fn what_cannot_be_an_answer_is_500_and_the_connection_goes_on() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/100" => with(100, &[], nothing()),
            "/101" => with(101, &[("upgrade", "websocket"), ("connection", "upgrade")], nothing()),
            "/103" => with(103, &[("link", "</a>")], nothing()),
            "/longer" => with(200, &[("content-length", "4")], whole("abc")),
            "/shorter" => with(200, &[("content-length", "2")], whole("abc")),
            "/empty" => with(200, &[("content-length", "3")], nothing()),
            "/two" => with(200, &[("content-length", "3"), ("content-length", "3")], whole("abc")),
            "/word" => with(200, &[("content-length", "three")], pieces([data("abc")])),
            "/plus" => with(200, &[("content-length", "+3")], pieces([data("abc")])),
            _ => ok(whole("next")),
        });
        let mut client = door.connect();
        for path in ["/100", "/101", "/103", "/longer", "/shorter", "/empty", "/two", "/word", "/plus"] {
            let reply = client.get(path).await;
            assert_eq!((reply.status, reply.text()), (500, "500 Internal Server Error\n"), "{path}");
            assert_eq!(client.get("/").await.text(), "next");
        }
    });
}

#[test]
fn a_failure_says_its_name_and_nothing_else() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/500" => Err(Failure::Broken),
            "/503" => Err(Failure::NoRoom),
            _ => Err(Failure::TimedOut),
        });
        let mut client = door.connect();
        for (path, status, retry, text) in [
            ("/500", 500, None, "500 Internal Server Error\n"),
            ("/503", 503, Some("1"), "503 Service Unavailable\n"),
            ("/504", 504, None, "504 Gateway Timeout\n"),
        ] {
            let reply = client.get(path).await;
            assert_eq!((reply.status, reply.text(), reply.field("retry-after")), (status, text, retry));
            let mut names: Vec<&str> = reply.fields.iter().map(|(name, _)| name.as_str()).collect();
            names.retain(|name| *name != "retry-after");
            names.sort_unstable();
            assert_eq!(names, ["content-length", "content-type", "date", "x-request-id"]);
        }
    });
}

#[test]
fn what_concerns_the_connection_is_not_for_a_handler_to_say() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| {
            let fields = [
                ("connection", "close, x-hop"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=1"),
                ("proxy-connection", "close"),
                ("transfer-encoding", "gzip"),
                ("upgrade", "h2c"),
                ("te", "trailers"),
                ("x-end", "2"),
            ];
            let mut response = with(200, &fields, whole("abc"))?;
            // Neither of them may reach the driver of the connection.
            *response.version_mut() = Version::HTTP_3;
            let reason = hyper::ext::ReasonPhrase::from_static(b"Fine");
            response.extensions_mut().insert(reason);
            Ok(response)
        });
        let mut client = door.connect();
        for _ in 0..2 {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            let mut names: Vec<_> = head.split("\r\n").skip(1).filter_map(|line| line.split(':').next()).collect();
            names.sort_unstable();
            assert_eq!(names, ["content-length", "date", "x-end", "x-request-id"]);
            assert_eq!(client.take(3).await, b"abc");
        }
    });
}

#[test]
fn every_answer_has_a_date_and_the_handlers_own_counts() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/own" => with(200, &[("date", "Thu, 01 Jan 1970 00:00:00 GMT")], nothing()),
            _ => ok(nothing()),
        });
        let mut client = door.connect();
        assert!(client.get("/").await.field("date").expect("there is a date").ends_with(" GMT"));
        assert_eq!(client.get("/own").await.field("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    });
}

#[test]
fn a_body_that_fails_after_the_head_is_seen_to_fail() {
    on_paused_clock(async {
        fn fails() -> AnyBody {
            pieces([data("abc"), Err("a secret".into())])
        }
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/length" => with(200, &[("content-length", "9")], fails()),
            "/short" => with(200, &[("content-length", "9")], pieces([data("abc")])),
            "/long" => with(200, &[("content-length", "4")], pieces([data("abc"), data("def")])),
            _ => ok(fails()),
        });
        for (path, version) in
            [("/", "1.1"), ("/length", "1.1"), ("/short", "1.1"), ("/long", "1.1"), ("/", "1.0"), ("/long", "1.0")]
        {
            let mut client = door.connect();
            client.send(format!("GET {path} HTTP/{version}\r\nHost: a\r\n\r\n")).await;
            let end = client.rest().await.map_err(|error| error.kind());
            assert_eq!(end, Err(io::ErrorKind::ConnectionReset), "{path} in {version}");
            let records = door.ended().await;
            assert_eq!((records[0].status, records[0].outcome), (200, Outcome::Failed), "{path} in {version}");
        }
    });
}

#[test]
fn an_id_is_kept_or_made_and_is_everywhere_the_same() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, info: crate::RequestInfo| {
            assert_eq!(request.headers()["x-request-id"], info.id.as_str());
            assert_eq!(request.headers().get_all("x-request-id").iter().count(), 1);
            match request.uri().path() {
                "/fails" => Err(Failure::Broken),
                // Another id of the handler's own would only be confusing.
                _ => with(200, &[("x-request-id", "other")], whole(info.id.to_string())),
            }
        });
        let mut client = door.connect();
        for (path, field, kept) in [
            ("/", "X-Request-Id: Given-1.2_3\r\n", Some("Given-1.2_3")),
            ("/fails", "X-Request-Id: Given\r\n", Some("Given")),
            ("/", "", None),
            ("/", "X-Request-Id: a b\r\n", None),
            ("/", "X-Request-Id: a\r\nX-Request-Id: a\r\n", None),
            ("/fails", "", None),
        ] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n")).await;
            let reply = client.reply().await;
            let id = reply.field("x-request-id").expect("there is an id");
            match kept {
                Some(kept) => assert_eq!(id, kept),
                None => assert_eq!((id.len(), id.bytes().all(|byte| byte.is_ascii_hexdigit())), (32, true), "{id}"),
            }
            assert_eq!(door.records()[0].id.as_str(), id);
            if path == "/" {
                assert_eq!(reply.text(), id);
            }
        }
    });
}

#[test]
fn a_refused_request_has_an_id_too() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(nothing()));
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\r\nX-Request-Id: given\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.field("x-request-id")), (400, Some("given")));
    });
}

#[test]
fn a_client_of_http_1_0_gets_what_it_understands() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| match request.uri().path() {
            "/streamed" => ok(pieces([data("abc"), data("def")])),
            _ => ok(whole("abc")),
        });
        let mut client = door.connect();
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!((reply.text(), reply.field("connection")), ("abc", Some("keep-alive")));
        client.send("GET /streamed HTTP/1.0\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!((reply.text(), reply.field("transfer-encoding")), ("abcdef", None));
        client.sees_the_end().await;
    });
}
