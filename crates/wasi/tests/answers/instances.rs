//! Instances share nothing, may take further requests, and fit into their pool.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use wasi::{RequestBodyError, RunError, Start, Stdio};

use crate::guests::Served;
use crate::{exchange, get, spec, start};

const SITES: [&str; 2] = ["http-site.wasm", "http-site-p3.wasm"];

#[tokio::test]
async fn every_kind_of_guest_answers() {
    for guest in ["http-hello.wasm", "http-hello-p3.wasm"] {
        let served = Served::new(guest, 1);
        let (received, ended) = exchange(start(&served.program).await, get("/")).await;
        assert!(received.unwrap().text().starts_with("Hello"), "{guest}");
        let instance = ended.unwrap();
        assert_eq!(instance.requests_served(), 1);
        instance.finish().await;
    }
}

#[tokio::test]
async fn what_is_known_whole_has_a_length() {
    for guest in ["http-hello.wasm", "http-hello-p3.wasm"] {
        let served = Served::new(guest, 1);
        let mut asked = crate::ask(start(&served.program).await, get("/"));
        // The guest is through before anybody takes its answer.
        assert!(asked.work.await.is_ok());
        let body = asked.answer.try_recv().unwrap().into_body();
        let length = body.size_hint().exact();
        let (data, error) = crate::receive(body).await;
        assert_eq!((length, error), (Some(data.len() as u64), None), "{guest}");
    }
}

#[tokio::test]
async fn a_fresh_instance_knows_nothing_and_a_used_one_what_it_did() {
    for site in SITES {
        let served = Served::new(site, 2);
        let count = async |instance| {
            let (received, ended) = exchange(instance, get("/count")).await;
            (received.unwrap().text().trim().to_owned(), ended.unwrap())
        };
        let (first, used) = count(start(&served.program).await).await;
        let (again, used) = count(used).await;
        let (fresh, _) = count(start(&served.program).await).await;
        assert_eq!((used.requests_served(), first == fresh, first == again), (2, true, false), "{site}");
    }
}

/// A request's body that tells when it is gone.
struct Watched(#[expect(dead_code, reason = "it is dropped")] mpsc::Sender<()>, Option<Bytes>);

impl Body for Watched {
    type Data = Bytes;
    type Error = RequestBodyError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        // After its piece nothing comes, and no end.
        self.1.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[tokio::test]
async fn a_used_instance_keeps_no_body_of_a_former_request() {
    for site in SITES {
        let served = Served::new(site, 1);
        let mut instance = start(&served.program).await;
        for round in 0..50 {
            let (sender, mut gone) = mpsc::channel(1);
            let body = Watched(sender, Some(Bytes::from_static(b"unread")));
            let request = Request::builder().method(Method::POST).uri("/count").body(body).unwrap();
            let (received, ended) = exchange(instance, request).await;
            assert_eq!(received.map(|received| received.status), Some(200), "{site} {round}: {ended:?}");
            instance = ended.unwrap();
            assert!(matches!(gone.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)), "{site} {round}");
        }
    }
}

#[tokio::test]
async fn a_full_pool_has_no_room_until_an_instance_goes() {
    for site in SITES {
        let served = Served::new(site, 3);
        let mut live = Vec::new();
        for _ in 0..3 {
            live.push(start(&served.program).await);
        }
        let full = served.program.start(&spec(), Start::with(Stdio::Null)).await;
        assert!(matches!(full, Err(RunError::NoRoom)), "{site}: {full:?}");
        // Those that live have all they need.
        for instance in live {
            let (received, ended) = exchange(instance, get("/")).await;
            assert_eq!(received.unwrap().status, 200, "{site}");
            drop(ended.unwrap());
            drop(start(&served.program).await);
        }
    }
}

#[tokio::test]
async fn a_guest_that_starts_too_large_is_told() {
    let served = Served::new("http-site.wasm", 1);
    let mut spec = spec();
    spec.limits.memory_bytes = Some(65_536);
    let refused = served.program.start(&spec, Start::with(Stdio::Null)).await;
    assert!(matches!(refused, Err(RunError::Memory(_))), "{refused:?}");
}
