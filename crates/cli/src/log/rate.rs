//! Decides which lines of a guest are kept: so many bytes a second, and some seconds' worth at once.
//!
//! When there is nothing left, nothing is kept until a second's worth has come in. So what is dropped is dropped in a
//! piece, and told in a line; a guest that never stops printing causes about one such line a second.

use std::fmt;
use std::mem;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A guest that was silent may print so many seconds' worth at once.
const BURST_SECONDS: u64 = 4;

/// A second.
const NANOSECONDS: u128 = 1_000_000_000;

/// What is left for a guest to print.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_per_second: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// In bytes, for the next line. The last one that was kept may have been longer than what there was.
    left: i64,
    /// When that was so.
    at: Duration,
    /// Nothing is kept until there is a second's worth.
    is_closed: bool,
    dropped: Dropped,
}

/// Lines that were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    lines: u64,
    bytes: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is kept, and follows those that were not.
    Kept {
        /// Lines that were dropped since the last one that was kept.
        after: Option<Dropped>,
    },
    /// It is not.
    Dropped,
}

impl Rate {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        let bytes_per_second = bytes_per_second.get();
        let left = signed(bytes_per_second.saturating_mul(BURST_SECONDS));
        let state = State { left, at: Duration::ZERO, is_closed: false, dropped: Dropped::default() };
        Self { bytes_per_second, state: Mutex::new(state) }
    }

    /// Judges a line that came at `now`, counted from some time in the past.
    pub(super) fn judge(&self, bytes: usize, now: Duration) -> Verdict {
        let mut state = self.lock();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        state.earn(self.bytes_per_second, now);
        if state.is_closed && state.left >= signed(self.bytes_per_second) {
            state.is_closed = false;
        }
        if state.is_closed || state.left <= 0 {
            state.is_closed = true;
            state.dropped.lines += 1;
            state.dropped.bytes = state.dropped.bytes.saturating_add(bytes);
            return Verdict::Dropped;
        }
        state.left = state.left.saturating_sub(signed(bytes));
        Verdict::Kept { after: state.take_dropped() }
    }

    /// What was dropped since the last line that was kept.
    pub(super) fn dropped(&self) -> Option<Dropped> {
        self.lock().take_dropped()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds what has come in. Less than a byte is left for the next time.
    fn earn(&mut self, bytes_per_second: u64, now: Duration) {
        let rate = u128::from(bytes_per_second);
        let bytes = rate.saturating_mul(now.saturating_sub(self.at).as_nanos()) / NANOSECONDS;
        let nanoseconds = u64::try_from(bytes.saturating_mul(NANOSECONDS) / rate).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(Duration::from_nanos(nanoseconds));
        let most = signed(bytes_per_second.saturating_mul(BURST_SECONDS));
        self.left = self.left.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX)).min(most);
    }

    fn take_dropped(&mut self) -> Option<Dropped> {
        let dropped = mem::take(&mut self.dropped);
        (dropped.lines > 0).then_some(dropped)
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, bytes } = self;
        let (ending, were) = if *lines == 1 { ("", "was") } else { ("s", "were") };
        write!(
            f,
            "cord: {lines} line{ending}, {bytes} bytes, that the guest printed {were} dropped: more than --log-rate lets by"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes_per_second: u64) -> Rate {
        Rate::new(NonZeroU64::new(bytes_per_second).unwrap())
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Judges a line of so many bytes each millisecond: the bytes that were kept, and how often that began anew.
    fn flood(rate: &Rate, bytes: usize, millis: std::ops::Range<u64>) -> (u64, u64) {
        let (mut kept, mut told) = (0, 0);
        for now in millis {
            if let Verdict::Kept { after } = rate.judge(bytes, at(now)) {
                kept += bytes as u64;
                told += u64::from(after.is_some());
            }
        }
        (kept, told)
    }

    #[test]
    fn a_guest_that_never_stops_gets_its_rate_and_is_told_of_once_a_second() {
        let rate = rate(1000);
        let (kept, told) = flood(&rate, 100, 0..60_000);
        assert!((60_000..=65_000).contains(&kept), "{kept}");
        assert!((45..=60).contains(&told), "{told}");
    }

    #[test]
    fn a_guest_that_was_silent_may_print_four_seconds_worth() {
        let rate = rate(1000);
        assert_eq!(flood(&rate, 100, 0..39), (3900, 0));
        let later = 10_000_000;
        assert_eq!(flood(&rate, 100, later..later + 40), (4000, 0));
        assert_eq!(rate.dropped(), None);
    }

    #[test]
    fn what_is_dropped_is_dropped_in_a_piece_and_counted() {
        let rate = rate(100);
        assert_eq!(rate.judge(500, at(0)), Verdict::Kept { after: None });
        for now in [1, 2, 1999] {
            assert_eq!(rate.judge(10, at(now)), Verdict::Dropped, "{now}");
        }
        // A second's worth is there: what was owed is paid, and 100 bytes beyond.
        let after = Some(Dropped { lines: 3, bytes: 30 });
        assert_eq!(rate.judge(10, at(2100)), Verdict::Kept { after });
        assert_eq!(rate.judge(10, at(2101)), Verdict::Kept { after: None });
        assert_eq!(rate.dropped(), None);
    }

    #[test]
    fn slow_clocks_and_large_numbers_do_no_harm() {
        let rate = rate(u64::MAX);
        assert_eq!(rate.judge(usize::MAX, Duration::MAX), Verdict::Kept { after: None });
    }

    #[test]
    fn nothing_is_lost_by_asking_often() {
        let slow = rate(1);
        flood(&slow, 1, 0..10_000);
        assert_eq!(flood(&slow, 1, 10_000..20_000).0, 10);
    }
}
