//! What streams, both ways.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use http_client::{Client, RequestError, Timeouts};
use tokio::sync::mpsc;

use crate::certificates::{Authority, Ends};
use crate::world::{AnyBody, World, ok};

const PIECE: usize = 16 * 1024;

/// What may be on its way: the buffers of a socket pair, of TLS, of the libraries and one stream's window.
const ON_ITS_WAY: usize = 4 << 20;

const ALL: usize = 64 << 20;

/// Pieces of a body, counted as somebody takes them.
struct Pieces {
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= PIECE;
        self.taken.fetch_add(PIECE, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; PIECE])))))
    }
}

fn pieces() -> (Pieces, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    (Pieces { left: ALL, taken: Arc::clone(&taken) }, taken)
}

/// Reads a body to its end, giving the other side a turn before each piece, and holds how far ahead that is against what
/// may be on its way.
async fn read_slowly<B>(mut body: B, written: &AtomicUsize) -> usize
where
    B: Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let ahead = written.load(Ordering::Relaxed) - read;
        assert!(ahead <= ON_ITS_WAY, "{ahead} bytes are on their way");
    }
    read
}

/// The same server in clear text, and under TLS with HTTP/2, each with its client.
fn both<H, F>(handler: H) -> [(Arc<World>, Client, &'static str); 2]
where
    H: Fn(Request<hyper::body::Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<AnyBody>> + Send + 'static,
{
    let authority = Authority::new();
    let clear = World::http1(handler.clone());
    let tls = World::tls(authority.server("a.example", Ends::Later, &["h2"]), handler);
    let (one, other) = (clear.client(), tls.trusting(authority.trusted()));
    [(clear, one, "http://a.example/"), (tls, other, "https://a.example/")]
}

#[tokio::test]
async fn a_response_comes_as_fast_as_it_is_read() {
    let (_, total) = pieces();
    let count = Arc::clone(&total);
    for (_world, client, uri) in both(move |_| {
        let pieces = Pieces { left: ALL, taken: Arc::clone(&count) };
        async { Response::new(pieces.boxed_unsync()) }
    }) {
        total.store(0, Ordering::Relaxed);
        let response = crate::world::get(&client, uri).await.unwrap();
        assert_eq!(read_slowly(response.into_body(), &total).await, ALL);
    }
}

#[tokio::test]
async fn a_request_goes_as_fast_as_it_is_read() {
    let (_, total) = pieces();
    let count = Arc::clone(&total);
    for (_world, client, uri) in both(move |request| {
        let count = Arc::clone(&count);
        async move { ok(read_slowly(request.into_body(), &count).await.to_string()) }
    }) {
        total.store(0, Ordering::Relaxed);
        let body = Pieces { left: ALL, taken: Arc::clone(&total) };
        let response = client.send(Request::post(uri).body(body).unwrap(), Timeouts::default()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), ALL.to_string());
    }
}

/// Words as somebody says them.
struct Words(mpsc::Receiver<&'static str>);

impl Body for Words {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx).map(|word| word.map(|word| Ok(Frame::data(Bytes::from(word)))))
    }
}

#[tokio::test]
async fn a_response_may_begin_before_the_request_ends() {
    for (_world, client, uri) in
        both(|request| async { Response::new(request.into_body().map_err(io::Error::other).boxed_unsync()) })
    {
        let (sender, words) = mpsc::channel(1);
        let body = Words(words);
        let response = client.send(Request::post(uri).body(body).unwrap(), Timeouts::default());
        let mut body = response.await.unwrap().into_body();
        for word in ["one", "two", "three"] {
            sender.send(word).await.unwrap();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), word);
        }
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "");
    }
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let trailers = |value: &str| HeaderMap::from_iter([("x-sum".parse().unwrap(), value.parse().unwrap())]);
    for (_world, client, uri) in both(move |request| async move {
        let received = request.into_body().collect().await.unwrap().trailers().cloned();
        let body = Pieces { left: PIECE, taken: Arc::default() };
        let mut answer = Response::new(body.with_trailers(async { received.map(Ok) }).boxed_unsync());
        answer.headers_mut().insert("trailer", "x-sum".parse().unwrap());
        answer
    }) {
        // HTTP/1.1 has no trailers behind a body of known length.
        let body = Pieces { left: PIECE, taken: Arc::default() };
        let body = body.with_trailers(async move { Some(Ok(trailers("42"))) });
        let request = Request::post(uri).header("trailer", "x-sum").body(body).unwrap();
        let response = client.send(request, Timeouts::default()).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers("42")), "{uri}");
        assert_eq!(collected.to_bytes().len(), PIECE);
    }
}

/// Fails after its first piece.
struct Failing(usize);

impl Body for Failing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from("half"))))),
            // What came so far goes out in the meantime.
            2..10 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Some(Err(io::Error::other("the guest went")))),
        }
    }
}

#[tokio::test]
async fn a_request_whose_body_fails_says_why() {
    for (_world, client, uri) in both(|request| async {
        match request.into_body().collect().await {
            Ok(all) => panic!("half a request was taken for all of it: {all:?}"),
            Err(_) => ok("never seen"),
        }
    }) {
        let failed = client.send(Request::post(uri).body(Failing(0)).unwrap(), Timeouts::default()).await;
        let Err(RequestError::RequestBody(cause)) = failed else { panic!("{uri} {failed:?}") };
        assert_eq!(cause.downcast::<io::Error>().unwrap().to_string(), "the guest went");
    }
}

#[tokio::test]
async fn a_response_that_fails_half_way_is_incomplete() {
    for (_world, client, uri) in both(|_| async { Response::new(Failing(0).boxed_unsync()) }) {
        let failed = crate::world::fetch(&client, uri).await;
        assert!(matches!(failed, Err(RequestError::ResponseIncomplete)), "{uri} {failed:?}");
    }
}
