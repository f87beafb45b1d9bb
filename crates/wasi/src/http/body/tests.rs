//! Bodies against the engine's own ones, which a guest writes to through WASI 0.2, and against ones made for the occasion.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use http_body_util::BodyExt;
use tokio::sync::mpsc;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};

use super::*;

const CHUNK_BYTES: usize = 1024;

/// A body as a guest of WASI 0.2 has it: what it writes to, and what comes out.
fn guest_body(size: Option<u64>) -> (HostOutgoingBody, Box<dyn OutputStream>, WasiBody) {
    let (mut body, source) = HostOutgoingBody::new(StreamContext::Response, size, 1, CHUNK_BYTES);
    let stream = body.take_output_stream().unwrap();
    (body, stream, source)
}

fn pass(source: WasiBody, declared_bytes: Option<u64>) -> (HttpBody, Arc<Passage>) {
    Passage::new(Departure { source, declared_bytes, for_head: false, telling: None })
}

/// A body that frames are sent to, without an end until the sender goes.
struct Fed(mpsc::UnboundedReceiver<Result<Frame<Bytes>, Error>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.0.poll_recv(cx)
    }
}

fn fed() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, Error>>, WasiBody) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Fed(receiver).boxed_unsync())
}

fn piece(text: &'static str) -> Result<Frame<Bytes>, Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// What a receiver gets: the data, and the error if there was one.
async fn take(mut body: impl Body<Data = Bytes, Error = impl fmt::Debug> + Unpin) -> (Vec<u8>, Option<String>) {
    let mut data = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => data.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => return (data, Some(format!("{error:?}"))),
        }
    }
    (data, None)
}

