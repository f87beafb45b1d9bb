//! Which accepted connection is tried next, and when, while a target does not take them.
//!
//! One is tried while the others wait behind it, so that a full target is asked a few times a second and no more,
//! however many wait for it. The order is that of arrival.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long after the first refusal a target is asked again. Short: most targets are full for a moment only.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause; each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What waits, by its number in the order of arrival.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: BTreeMap<u64, T>,
    pause: Duration,
    next_try: Option<Instant>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), pause: FIRST_PAUSE, next_try: None }
    }
}

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts something where its number belongs.
    pub(crate) fn insert(&mut self, number: u64, waits: T) {
        self.waiting.insert(number, waits);
    }

    /// Whoever is first, to be tried now.
    pub(crate) fn take_first(&mut self) -> Option<(u64, T)> {
        self.waiting.pop_first()
    }

    /// All that wait, first come first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.waiting.iter().map(|(number, waits)| (*number, waits))
    }

    /// Takes one out, wherever it stands.
    pub(crate) fn remove(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// When the first may be tried; none if nothing says that it must wait.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.next_try
    }

    /// The target has no room: whoever is first waits, longer each time. Several that were on their way together hear
    /// of it one after the other; that is one time.
    pub(crate) fn begin_pause(&mut self, now: Instant) {
        if self.next_try.is_none_or(|next_try| next_try <= now) {
            self.next_try = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The target has room again, or there is none to wait for: whoever is first may be tried at once.
    pub(crate) fn end_pause(&mut self) {
        self.next_try = None;
        self.pause = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_order_whenever_they_come_back() {
        let mut queue = Queue::default();
        for (number, name) in [(3, "c"), (1, "a"), (4, "d")] {
            queue.insert(number, name);
        }
        assert_eq!(queue.take_first(), Some((1, "a")));
        queue.insert(2, "b");
        queue.insert(1, "a");
        queue.remove(3);
        let order: Vec<&str> = std::iter::from_fn(|| queue.take_first()).map(|(_, name)| name).collect();
        assert_eq!(order, ["a", "b", "d"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let start = Instant::now();
        let mut queue = Queue::<()>::default();
        let pauses = |queue: &mut Queue<()>| -> Vec<u128> {
            let mut now = start;
            let mut pause = || {
                queue.begin_pause(now);
                // Told again meanwhile: that does not make it longer.
                queue.begin_pause(now);
                let began = std::mem::replace(&mut now, queue.next_try().expect("it waits"));
                (now - began).as_millis()
            };
            (0..7).map(|_| pause()).collect()
        };
        let expected = [5, 10, 20, 40, 80, 100, 100];
        assert_eq!(pauses(&mut queue), expected);
        queue.end_pause();
        assert_eq!(queue.next_try(), None);
        assert_eq!(pauses(&mut queue), expected);
    }
}
