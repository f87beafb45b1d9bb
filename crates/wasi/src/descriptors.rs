//! Decides how the descriptors of one process are shared out between its guests.
//!
//! A guest may have one more as long as it has fewer than are free. So one that takes all it can get leaves as many to
//! the others as it has; the next one that does the same leaves a third; and a guest that needs few always finds some.
//! (This is how switches share their buffers between ports: Choudhury and Hahne, "Dynamic queue length thresholds",
//! 1998.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The descriptors that all guests of a process may have together. Clones share them.
#[derive(Clone, Debug)]
pub struct Descriptors {
    free: Arc<AtomicUsize>,
}

impl Descriptors {
    /// So many.
    #[must_use]
    pub fn new(count: usize) -> Descriptors {
        Descriptors { free: Arc::new(AtomicUsize::new(count)) }
    }

    /// What one guest has of them: nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { all: self.clone(), held: Arc::default() }
    }
}

/// What one guest has of the descriptors. Clones are of the same guest.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    all: Descriptors,
    held: Arc<AtomicUsize>,
}

/// The right to have one descriptor open. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Right(Share);

impl Share {
    /// One more. `None`: this guest has had its share.
    pub(crate) fn take(&self) -> Option<Right> {
        let held = self.held.fetch_add(1, Ordering::Relaxed);
        let taken =
            self.all.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| (held < free).then(|| free - 1));
        if taken.is_ok() {
            return Some(Right(self.clone()));
        }
        self.held.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
        self.0.all.free.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a guest can get.
    fn hoard(share: &Share) -> Vec<Right> {
        std::iter::from_fn(|| share.take()).collect()
    }

    #[test]
    fn who_takes_all_leaves_as_many_to_others() {
        let all = Descriptors::new(1000);
        let hoards: Vec<_> = (0..4).map(|_| hoard(&all.share())).collect();
        assert_eq!(hoards.iter().map(Vec::len).collect::<Vec<_>>(), [500, 250, 125, 63]);
        // Somebody who needs few still gets them.
        let modest = all.share();
        let few: Vec<_> = (0..20).map_while(|_| modest.take()).collect();
        assert_eq!(few.len(), 20);
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let all = Descriptors::new(10);
        let share = all.share();
        for _ in 0..3 {
            let mut held = hoard(&share);
            assert_eq!(held.len(), 5);
            assert!(share.take().is_none());
            held.pop();
            assert!(share.take().is_some());
        }
        assert_eq!(all.free.load(Ordering::Relaxed), 10);
        assert_eq!(hoard(&Descriptors::new(0).share()).len(), 0);
    }
}
