//! Random events: whatever comes, every request is answered once and nothing widens.

use crate::harness::{Counts, play};
use proptest::prelude::*;
use std::cell::Cell;

#[test]
fn random_events_break_no_invariant() {
    let total = Cell::new(Counts::default());
    let steps = proptest::collection::vec(any::<[u8; 6]>(), 0..400);
    proptest!(ProptestConfig::with_cases(600), |(steps in steps)| {
        total.set(total.get().and(play(&steps)));
    });
    let total = total.into_inner();
    assert!(total.all_above(100), "the events are too tame: {total:?}");
}
