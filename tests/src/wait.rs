//! Waits for facts.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Nothing here takes a tenth of this on the slowest machine; it only ends what hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

/// Waits until `look` finds something.
pub fn for_some<T>(what: impl Debug, mut look: impl FnMut() -> Option<T>) -> T {
    let started = now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited too long for {what:?}");
        sleep(POLL);
    }
}

/// Waits until `holds`.
pub fn until(what: impl Debug, mut holds: impl FnMut() -> bool) {
    for_some(what, || holds().then_some(()));
}

/// Waits a few seconds until `holds`, and tells whether it came to that.
pub fn briefly(mut holds: impl FnMut() -> bool) -> bool {
    let started = now();
    while started.elapsed() < PATIENCE / 20 {
        if holds() {
            return true;
        }
        sleep(POLL);
    }
    false
}

/// Waits until `look` finds `want`, and says what it found last if it never does.
pub fn for_equal<T: PartialEq + Debug>(what: &str, want: &T, mut look: impl FnMut() -> T) {
    let started = now();
    loop {
        let found = look();
        if found == *want {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: want {want:?}, still {found:?}");
        sleep(POLL);
    }
}

/// Runs `work` on an event loop of this thread.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("it hangs") })
}

#[expect(clippy::disallowed_methods, reason = "the clock that ends what hangs; no test looks at it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Whether patience has run out since `started`.
pub(crate) fn too_long(started: Instant) -> bool {
    started.elapsed() >= PATIENCE
}

/// A moment to let others run between two looks.
pub fn moment() {
    sleep(POLL);
}
