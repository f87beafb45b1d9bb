//! Clients that leave, and how soon that is noticed.

use super::support::{Door, Tell, alone, endless, ok, on_paused_clock, piecewise, whole};
use crate::{AccessRecord, Outcome, RequestBody};
use http::Request;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::Notify;

#[test]
fn a_reset_ends_the_handler_though_it_does_nothing() {
    alone(async {
        let (started, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut door = {
            let (started, dropped) = (Arc::clone(&started), Arc::clone(&dropped));
            Door::new(move |_, _| {
                let (started, tell) = (Arc::clone(&started), Tell(Arc::clone(&dropped)));
                async move {
                    started.notify_one();
                    let _tell = tell;
                    pending().await
                }
            })
        };
        for body in ["\r\n", "Content-Length: 3\r\n\r\nabc"] {
            let mut client = door.connect();
            client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}")).await;
            started.notified().await;
            client.reset();
            if body == "\r\n" {
                dropped.notified().await;
                let records = door.ended().await;
                assert_eq!((records[0].status, records[0].sent_bytes), (AccessRecord::CLIENT_GONE, 0));
                assert!(records[0].is_broken_off());
            }
        }
    });
}

#[test]
fn a_reset_ends_the_body_though_nothing_is_sent() {
    alone(async {
        let dropped = Arc::new(Notify::new());
        let (sender, body) = piecewise();
        let body = std::sync::Mutex::new(Some(body));
        let mut door = Door::new(move |_, _| {
            let body = body.lock().expect("nobody panicked").take().expect("one request");
            async move { ok(body) }
        });
        let mut client = door.connect();
        sender.send(super::support::data("abc")).expect("the body is there");
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        client.reset();
        sender.closed().await;
        dropped.notify_one();
        let records = door.ended().await;
        assert_eq!((records[0].status, records[0].outcome), (200, Outcome::BrokenOff));
        assert_eq!(records[0].sent_bytes, 3);
    });
}

#[test]
fn a_client_that_ends_its_half_gets_its_answer() {
    on_paused_clock(async {
        let mut door = Door::new(async |_, _| {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            ok(whole("abc"))
        });
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.end_writing();
        assert_eq!(client.reply().await.text(), "abc");
        assert_eq!(client.reply().await.text(), "abc");
        client.sees_the_end().await;
        let records = door.ended().await;
        assert_eq!(records.iter().map(|record| record.outcome).collect::<Vec<_>>(), [Outcome::Complete; 2]);
    });
}

#[test]
fn a_client_that_closes_is_noticed_by_what_is_sent_to_it() {
    alone(async {
        const PIECE: &[u8] = &[b'x'; 10_000];
        let mut door = Door::new(async |_, _| ok(endless(PIECE)));
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        client.head().await;
        drop(client);
        let records = door.ended().await;
        assert_eq!((records[0].status, records[0].outcome), (200, Outcome::BrokenOff));
    });
}

#[test]
fn half_a_head_is_nothing() {
    on_paused_clock(async {
        let mut door = Door::new(async |_: Request<RequestBody>, _| ok(whole("abc")));
        for part in ["", "PRI", "GET", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut client = door.connect();
            client.send(part).await;
            client.end_writing();
            client.sees_the_end().await;
        }
        assert_eq!(door.ended().await, []);
    });
}

#[test]
fn an_end_of_everything_ends_the_connection() {
    alone(async {
        let (started, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut door = {
            let (started, dropped) = (Arc::clone(&started), Arc::clone(&dropped));
            Door::new(move |_, _| {
                let (started, tell) = (Arc::clone(&started), Tell(Arc::clone(&dropped)));
                async move {
                    started.notify_one();
                    let _tell = tell;
                    pending().await
                }
            })
        };
        let mut client = door.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        started.notified().await;
        drop(door);
        dropped.notified().await;
        client.sees_the_end().await;
    });
}
