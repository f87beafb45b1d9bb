//! The body of a guest's request: it must not end well because its guest ended.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// The body of a request. A guest that ends in the middle of it, by a trap or a time limit, leaves a stream behind that has
/// just ended; to the server that would be all of a body without a length.
pub(super) struct Upload {
    body: WasiBody,
    life: Weak<()>,
}

impl Upload {
    /// A body of the guest that has `life`.
    pub(super) fn new(body: WasiBody, life: &Arc<()>) -> Upload {
        Upload { body, life: Arc::downgrade(life) }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match frame {
            None if self.life.strong_count() == 0 => Poll::Ready(Some(Err(Error::HttpRequestBodySize(None)))),
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty, Full};

    use super::*;

    #[tokio::test]
    async fn a_body_ends_well_only_while_its_guest_lives() {
        let life = Arc::new(());
        let body = || Full::new(Bytes::from("half")).map_err(|never| match never {}).boxed_unsync();
        assert_eq!(Upload::new(body(), &life).collect().await.unwrap().to_bytes(), "half");
        let orphan = Upload::new(body(), &life);
        let bodiless = Upload::new(Empty::new().map_err(|never| match never {}).boxed_unsync(), &life);
        drop(life);
        assert!(orphan.collect().await.is_err());
        assert!(bodiless.is_end_stream(), "nothing of it can be missing");
    }
}
