//! A compromised runner: it holds the handle that `cord run` gives for a guest, and says whatever it likes through it.
//!
//! `lies` is about what it claims and asks for, `packets` about what is no honest packet, `floods` about how much it
//! asks for, `latency` about what another runner notices. Each asks a real broker or switchboard.

mod floods;
mod latency;
mod lies;
mod packets;

use capability::{Labels, Refusal, keys};
use client::{Decisions, Handle, RequestError};
use cord_tests::runner::{Brokered, SERVICE};
use std::ffi::OsString;
use std::fmt::Debug;

/// A guest's handle in wrong hands, and a watcher who sees every decision.
struct Liar {
    broker: Brokered,
    handle: Handle,
    seen: Decisions,
}

impl Liar {
    /// What was typed are these flags of `cord run`.
    async fn start(flags: &[&str]) -> Self {
        Self::start_in(Vec::new(), flags).await
    }

    /// The same, in another network for example.
    async fn start_in(wrapper: Vec<OsString>, flags: &[&str]) -> Self {
        let broker = Brokered::start_in(wrapper, flags);
        let handle = Handle::new(broker.guest().await).unwrap();
        let seen = broker.strong().watch(&Labels::new()).await.unwrap();
        assert_eq!(seen.next().await.unwrap().request, "watch");
        Self { broker, handle, seen }
    }

    /// Expects that this was refused for this reason, and that the watcher is told so, and who it was.
    #[track_caller]
    fn expect_refused<T: Debug>(
        &self,
        request: &str,
        answer: Result<T, RequestError>,
        want: Refusal,
    ) -> impl Future<Output = ()> {
        match answer {
            Err(RequestError::Refused(refusal)) => assert_eq!(refusal, want, "{request}"),
            other => panic!("{request} should be refused ({want}): {other:?}"),
        }
        self.expect_told(request, want)
    }

    /// Expects that the next decision is this one.
    async fn expect_told(&self, request: &str, want: Refusal) {
        let told = self.seen.next().await.unwrap();
        assert_eq!((told.request.as_str(), told.failure, told.lost), (request, Some(want.into()), 0));
        assert_eq!(told.from.get(keys::CLIENT_SERVICE), Some(SERVICE), "who asked for {request}");
        assert_eq!(told.to, Labels::new());
    }

    /// Expects that the watcher is told of an allowed request.
    async fn expect_allowed(&self, request: &str) {
        let told = self.seen.next().await.unwrap();
        assert_eq!((told.request.as_str(), told.failure), (request, None));
    }
}
