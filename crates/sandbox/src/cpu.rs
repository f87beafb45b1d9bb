//! Decides how long a guest that has computed much must wait before it goes on.
//!
//! An account in time: it fills as the clock goes, `cores` times as fast, up to what one period brings; what all
//! instances of a guest compute is taken from it. Nobody is stopped in the middle, so it can go below zero. Then whoever
//! wants to go on waits until it would be back at zero if nobody else computed. Those who have waited go on even if others
//! were quicker meanwhile: each of many gets its turns, and the account settles so far below zero that all of them
//! together use what they may.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a guest that has been idle may use at once: what this time brings. As for containers.
const PERIOD: Duration = Duration::from_millis(100);

/// Time is counted in nanoseconds, cores in thousandths.
const THOUSANDTHS: i64 = 1000;

/// A number of cores, in thousandths. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores(u32);

impl Cores {
    /// So many thousandths of a core; 0 counts as 1.
    #[must_use]
    pub fn thousandths(thousandths: u32) -> Cores {
        Cores(thousandths.max(1))
    }
}

/// What all instances of one guest together may compute. Clocks are the caller's.
#[derive(Debug)]
pub struct CpuShare {
    cores: Cores,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// In nanoseconds of one core. Below zero: what was used too much.
    balance: i64,
    /// When the balance was right.
    at: Duration,
}

impl CpuShare {
    /// So many cores, from now on. `now` is the time of some clock that never goes back, as in all calls.
    #[must_use]
    pub fn new(cores: Cores, now: Duration) -> CpuShare {
        CpuShare { cores, account: Mutex::new(Account { balance: cores.over(PERIOD), at: now }) }
    }

    /// Takes from the account what was computed.
    pub fn charge(&self, used: Duration, now: Duration) {
        self.with(now, |account| account.balance = account.balance.saturating_sub(nanoseconds(used)));
    }

    /// How long to wait before going on. `None`: not at all.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        let owed = self.with(now, |account| account.balance.min(0).unsigned_abs());
        let nanoseconds = owed.saturating_mul(THOUSANDTHS.unsigned_abs()) / u64::from(self.cores.0);
        (owed > 0).then_some(Duration::from_nanos(nanoseconds))
    }

    /// With what has come in until now.
    fn with<T>(&self, now: Duration, f: impl FnOnce(&mut Account) -> T) -> T {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let income = self.cores.over(now.saturating_sub(account.at));
        account.balance = account.balance.saturating_add(income).min(self.cores.over(PERIOD));
        // Another thread may have read its clock earlier and come later.
        account.at = account.at.max(now);
        f(&mut account)
    }
}

impl Cores {
    /// What they can compute in that time, in nanoseconds of one core.
    fn over(self, time: Duration) -> i64 {
        nanoseconds(time).saturating_mul(i64::from(self.0)) / THOUSANDTHS
    }
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(10);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What so many guests that never rest compute in a minute, each on a core of its own: in thousandths of a core.
    fn used_by(spinners: usize, cores: u32) -> u128 {
        let share = CpuShare::new(Cores::thousandths(cores), Duration::ZERO);
        let mut next = vec![Duration::ZERO; spinners];
        let mut used = Duration::ZERO;
        loop {
            let (index, now) = next.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
            if now > Duration::from_secs(60) {
                return used.as_millis() / 60;
            }
            let done = now + TURN;
            share.charge(TURN, done);
            used += TURN;
            next[index] = done + share.wait(done).unwrap_or_default();
        }
    }

    #[test]
    fn those_who_never_rest_get_what_they_may() {
        for (spinners, cores) in [(1, 500), (1, 10), (1, 900), (4, 500), (4, 1500), (100, 500), (100, 2000)] {
            let used = used_by(spinners, cores);
            assert!(used.abs_diff(u128::from(cores)) <= 20 + u128::from(cores) / 20, "{spinners} {cores}: {used}");
        }
        // No more than there is to do.
        assert_eq!(used_by(1, 4000), 1000);
    }

    #[test]
    fn each_of_many_gets_its_turns() {
        let share = CpuShare::new(Cores::thousandths(100), Duration::ZERO);
        let mut next = [Duration::ZERO; 5];
        let mut turns = [0; 5];
        for _ in 0..1000 {
            let (index, now) = next.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
            share.charge(TURN, now);
            turns[index] += 1;
            next[index] = now + share.wait(now).unwrap_or(TURN);
        }
        assert!(turns.iter().all(|count| (150..=250).contains(count)), "{turns:?}");
    }

    #[test]
    fn who_was_idle_may_use_one_period_at_once_and_no_more() {
        let share = CpuShare::new(Cores::thousandths(500), Duration::ZERO);
        let later = Duration::from_secs(3600);
        share.charge(millis(50), later);
        assert_eq!(share.wait(later), None);
        share.charge(millis(5), later);
        assert_eq!(share.wait(later), Some(millis(10)));
        assert_eq!(share.wait(later + millis(4)), Some(millis(6)));
        assert_eq!(share.wait(later + millis(10)), None);
    }

    #[test]
    fn a_clock_that_is_read_late_gives_nothing_twice() {
        let share = CpuShare::new(Cores::thousandths(1000), Duration::ZERO);
        share.charge(millis(300), millis(100));
        let owed = share.wait(millis(100));
        assert_eq!(owed, Some(millis(200)));
        assert_eq!(share.wait(millis(50)), owed);
        assert_eq!(share.wait(millis(100)), owed);
        share.charge(Duration::MAX, millis(100));
        assert!(share.wait(millis(100)).is_some());
    }
}
