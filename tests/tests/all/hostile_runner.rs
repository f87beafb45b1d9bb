//! A compromised runner: it holds the handle that `cord run` gives for a guest, and says whatever it likes through it.
//!
//! `lies` is about what it claims and asks for, `packets` about what is no honest packet, `floods` about how much it
//! asks for, `latency` about what another runner notices. Each asks a real broker or switchboard.

mod floods;
mod latency;
mod lies;
mod packets;

use capability::{Constraint, Grant, Labels, Pattern, Refusal, Right, keys};
use client::{Decisions, Handle, RequestError};
use cord_tests::board::Board;
use cord_tests::process::{Outcome, Running, computed};
use cord_tests::runner::{Brokered, SERVICE};
use cord_tests::wait;
use rustix::process::Signal;
use std::ffi::OsString;
use std::fmt::Debug;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

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

/// A handle of a runner's own at a switchboard that several share.
async fn weaker(board: &Board) -> OwnedFd {
    let both = [Right::ClientConnect, Right::ServerStart];
    let grants = both.map(|right| Grant::new(right).with("service", Pattern::Any).unwrap());
    let rights = both.into_iter().collect();
    let own = Constraint { rights, grants: Some(grants.into()), ..Constraint::default() };
    board.handle().constrain(&own).await.unwrap()
}

/// A runner in a process of its own (`tests/src/bin/rival.rs`).
struct Rival {
    process: Running,
}

impl Rival {
    fn start(handle: OwnedFd, words: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rival"));
        Running::start(command.args(words).stdin(Stdio::from(handle)).stderr(Stdio::piped()))
    }

    /// One that connects to itself so many times and tells how long each took.
    fn measure(board: &Board, count: &str) -> Outcome {
        let outcome = Self::start(wait::run(weaker(board)), &["measure", count, "service=db"]).wait();
        outcome.expect_silent_success();
        outcome
    }

    /// One that floods, and has begun.
    fn flood(board: &Board, kind: &str) -> Self {
        let process = Self::start(wait::run(weaker(board)), &["flood", kind, "service=none"]);
        process.wait_for_stdout("flooding");
        Self { process }
    }

    /// Lets it sleep, and waits until the switchboard has nothing left of what it said.
    fn pause(&self, board: &Board) {
        self.process.signal(Signal::STOP);
        let computed = || computed(board.process().pid());
        wait::until("the end of the flood", || {
            let before = computed();
            // As long as a party may have to rest.
            (0..40).for_each(|_| wait::moment());
            computed() == before
        });
    }

    fn go_on(&self) {
        self.process.signal(Signal::CONT);
        (0..20).for_each(|_| wait::moment());
    }
}
