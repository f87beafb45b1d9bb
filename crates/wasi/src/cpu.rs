//! Makes a guest that has computed as much as it may wait, while it is driven.
//!
//! Whatever the guest's future does on its thread counts: the guest's own code, and what its host does for it. That a
//! guest which computes comes back here at all is the ticker's work (see [`crate::store`]).

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use sandbox::{Cores, CpuShare};
use tokio::time::{Sleep, sleep};

/// What all instances of a guest may compute together. Clones share it.
#[derive(Clone, Debug)]
pub struct Cpus(Arc<CpuShare>);

impl Cpus {
    /// So many cores, from now on.
    #[must_use]
    pub fn new(cores: Cores) -> Cpus {
        Cpus(Arc::new(CpuShare::new(cores, now())))
    }
}

/// Drives a guest, within `cpus` if there is a bound.
pub(crate) async fn within<T>(cpus: Option<&Cpus>, guest: impl Future<Output = T>) -> T {
    let Some(Cpus(share)) = cpus else { return guest.await };
    let mut guest = pin!(guest);
    let mut rest: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        if rest.is_none() {
            rest = share.wait(now()).map(|time| Box::pin(sleep(time)));
        }
        if let Some(rest) = &mut rest {
            ready!(rest.as_mut().poll(cx));
        }
        rest = None;
        let before = computed();
        let polled = guest.as_mut().poll(cx);
        share.charge(computed().saturating_sub(before), now());
        polled
    })
    .await
}

fn now() -> Duration {
    since_zero(clock_gettime(ClockId::Monotonic))
}

/// What this thread has computed.
fn computed() -> Duration {
    since_zero(clock_gettime(ClockId::ThreadCPUTime))
}

/// Neither clock is ever before its zero.
fn since_zero(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn what_is_computed_is_charged_and_owed_time_is_waited_for() {
        let cpus = Cpus::new(Cores::thousandths(100));
        let mut turns = 0;
        let spin = poll_fn(|cx| {
            let began = computed();
            while computed().saturating_sub(began) < Duration::from_millis(20) {}
            turns += 1;
            cx.waker().wake_by_ref();
            if turns == 3 { Poll::Ready(()) } else { Poll::Pending }
        });
        let (began, used) = (now(), computed());
        within(Some(&cpus), spin).await;
        let (elapsed, used) = (now().saturating_sub(began), computed().saturating_sub(used));
        // 20 ms are owed 100 ms after the first 10; the last turn is waited for by whoever comes next.
        assert!(elapsed > 4 * used, "{used:?} in {elapsed:?}");
        assert!(cpus.0.wait(now()).is_some());
    }

    #[tokio::test]
    async fn without_a_bound_nothing_is_in_between() {
        assert_eq!(within(None, async { 7 }).await, 7);
        let idle = Cpus::new(Cores::thousandths(1000));
        assert_eq!(within(Some(&idle), async { 8 }).await, 8);
    }
}
