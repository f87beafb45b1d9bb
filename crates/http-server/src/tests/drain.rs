//! A server that stops: who is answered, who is sent away, and how soon the connection ends.

use super::support::{Door, nothing, ok, on_paused_clock, pieces, whole};
use crate::{Limits, RequestBody};
use http::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

#[test]
fn an_idle_connection_ends_at_once() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(whole("abc")));
        let mut client = door.connect();
        client.get("/").await;
        let start = Instant::now();
        door.drain();
        client.sees_the_end().await;
        assert_eq!(door.ended().await.len(), 1);
        assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    });
}

#[test]
fn what_is_under_way_is_answered_and_then_the_connection_ends() {
    on_paused_clock(async {
        let started = Arc::new(Notify::new());
        let mut door = {
            let started = Arc::clone(&started);
            Door::new(move |_, _| {
                started.notify_one();
                async move {
                    sleep(Duration::from_secs(30)).await;
                    ok(pieces([super::support::data("abc"), super::support::data("def")]))
                }
            })
        };
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        started.notified().await;
        door.drain();
        let reply = client.reply().await;
        assert_eq!((reply.text(), reply.field("connection")), ("abcdef", Some("close")));
        client.sees_the_end().await;
        assert_eq!(door.ended().await.len(), 1);
    });
}

#[test]
fn a_client_that_has_just_come_may_still_ask_once() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(whole("abc")));
        let (mut early, mut late) = (door.connect(), {
            door.drain();
            door.connect()
        });
        for client in [&mut early, &mut late] {
            let reply = client.get("/").await;
            assert_eq!((reply.text(), reply.field("connection")), ("abc", Some("close")));
            client.sees_the_end().await;
        }
        assert_eq!(door.ended().await.len(), 2);
    });
}

#[test]
fn a_client_that_says_nothing_is_not_waited_for() {
    on_paused_clock(async {
        let limits = Limits { late_start_time: Duration::from_secs(2), ..Limits::default() };
        let mut door = Door::with(limits, None, async |_, _| ok(nothing()));
        let mut client = door.connect();
        let start = Instant::now();
        door.drain();
        client.sees_the_end().await;
        door.ended().await;
        assert!((2..4).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

#[test]
fn a_head_that_was_begun_may_be_ended() {
    on_paused_clock(async {
        let mut door = Door::new(async |_: Request<RequestBody>, _| ok(whole("abc")));
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\r\n").await;
        sleep(Duration::from_secs(1)).await;
        door.drain();
        sleep(Duration::from_secs(1)).await;
        client.send("Host: a\r\n\r\n").await;
        let reply = client.reply().await;
        assert_eq!((reply.text(), reply.field("connection")), ("abc", Some("close")));
        client.sees_the_end().await;
        door.ended().await;
    });
}

#[test]
fn a_request_that_has_come_is_answered_though_nobody_has_looked_at_it() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| ok(whole("abc")));
        let mut client = door.connect();
        client.get("/").await;
        // Both happen before the connection's task runs again.
        client.stream.try_write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("there is room");
        door.drain();
        assert_eq!(client.reply().await.text(), "abc");
        client.sees_the_end().await;
        assert_eq!(door.ended().await.len(), 2);
    });
}
