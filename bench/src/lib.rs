//! What the programs of this package share: an event loop, and the decision that is measured (`decision`).

pub mod decision;

/// An event loop of one thread, as every process of ours has.
///
/// # Panics
/// If the system gives none.
#[must_use]
#[expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to report")]
pub fn event_loop() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop")
}