/// Whether somebody was woken.
#[derive(Default)]
struct Alarm(AtomicBool);
impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
impl Alarm {
    fn was_raised(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_body_whose_guest_is_gone_is_broken_though_the_engine_calls_it_whole() {
    for passes in [false, true] {
        let (body, mut stream, source) = guest_body(None);
        stream.write(Bytes::from_static(b"half")).unwrap();
        if passes {
            let (received, passage) = pass(source, None);
            assert_eq!(passage.close(), End::Broken(HttpBodyError::Unfinished));
            drop((body, stream));
            assert!(!received.is_complete());
            assert_eq!(take(received).await, (b"half".to_vec(), Some("Unfinished".to_owned())));
        } else {
            drop((body, stream));
            assert_eq!(take(source).await, (b"half".to_vec(), None));
        }
    }
}

#[tokio::test]
async fn a_finished_body_needs_no_guest() {
    let (body, mut stream, source) = guest_body(None);
    let (received, passage) = pass(source, None);
    stream.write(Bytes::from_static(b"all ")).unwrap();
    stream.write(Bytes::from_static(b"of it")).unwrap();
    drop(stream);
    body.finish(None).unwrap();
    assert_eq!(passage.close(), End::Complete);
    assert_eq!(received.size_hint().exact(), Some(9));
    assert!(!received.is_end_stream() && !received.is_complete());
    assert_eq!(take(received).await, (b"all of it".to_vec(), None));
}

#[tokio::test]
async fn a_task_that_has_done_much_still_learns_the_end() {
    let (body, mut stream, source) = guest_body(None);
    let (received, passage) = pass(source, None);
    stream.write(Bytes::from_static(b"all")).unwrap();
    drop(stream);
    body.finish(None).unwrap();
    let (sender, mut work) = mpsc::unbounded_channel();
    (0..1000).for_each(|number| sender.send(number).unwrap());
    // In one turn, and then the end of the guest in the same one.
    let end = poll_fn(|cx| {
        while work.poll_recv(cx).is_ready() {}
        Poll::Ready(passage.close())
    });
    assert_eq!(end.await, End::Complete);
    assert!(!work.is_empty());
    assert_eq!(take(received).await, (b"all".to_vec(), None));
}

#[tokio::test]
async fn trailers_come_last() {
    let (body, mut stream, source) = guest_body(None);
    let (mut received, passage) = pass(source, None);
    stream.write(Bytes::from_static(b"data")).unwrap();
    drop(stream);
    let mut trailers = FieldMap::new_mutable(CHUNK_BYTES);
    trailers.append_raw(http::header::ETAG, http::HeaderValue::from_static("tag")).unwrap();
    body.finish(Some(trailers)).unwrap();
    assert_eq!(passage.close(), End::Complete);
    assert_eq!(received.frame().await.unwrap().unwrap().into_data().unwrap(), "data");
    assert!(!received.is_end_stream());
    let trailers = received.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers[http::header::ETAG], "tag");
    assert!(received.frame().await.is_none() && received.is_complete() && received.is_end_stream());
}

#[tokio::test]
async fn a_body_has_the_length_that_its_header_says() {
    let check = async |pieces: &[&'static str], declared: u64, expected: (&str, Option<(u64, u64)>)| {
        let (sender, source) = fed();
        pieces.iter().for_each(|text| sender.send(piece(text)).unwrap());
        drop(sender);
        let (received, _passage) = pass(source, Some(declared));
        assert_eq!(received.size_hint().exact(), Some(declared));
        let error = expected.1.map(|(declared_bytes, sent_bytes)| HttpBodyError::Length { declared_bytes, sent_bytes });
        let error = error.map(|error| format!("{error:?}"));
        assert_eq!(take(received).await, (expected.0.as_bytes().to_vec(), error), "{pieces:?}");
    };
    check(&["abc", "de"], 5, ("abcde", None)).await;
    check(&["abc"], 5, ("abc", Some((5, 3)))).await;
    check(&["abc", "def"], 5, ("abc", Some((5, 6)))).await;
    check(&[], 5, ("", Some((5, 0)))).await;
    check(&[], 0, ("", None)).await;
    check(&["", "a", ""], 1, ("a", None)).await;
    let long = HttpBodyError::Length { declared_bytes: 1, sent_bytes: 2 };
    assert_eq!(long.to_string(), "the body has at least 2 bytes and should have 1");
}

#[tokio::test]
async fn a_body_that_its_guest_gives_up_is_broken() {
    let (body, mut stream, source) = guest_body(Some(10));
    let (received, passage) = pass(source, Some(10));
    stream.write(Bytes::from_static(b"half")).unwrap();
    drop(stream);
    assert!(body.finish(None).is_err());
    assert!(matches!(passage.close(), End::Broken(HttpBodyError::GivenUp { .. })));
    let (data, error) = take(received).await;
    assert_eq!((&*data, error.is_some()), (&b"half"[..], true));
}

#[tokio::test]
async fn a_receiver_that_waits_is_woken_by_the_end() {
    let (sender, source) = fed();
    let (mut received, passage) = pass(source, None);
    let waits = async { received.frame().await.unwrap().unwrap_err() };
    let ends = async { passage.close() };
    let (error, _) = tokio::join!(waits, ends);
    assert_eq!(error, HttpBodyError::Unfinished);
    drop(sender);
}

#[tokio::test]
async fn a_receiver_that_leaves_is_noticed_by_the_guest() {
    let (_body, mut stream, source) = guest_body(None);
    let (telling, told) = oneshot::channel();
    let (received, passage) =
        Passage::new(Departure { source, declared_bytes: None, for_head: false, telling: Some(telling) });
    drop(received);
    assert!(matches!(stream.write(Bytes::from_static(b"late")), Err(StreamError::Closed)));
    assert!(matches!(told.await.unwrap(), Err(Error::ConnectionTerminated)));
    assert_eq!(passage.close(), End::Unwanted);
}

/// More than a guest that ended leaves behind: then the body is somebody else's, such as the request's own.
#[tokio::test]
async fn a_driver_waits_for_a_long_body_and_wakes_nobody_in_vain() {
    let (alarm, rung) = (Arc::new(Alarm::default()), Arc::new(Alarm::default()));
    let (driver, receiver) = (Waker::from(Arc::clone(&alarm)), Waker::from(Arc::clone(&rung)));
    let (mut driver, mut receiver) = (Context::from_waker(&driver), Context::from_waker(&receiver));
    let (sender, source) = fed();
    let (mut received, passage) = pass(source, None);
    assert!(Pin::new(&mut received).poll_frame(&mut receiver).is_pending());
    assert!(passage.poll_settled(&mut driver).is_pending());
    // It is the receiver that the source wakes, though the driver asked last.
    sender.send(piece("1")).unwrap();
    assert!(rung.was_raised());
    (1..10).for_each(|_| sender.send(piece("1")).unwrap());
    drop(sender);
    assert!(passage.poll_settled(&mut driver).is_pending());
    for taken in 0..10 {
        assert!(!alarm.was_raised() || taken > 5, "{taken}");
        assert!(matches!(Pin::new(&mut received).poll_frame(&mut receiver), Poll::Ready(Some(Ok(_)))));
    }
    assert!(matches!(Pin::new(&mut received).poll_frame(&mut receiver), Poll::Ready(None)));
    assert!(alarm.was_raised());
    assert!(passage.poll_settled(&mut driver).is_ready());
    assert_eq!(passage.close(), End::Complete);
}

#[tokio::test]
async fn what_nobody_gets_because_of_head_is_thrown_away() {
    let (body, mut stream, source) = guest_body(None);
    let (telling, told) = oneshot::channel();
    let (received, passage) =
        Passage::new(Departure { source, declared_bytes: None, for_head: true, telling: Some(telling) });
    assert!(received.is_complete());
    drop(received);
    let writes = async {
        for _ in 0..10 {
            stream.ready().await;
            assert!(stream.check_write().unwrap() > 0);
            stream.write(Bytes::from_static(&[0; CHUNK_BYTES])).unwrap();
        }
        drop(stream);
        body.finish(None).unwrap();
    };
    drive(&passage, writes).await;
    assert_eq!(passage.close(), End::Complete);
    assert!(told.await.unwrap().is_ok());
}

#[tokio::test]
async fn what_nobody_gets_is_not_written_for_ever() {
    let (_body, mut stream, source) = guest_body(None);
    let (received, passage) = Passage::new(Departure { source, declared_bytes: None, for_head: true, telling: None });
    drop(received);
    let writes = async {
        let mut written_bytes = 0;
        loop {
            stream.ready().await;
            if stream.write(Bytes::from_static(&[0; CHUNK_BYTES])).is_err() {
                break written_bytes;
            }
            written_bytes += CHUNK_BYTES as u64;
        }
    };
    let written_bytes = drive(&passage, writes).await;
    assert!((MAX_DISCARDED_BYTES..2 * MAX_DISCARDED_BYTES).contains(&written_bytes), "{written_bytes}");
    assert_eq!(passage.close(), End::Unwanted);
}

/// Drives a guest as a reply does.
async fn drive<T>(passage: &Passage, guest: impl Future<Output = T>) -> T {
    let mut guest = pin!(guest);
    poll_fn(|cx| {
        passage.discard(cx);
        guest.as_mut().poll(cx)
    })
    .await
}
