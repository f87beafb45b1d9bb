//! What the benchmarks share: a switchboard and its edges on a thread of their own, as a broker has them; servers in
//! processes of their own ([`peer`]), clients that load them ([`load`]), and the comparison of all in one run ([`compare`]).

pub mod compare;
pub mod load;
pub mod peer;

use capability::{Capability, Labels, keys};
use client::Handle;
use edge::egress::{self, EgressLimits};
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};
use switchboard::{Limits, Switchboard};

/// A switchboard with an egress, on a thread with an event loop.
#[derive(Debug)]
pub struct Broker {
    handle: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started: then there is nothing to measure.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to report")]
    pub fn start() -> Self {
        let (ours, theirs) = fdpass::pair().expect("a socket pair");
        let thread = thread::spawn(move || {
            let runtime = event_loop();
            runtime.block_on(serve(theirs)).expect("a switchboard");
        });
        Self { handle: Some(ours), thread: Some(thread) }
    }

    /// The one handle; the thread ends when it is closed.
    ///
    /// # Panics
    /// If it was taken already.
    #[expect(clippy::expect_used, reason = "a mistake of the benchmark")]
    pub fn take_handle(&mut self) -> OwnedFd {
        self.handle.take().expect("one handle")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.handle.take());
        if let Some(thread) = self.thread.take() {
            // It panicked: the benchmark has failed long before.
            let _ = thread.join();
        }
    }
}

/// An event loop of one thread, as every process of ours has.
///
/// # Panics
/// If the system gives none.
#[must_use]
#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to report")]
pub fn event_loop() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop")
}

async fn serve(handle: OwnedFd) -> Result<(), Box<dyn std::error::Error>> {
    let board = Switchboard::new(Limits::default());
    board.open(Capability::root(), handle)?;
    let (ours, theirs) = fdpass::pair()?;
    board.open(Capability::root(), theirs)?;
    let edges = Handle::new(ours)?;
    let outside = Labels::try_from_pairs([(keys::NETWORK, keys::OUTSIDE)])?;
    let target = edges.egress_start(&outside).await?;
    drop(edges);
    tokio::select! {
        () = board.serve() => {}
        ended = egress::run(target, EgressLimits::default()) => ended?,
    }
    Ok(())
}
