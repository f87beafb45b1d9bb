//! A request as it is handed to a guest: its body is lent, and taken back when the guest is done with the request.
//!
//! A guest that answers a second request must not keep the first one's body open, however careless it is with what it was
//! given.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderValue;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use wasmtime_wasi_http::{Error, WasiBody};

/// The way that a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
    Http,
    /// Over TLS.
    Https,
}

/// Why the body of a request broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestBodyError {
    /// The client sent nothing for too long.
    #[error("the client sent nothing for too long")]
    TimedOut,
    /// The client is gone, or sent what is no HTTP.
    #[error("the client broke the body off")]
    BrokenOff,
    /// There is more than anybody takes.
    #[error("the body is too large")]
    TooLarge,
}

impl From<RequestBodyError> for Error {
    fn from(error: RequestBodyError) -> Error {
        match error {
            RequestBodyError::TimedOut => Error::ConnectionReadTimeout,
            RequestBodyError::BrokenOff => Error::ConnectionTerminated,
            RequestBodyError::TooLarge => Error::HttpRequestBodySize(None),
        }
    }
}

/// A body in the hands of a guest.
struct Lent<B>(Arc<Mutex<Loan<B>>>);

/// Takes the body back when it is dropped.
pub(super) struct Lender<B>(Arc<Mutex<Loan<B>>>);

enum Loan<B> {
    /// The guest may read. Somebody may wait for more.
    Open(Pin<Box<B>>, Option<Waker>),
    /// There is nothing more.
    Ended,
    /// The guest's time with it is over.
    TakenBack,
}

/// Lends a body. What is empty anyway needs no taking back.
pub(super) fn lend<B>(body: B) -> (WasiBody, Option<Lender<B>>)
where
    B: Body<Data = Bytes, Error = RequestBodyError> + Send + 'static,
{
    if body.is_end_stream() {
        return (Empty::new().map_err(Into::into).boxed_unsync(), None);
    }
    let loan = Arc::new(Mutex::new(Loan::Open(Box::pin(body), None)));
    (Lent(Arc::clone(&loan)).boxed_unsync(), Some(Lender(loan)))
}

fn lock<B>(loan: &Mutex<Loan<B>>) -> MutexGuard<'_, Loan<B>> {
    loan.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Body for Lent<B>
where
    B: Body<Data = Bytes, Error = RequestBodyError> + Send + 'static,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut loan = lock(&self.0);
        match &mut *loan {
            Loan::Open(body, waiting) => {
                let polled = body.as_mut().poll_frame(cx);
                match &polled {
                    Poll::Pending => *waiting = Some(cx.waker().clone()),
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(None | Some(Err(_))) => *loan = Loan::Ended,
                }
                polled.map_err(Error::from)
            }
            Loan::Ended => Poll::Ready(None),
            Loan::TakenBack => {
                *loan = Loan::Ended;
                Poll::Ready(Some(Err(Error::ConnectionTerminated)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &*lock(&self.0) {
            Loan::Open(body, _) => body.is_end_stream(),
            Loan::Ended => true,
            Loan::TakenBack => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &*lock(&self.0) {
            Loan::Open(body, _) => body.size_hint(),
            Loan::Ended => SizeHint::with_exact(0),
            Loan::TakenBack => SizeHint::default(),
        }
    }
}

impl<B> Drop for Lender<B> {
    fn drop(&mut self) {
        let mut loan = lock(&self.0);
        if let Loan::Open(_, waiting) = &mut *loan {
            let waiting = waiting.take();
            *loan = Loan::TakenBack;
            drop(loan);
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        }
    }
}

/// Whom the client meant. HTTP/1.0 lets it say nothing.
pub(super) fn authority(head: &Parts) -> Option<Authority> {
    let named = || Authority::try_from(head.headers.get(HOST)?.as_bytes()).ok();
    head.uri.authority().cloned().or_else(named)
}

/// Names this machine where the client named nobody: the engine's binding for WASI 0.2 takes no other request, and what
/// guests are built on takes no empty name.
pub(super) fn name_somebody(head: &mut Parts) {
    if authority(head).is_none() {
        head.headers.insert(HOST, HeaderValue::from_static("localhost"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(uri: &str, host: Option<&[u8]>) -> Parts {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_target_is_known_by_line_or_header() {
        let check = |uri: &str, host: Option<&[u8]>, expected: Option<&str>| {
            let head = head(uri, host);
            assert_eq!(authority(&head).as_ref().map(Authority::as_str), expected, "{uri} {host:?}");
        };
        check("/a", Some(b"example.com:80"), Some("example.com:80"));
        check("http://line/a", Some(b"header"), Some("line"));
        check("/a", None, None);
        check("/a", Some(b""), None);
        check("/a", Some(b"\xff"), None);
    }

    #[test]
    fn a_request_that_names_nobody_means_this_machine() {
        let check = |uri: &str, host: Option<&[u8]>, expected: Option<&[u8]>| {
            let mut head = head(uri, host);
            name_somebody(&mut head);
            assert_eq!(head.headers.get(HOST).map(HeaderValue::as_bytes), expected, "{uri} {host:?}");
        };
        check("/", None, Some(b"localhost"));
        check("/", Some(b""), Some(b"localhost"));
        check("/", Some(b"\xff"), Some(b"localhost"));
        check("/", Some(b"no name"), Some(b"localhost"));
        check("/", Some(b"a:1"), Some(b"a:1"));
        check("http://a/", None, None);
    }

    /// A body that has one piece and then nothing for ever.
    struct Slow(Option<Bytes>);
    impl Body for Slow {
        type Data = Bytes;
        type Error = RequestBodyError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
            match self.0.take() {
                Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_taken_back_from_whoever_keeps_it() {
        let (mut body, lender) = lend(Slow(Some(Bytes::from_static(b"piece"))));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
        let reading = async {
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(matches!(error, Error::ConnectionTerminated));
            assert!(body.frame().await.is_none());
        };
        // The reader waits first, and is woken.
        tokio::join!(reading, async { drop(lender) });
    }

    #[tokio::test]
    async fn what_ended_needs_no_taking_back() {
        let (_, lender) = lend(Empty::new().map_err(|never| match never {}));
        assert!(lender.is_none());
        let (body, lender) =
            lend(http_body_util::Full::new(Bytes::from_static(b"all")).map_err(|never| match never {}));
        let all = body.collect().await.unwrap().to_bytes();
        drop(lender);
        assert_eq!(all, "all");
    }

    #[test]
    fn the_guest_learns_why_a_body_broke_off() {
        assert!(matches!(Error::from(RequestBodyError::TimedOut), Error::ConnectionReadTimeout));
        assert!(matches!(Error::from(RequestBodyError::BrokenOff), Error::ConnectionTerminated));
        assert!(matches!(Error::from(RequestBodyError::TooLarge), Error::HttpRequestBodySize(None)));
    }
}
