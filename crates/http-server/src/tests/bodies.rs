//! What a client sends after its head: piece by piece, asked for, late, malformed, or in vain.

use super::support::{Answered, Client, Door, alone, collect, data, nothing, ok, on_paused_clock, pieces, whole};
use crate::{BodyError, Failure, Limits, RequestBody, RequestInfo};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

/// Sends back what it gets.
async fn echo(mut request: Request<RequestBody>, _: RequestInfo) -> Answered {
    match collect(request.body_mut()).await {
        Ok(bytes) => ok(whole(bytes)),
        Err(_) => Err(Failure::Broken),
    }
}

#[test]
fn a_body_arrives_whole_by_its_length_and_in_chunks() {
    on_paused_clock(async {
        let mut door = Door::new(echo);
        let mut client = door.connect();
        for body in [
            "Content-Length: 6\r\n\r\nabcdef",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\n\r\n",
        ] {
            client.send(format!("{POST}{body}")).await;
            assert_eq!(client.reply().await.text(), "abcdef");
        }
    });
}

#[test]
fn the_length_of_a_body_is_known_if_the_client_said_it() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| {
            let hint = request.body().size_hint();
            ok(whole(format!("{:?} {}", hint.exact(), request.body().is_end_stream())))
        });
        for (body, expected) in [
            ("\r\n", "Some(0) true"),
            ("Content-Length: 0\r\n\r\n", "Some(0) true"),
            ("Content-Length: 3\r\n\r\nabc", "Some(3) false"),
            ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "None false"),
        ] {
            let mut client = door.connect();
            client.send(format!("{POST}{body}")).await;
            assert_eq!(client.reply().await.text(), expected);
        }
    });
}

#[test]
fn trailers_go_both_ways() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| {
            let trailers = request.into_body().collect().await.expect("the body is whole").trailers().cloned();
            let mut trailers = trailers.expect("there are trailers");
            trailers.insert("x-own", HeaderValue::from_static("2"));
            trailers.insert("connection", HeaderValue::from_static("x-hop"));
            trailers.insert("x-hop", HeaderValue::from_static("3"));
            let mut response = Response::new(pieces([data("abc"), Ok(Frame::trailers(trailers))]));
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-sum, x-own, x-hop, connection"));
            Ok(response)
        });
        let mut client = door.connect();
        let body = "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
        client.send(format!("{POST}TE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n{body}")).await;
        let head = client.head().await;
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        assert_eq!(client.chunks().await.expect("the body is whole"), b"abc");
        let mut trailers: Vec<_> = client.head().await.split("\r\n").map(str::to_owned).collect();
        trailers.sort_unstable();
        assert_eq!(trailers, ["x-own: 2", "x-sum: 1"]);
        // A client that did not ask for them gets none, and the connection goes on.
        client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}")).await;
        assert_eq!(client.reply().await.text(), "abc");
        client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}")).await;
        assert_eq!(client.reply().await.text(), "abc");
    });
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on_by_the_first_read_alone() {
    on_paused_clock(async {
        let mut door = Door::new(async |mut request: Request<RequestBody>, _| match request.uri().path() {
            "/wanted" => ok(whole(collect(request.body_mut()).await.expect("the body is whole"))),
            _ => ok(whole("no, thanks")),
        });
        let head =
            |path| format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        let mut client = door.connect();
        client.send(head("/wanted")).await;
        assert_eq!(client.head().await, "HTTP/1.1 100 Continue");
        client.send("abc").await;
        assert_eq!(client.reply().await.text(), "abc");
        client.send(head("/unwanted")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.text()), (200, "no, thanks"));
        client.sees_the_end().await;
    });
}

