//! Bodies flow both ways at once, and a guest is held up by whoever takes its answer, not by memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use wasi::{HttpFailure, RequestBodyError};

use crate::guests::Served;
use crate::{Asked, ask, exchange, get, request, start};

/// A request's body that a test sends piece by piece.
struct Sent(mpsc::Receiver<Result<Bytes, RequestBodyError>>);

impl Body for Sent {
    type Data = Bytes;
    type Error = RequestBodyError;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

fn post(path: &str) -> (mpsc::Sender<Result<Bytes, RequestBodyError>>, Request<Sent>) {
    let (sender, receiver) = mpsc::channel(1);
    let request = Request::builder().method(Method::POST).uri(path).header("host", "h").body(Sent(receiver));
    (sender, request.unwrap())
}

#[tokio::test]
async fn each_piece_comes_back_before_the_next_is_sent() {
    let paths = [("http-site.wasm", "/echo"), ("http-site-p3.wasm", "/echo"), ("http-site-p3.wasm", "/copy")];
    for (site, path) in paths {
        let served = Served::new(site, 1);
        let (sender, request) = post(path);
        let Asked { answer, work } = ask(start(&served.program).await, request);
        let talk = async {
            let mut body = answer.await.unwrap().into_body();
            for round in 0..20_u8 {
                let piece = Bytes::from(vec![round; 1000]);
                sender.send(Ok(piece.clone())).await.unwrap();
                let mut back = Vec::new();
                while back.len() < piece.len() {
                    back.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
                }
                assert_eq!(back, piece, "{site}{path}");
            }
            drop(sender);
            let end = body.frame().await;
            assert!(end.is_none(), "{site}{path}: {end:?}");
        };
        let ((), ended) = tokio::join!(talk, work);
        assert!(ended.is_ok(), "{site}{path}: {ended:?}");
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_is_no_complete_one() {
    for site in ["http-site.wasm", "http-site-p3.wasm"] {
        for path in ["/sum", "/echo"] {
            let served = Served::new(site, 1);
            let (sender, request) = post(path);
            let breaks = async move {
                sender.send(Ok(Bytes::from_static(b"begin"))).await.unwrap();
                // The guest may have left already.
                let _ = sender.send(Err(RequestBodyError::BrokenOff)).await;
            };
            let ((received, ended), ()) = tokio::join!(exchange(start(&served.program).await, request), breaks);
            let is_whole = received.is_some_and(|received| received.error.is_none() && received.status == 200);
            assert!(!is_whole && ended.is_err(), "{site}{path}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_guest_writes_no_faster_than_its_answer_is_taken() {
    for site in ["http-site.wasm", "http-site-p3.wasm"] {
        let served = Served::new(site, 1);
        let Asked { answer, work } = ask(start(&served.program).await, get("/big?bytes=20000000"));
        let mut work = Box::pin(work);
        let mut body = tokio::select! {
            head = answer => head.unwrap().into_body(),
            ended = &mut work => panic!("{site} wrote all of it: {ended:?}"),
        };
        let mut taken = 0;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut work => break ended,
                frame = body.frame() => taken += frame.unwrap().unwrap().into_data().unwrap().len(),
            }
        };
        assert!(ended.is_ok());
        // What is left when the guest is done is what two writes can be.
        assert!(taken > 20_000_000 - 4 * 65_536, "{site}: {taken}");
        while let Some(frame) = body.frame().await {
            taken += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(taken, 20_000_000, "{site}");
        assert!(body.is_complete());
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_not_the_guests_fault() {
    for site in ["http-site.wasm", "http-site-p3.wasm"] {
        let served = Served::new(site, 1);
        let Asked { answer, work } = ask(start(&served.program).await, get("/big?bytes=1000000000000"));
        let leaves = async { drop(answer.await.unwrap()) };
        let ((), ended) = tokio::join!(leaves, work);
        assert!(matches!(ended, Ok(_) | Err(HttpFailure::Abandoned(_))), "{site}: {ended:?}");
    }
}

#[tokio::test]
async fn an_answer_to_head_is_written_to_nobody() {
    for site in ["http-site.wasm", "http-site-p3.wasm"] {
        let served = Served::new(site, 1);
        let Asked { answer, work } = ask(start(&served.program).await, request(Method::HEAD, "/big?bytes=900000"));
        let leaves = async {
            let body = answer.await.unwrap().into_body();
            assert!(body.is_complete(), "{site}");
        };
        let ((), ended) = tokio::join!(leaves, work);
        assert!(ended.is_ok(), "{site}: {ended:?}");
    }
}
