//! How long a client may take: for a head, between requests, for what is written to it.

use super::support::{Door, endless, nothing, ok, on_paused_clock, whole};
use crate::{Limits, Outcome};
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

const LIMITS: fn() -> Limits = || Limits {
    head_time: Duration::from_secs(5),
    idle_time: Duration::from_secs(20),
    write_idle_time: Duration::from_secs(10),
    ..Limits::default()
};

#[test]
fn a_head_that_is_not_ended_in_time_is_408() {
    on_paused_clock(async {
        let mut door = Door::with(LIMITS(), None, async |_, _| ok(nothing()));
        let mut client = door.connect();
        let start = Instant::now();
        // However slowly it goes on: what counts is when it began.
        let trickle = async {
            for byte in b"GET / HTTP/1.1\r\nHost: example.com\r\n".chunks(1) {
                let _ = client.stream.try_write(byte);
                sleep(Duration::from_secs(1)).await;
                if start.elapsed() > Duration::from_secs(6) {
                    break;
                }
            }
        };
        trickle.await;
        let reply = client.reply().await;
        assert_eq!(
            (reply.status, reply.text(), reply.field("connection")),
            (408, "408 Request Timeout\n", Some("close"))
        );
        assert!(reply.field("date").expect("there is a date").ends_with(" GMT"));
        let id = reply.field("x-request-id").expect("there is an id").to_owned();
        client.sees_the_end().await;
        drop(client);
        let records = door.ended().await;
        assert_eq!((records[0].status, records[0].id.as_str(), &records[0].line), (408, id.as_str(), &None));
        assert!((5..9).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

#[test]
fn the_next_head_has_as_much_time_as_the_first() {
    on_paused_clock(async {
        let mut door = Door::with(LIMITS(), None, async |_, _| ok(nothing()));
        let mut client = door.connect();
        for _ in 0..5 {
            client.send("GET / HTTP/1.1\r\n").await;
            sleep(Duration::from_secs(4)).await;
            client.send("Host: a\r\n\r\n").await;
            assert_eq!(client.reply().await.status, 200);
            sleep(Duration::from_secs(10)).await;
        }
        client.send("GET / HTTP/1.1\r\n").await;
        let start = Instant::now();
        assert_eq!(client.reply().await.status, 408);
        assert!((5..7).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    });
}

#[test]
fn a_connection_without_a_request_is_closed_without_a_word() {
    on_paused_clock(async {
        let mut door = Door::with(LIMITS(), None, async |_, _| ok(nothing()));
        // One that never asked, one that did.
        let (mut silent, start) = (door.connect(), Instant::now());
        silent.sees_the_end().await;
        assert!((5..7).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        let mut idle = door.connect();
        idle.get("/").await;
        let start = Instant::now();
        idle.sees_the_end().await;
        assert!((20..22).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(door.ended().await.len(), 1);
    });
}

#[test]
fn a_handler_may_take_longer_than_any_client() {
    on_paused_clock(async {
        let mut door = Door::with(LIMITS(), None, async |_, _| {
            sleep(Duration::from_secs(1000)).await;
            ok(whole("at last"))
        });
        let mut client = door.connect();
        assert_eq!(client.get("/").await.text(), "at last");
        assert_eq!(client.get("/").await.text(), "at last");
    });
}

#[test]
fn a_client_that_takes_nothing_is_left_and_what_it_took_is_counted() {
    on_paused_clock(async {
        const PIECE: &[u8] = &[b'x'; 50_000];
        let mut door = Door::with(LIMITS(), None, async |_, _| ok(endless(PIECE)));
        let mut client = door.connect();
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        let start = Instant::now();
        let records = door.ended().await;
        assert!((10..13).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!((records[0].status, records[0].outcome), (200, Outcome::BrokenOff));
        // What the system took is there to be read, and no more was counted.
        let mut read = 0;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match client.stream.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => read += count as u64,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                    break;
                }
            }
        }
        let head_bytes = 200;
        assert!((read.saturating_sub(head_bytes)..=read).contains(&records[0].sent_bytes), "{read} {records:?}");
    });
}

#[test]
fn a_client_that_takes_a_little_now_and_then_is_waited_for() {
    on_paused_clock(async {
        const PIECE: &[u8] = &[b'x'; 50_000];
        let mut door = Door::with(LIMITS(), None, async |_, _| ok(endless(PIECE)));
        let mut client = door.connect_by_pair();
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        // Less than has to be free before the system calls the other end writable.
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..100 {
            sleep(Duration::from_secs(7)).await;
            client.stream.read_exact(&mut buffer).await.expect("a client that reads is not left");
        }
        assert_eq!(door.records(), []);
    });
}