#[test]
fn what_nobody_reads_stays_with_the_client() {
    alone(async {
        let read = Arc::new(Notify::new());
        let mut door = {
            let read = Arc::clone(&read);
            Door::new(move |request: Request<RequestBody>, _| {
                let read = Arc::clone(&read);
                async move {
                    let mut body = request.into_body();
                    read.notified().await;
                    let mut count = 0;
                    while let Some(frame) = body.frame().await {
                        count += frame.expect("the body is whole").into_data().expect("it is data").len();
                    }
                    ok(whole(count.to_string()))
                }
            })
        };
        let mut client = door.connect();
        const LENGTH: usize = 1 << 30;
        client.send(format!("{POST}Content-Length: {LENGTH}\r\n\r\n")).await;
        let chunk = vec![b'x'; 1 << 20];
        let mut sent = 0;
        // The buffers between the two are full long before the body ends.
        let full = async |client: &mut Client, sent: &mut usize| loop {
            let ready = tokio::time::timeout(Duration::from_millis(200), client.stream.writable()).await;
            if ready.is_err() {
                break;
            }
            match client.stream.try_write(&chunk) {
                Ok(count) => *sent += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        full(&mut client, &mut sent).await;
        assert!(sent < 64 << 20, "{sent} bytes were taken though nobody read");
        read.notify_one();
        while sent < LENGTH {
            let chunk = &chunk[..chunk.len().min(LENGTH - sent)];
            client.send(chunk).await;
            sent += chunk.len();
        }
        assert_eq!(client.reply().await.text(), LENGTH.to_string());
    });
}

const IMPATIENT: fn() -> Limits =
    || Limits { body_idle_time: Duration::from_secs(3), head_time: Duration::from_secs(500), ..Limits::default() };

#[test]
fn a_body_that_does_not_come_ends_with_the_time_for_it() {
    on_paused_clock(async {
        let mut door = Door::with(IMPATIENT(), None, async |mut request: Request<RequestBody>, _| {
            let start = Instant::now();
            let error = collect(request.body_mut()).await.expect_err("it does not come");
            assert!(matches!(error, BodyError::TimedOut), "{error:?}");
            assert!((3..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
            assert!(request.body_mut().frame().await.is_none());
            match request.uri().path() {
                "/own" => ok(whole("too late")),
                _ => Err(Failure::Broken),
            }
        });
        for (path, status, text) in [("/own", 200, "too late"), ("/", 408, "408 Request Timeout\n")] {
            let mut client = door.connect();
            client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")).await;
            let reply = client.reply().await;
            assert_eq!((reply.status, reply.text(), reply.field("connection")), (status, text, Some("close")));
            client.sees_the_end().await;
        }
    });
}

#[test]
fn a_slow_body_is_taken_and_a_slow_handler_costs_its_client_nothing() {
    on_paused_clock(async {
        let mut door = Door::with(IMPATIENT(), None, async |mut request: Request<RequestBody>, _| {
            let first = request.body_mut().frame().await.expect("there is more").expect("it is well");
            assert_eq!(first.into_data().expect("it is data"), "a");
            // Nobody waits for the body now.
            sleep(Duration::from_secs(60)).await;
            ok(whole(collect(request.body_mut()).await.expect("the rest comes")))
        });
        let mut client = door.connect();
        client.send(format!("{POST}Content-Length: 9\r\n\r\n")).await;
        for byte in ["a", "b", "c", "d"] {
            client.send(byte).await;
            sleep(Duration::from_secs(2)).await;
        }
        sleep(Duration::from_secs(54)).await;
        for byte in ["e", "f", "g", "h", "i"] {
            client.send(byte).await;
            sleep(Duration::from_secs(2)).await;
        }
        assert_eq!(client.reply().await.text(), "bcdefghi");
    });
}

#[test]
fn a_malformed_body_is_the_clients_fault() {
    on_paused_clock(async {
        for body in [
            "x\r\nabc\r\n0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3;a\nb\r\nabc\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nabc",
            "3\r\nabc\r\n0\r\nX: a\rb\r\n\r\n",
        ] {
            let mut door = Door::new(async |mut request: Request<RequestBody>, _| {
                let error = collect(request.body_mut()).await.expect_err("it is malformed");
                assert!(matches!(error, BodyError::Malformed(_)), "{error:?}");
                Err(Failure::Broken)
            });
            let mut client = door.connect();
            let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
            client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}{smuggled}")).await;
            let reply = client.reply().await;
            assert_eq!((reply.status, reply.field("connection")), (400, Some("close")), "{body:?}");
            client.sees_the_end().await;
            drop(client);
            assert_eq!(door.ended().await.len(), 1);
        }
    });
}

#[test]
fn a_body_that_is_broken_off_is_no_body() {
    on_paused_clock(async {
        for body in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
            let mut door = Door::new(async |mut request: Request<RequestBody>, _| {
                let error = collect(request.body_mut()).await.expect_err("it is broken off");
                assert!(matches!(error, BodyError::BrokenOff(_)), "{error:?}");
                Err(Failure::Broken)
            });
            let mut client = door.connect();
            client.send(format!("{POST}{body}")).await;
            client.end_writing();
            assert_eq!(client.reply().await.status, 400);
        }
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_reaches_a_client_that_still_sends() {
    alone(async {
        let mut door = Door::new(async |_, _| ok(whole("no more")));
        let mut client = door.connect();
        client.send(format!("{POST}Content-Length: {}\r\n\r\n", 8 << 20)).await;
        // Far more than fits between the two: without anybody who takes it, the client would be stuck or reset.
        client.send(vec![b'x'; 8 << 20]).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.text()), (200, "no more"));
        client.sees_the_end().await;
        drop(client);
        assert_eq!(door.ended().await.len(), 1);
    });
}

#[test]
fn a_client_that_never_stops_sending_is_not_listened_to_for_ever() {
    on_paused_clock(async {
        let limits = Limits { linger_time: Duration::from_secs(7), ..Limits::default() };
        let mut door = Door::with(limits, None, async |_, _| ok(whole("no more")));
        let mut client = door.connect();
        let start = Instant::now();
        client.send(format!("{POST}Content-Length: 1000000\r\n\r\n")).await;
        assert_eq!(client.reply().await.text(), "no more");
        client.sees_the_end().await;
        assert!(start.elapsed() < Duration::from_secs(1), "the end is told at once");
        let one_by_one = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                if client.stream.try_write(b"x").is_err() {
                    break;
                }
            }
        };
        tokio::join!(one_by_one, door.ended());
        assert!((7..12).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

#[test]
fn an_answer_may_begin_before_the_request_ends_and_follow_it() {
    on_paused_clock(async {
        let mut door = Door::new(async |request: Request<RequestBody>, _| {
            let body = request.into_body().map_err(Into::into).boxed_unsync();
            Ok(Response::new(body))
        });
        let mut client = door.connect();
        client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n")).await;
        client.head().await;
        for piece in ["abc", "de", "f"] {
            client.send(format!("{:x}\r\n{piece}\r\n", piece.len())).await;
            let mut chunk = vec![0; piece.len() + 5];
            client.stream.read_exact(&mut chunk).await.expect("the answer goes on");
            assert_eq!(chunk, format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        }
        client.send("0\r\n\r\n").await;
        assert_eq!(client.chunks().await.expect("the answer ends"), b"");
        assert_eq!(door.records().len(), 1);
    });
}

#[test]
fn a_body_that_nobody_wants_does_not_cost_the_next_request_if_it_is_there() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(nothing()));
        let mut client = door.connect();
        for _ in 0..3 {
            client.send(format!("{POST}Content-Length: 3\r\n\r\nabc")).await;
            assert_eq!(client.reply().await.status, 200);
        }
    });
}
