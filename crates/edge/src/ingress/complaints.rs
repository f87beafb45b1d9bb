//! Which of many like complaints are worth a line in the log: the first, and then one a second with a count.
//!
//! Whoever can connect to an ingress can make it refuse connections, so the log must not grow as fast as they can.

use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a reason is not repeated.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// Most reasons told apart within [`QUIET_TIME`]; any further reason waits until one of them may be forgotten.
const MAX_REASONS: usize = 64;

/// The reasons logged a short while ago.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    told: HashMap<String, Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How often it came again since.
    kept_back: u64,
}

impl Complaints {
    /// Whether to log `reason` at the time `now`; if so, how often it was kept back since it was last logged.
    pub(crate) fn admit(&mut self, reason: &str, now: Instant) -> Option<u64> {
        if let Some(told) = self.told.get_mut(reason) {
            if now.duration_since(told.at) < QUIET_TIME {
                told.kept_back += 1;
                return None;
            }
            let kept_back = std::mem::take(&mut told.kept_back);
            told.at = now;
            return Some(kept_back);
        }
        if self.told.len() >= MAX_REASONS {
            self.told.retain(|_, told| now.duration_since(told.at) < QUIET_TIME);
        }
        if self.told.len() >= MAX_REASONS {
            return None;
        }
        let told = Told { at: now, kept_back: 0 };
        self.told.insert(reason.to_owned(), told);
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_reason_is_told_once_a_second_with_a_count() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        assert_eq!(complaints.admit("a", at(start, 0)), Some(0));
        assert_eq!(complaints.admit("a", at(start, 1)), None);
        assert_eq!(complaints.admit("b", at(start, 2)), Some(0));
        assert_eq!(complaints.admit("a", at(start, 999)), None);
        assert_eq!(complaints.admit("a", at(start, 1000)), Some(2));
        assert_eq!(complaints.admit("a", at(start, 1500)), None);
        assert_eq!(complaints.admit("a", at(start, 9000)), Some(1));
    }

    #[test]
    fn the_number_of_reasons_is_bounded() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        let admitted = |complaints: &mut Complaints, milliseconds| {
            (0..1000)
                .filter(|number| {
                    let reason = format!("{number} at {milliseconds}");
                    complaints.admit(&reason, at(start, milliseconds)).is_some()
                })
                .count()
        };
        assert_eq!(admitted(&mut complaints, 0), MAX_REASONS);
        assert_eq!(admitted(&mut complaints, 500), 0);
        assert_eq!(admitted(&mut complaints, 1000), MAX_REASONS);
        assert_eq!(complaints.told.len(), MAX_REASONS);
    }
}
