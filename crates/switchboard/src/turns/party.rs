//! What is remembered of a party: what it has used, whether it rests, and what it was complained about.
//!
//! What a party does wrong is worth one line in the log a second, or one could fill the log.

use capability::Labels;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after a complaint about a party the next ones are only counted.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Somebody who is heard in turn with others. Clones are the same party.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    number: u64,
    name: Arc<Labels>,
    account: Arc<Mutex<Account>>,
}

#[derive(Debug, Default)]
pub(super) struct Account {
    /// What it has used, or would have if it had never been silent. Changed under the lock of the turns alone.
    pub(super) used: Duration,
    /// Until when it rests.
    pub(super) rests_until: Duration,
    /// When it was last complained about.
    complaint: Option<Duration>,
    /// How often since, without a word.
    kept_back: u64,
}

impl Party {
    pub(super) fn new(number: u64, name: Labels) -> Self {
        Self { number, name: Arc::new(name), account: Arc::default() }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What the log calls it.
    pub(crate) fn name(&self) -> &Labels {
        &self.name
    }

    /// Whether to log a complaint about it at the time `now`; if so, how many were kept back since the last.
    pub(crate) fn admit_complaint(&self, now: Duration) -> Option<u64> {
        let mut account = self.account();
        if account.complaint.is_some_and(|last| now.saturating_sub(last) < QUIET_TIME) {
            account.kept_back += 1;
            return None;
        }
        account.complaint = Some(now);
        Some(std::mem::take(&mut account.kept_back))
    }

    /// How long it has to rest from `now` on.
    pub(super) fn rest(&self, now: Duration) -> Duration {
        self.account().rests_until.saturating_sub(now)
    }

    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
