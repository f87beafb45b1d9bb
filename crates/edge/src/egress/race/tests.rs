//! The race of RFC 8305, on a clock that the test sets.

use super::*;
use crate::testing::alone_on_paused_clock;
use std::cell::{Cell, RefCell};
use tokio::time::Instant;

const DELAY: Duration = Duration::from_millis(250);

#[test]
fn the_families_take_turns_and_keep_their_order() {
    let check = |given: &[&str], expected: &[&str]| {
        let parse =
            |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().expect("an address")).collect() };
        assert_eq!(interleave(&parse(given)), parse(expected));
    };
    check(&[], &[]);
    check(&["1.1.1.1"], &["1.1.1.1"]);
    check(&["::1", "1.1.1.1"], &["::1", "1.1.1.1"]);
    check(&["1.1.1.1", "::1"], &["1.1.1.1", "::1"]);
    check(&["::2", "::1", "::3", "::4", "1.1.1.2", "1.1.1.1"], &["::2", "1.1.1.2", "::1", "1.1.1.1", "::3", "::4"]);
    check(&["1.1.1.2", "1.1.1.1", "1.1.1.3", "::1"], &["1.1.1.2", "::1", "1.1.1.1", "1.1.1.3"]);
}

#[test]
fn a_name_with_many_addresses_gets_a_bounded_number_of_attempts() {
    let many: Vec<IpAddr> = (0..100).map(|last| [192, 0, 2, last].into()).collect();
    assert_eq!(interleave(&many), many[..MAX_ATTEMPTS]);
}

/// How an attempt goes: after so many milliseconds, so.
#[derive(Clone, Copy)]
enum Course {
    Succeeds(u64),
    Fails(u64),
    Hangs,
}
use Course::{Fails, Hangs, Succeeds};

/// What a race came to, in milliseconds since it began.
#[derive(Debug, PartialEq)]
struct Report {
    outcome: Result<usize, Vec<usize>>,
    began: Vec<u128>,
    ended: u128,
}

/// Counts the attempts that are alive.
struct Alive<'count>(&'count Cell<usize>);

impl<'count> Alive<'count> {
    fn one_more(count: &'count Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn run(courses: &[Course]) -> Report {
    let start = Instant::now();
    let began = RefCell::new(Vec::new());
    let alive = Cell::new(0);
    let (began_ref, alive_ref) = (&began, &alive);
    let attempts = courses.iter().enumerate().map(|(index, course)| async move {
        let _alive = Alive::one_more(alive_ref);
        began_ref.borrow_mut().push(start.elapsed().as_millis());
        match *course {
            Succeeds(after) => {
                sleep(Duration::from_millis(after)).await;
                Ok(index)
            }
            Fails(after) => {
                sleep(Duration::from_millis(after)).await;
                Err(index)
            }
            Hangs => std::future::pending().await,
        }
    });
    let outcome = race(attempts, DELAY).await;
    assert_eq!(alive.get(), 0, "no attempt outlives the race");
    Report { outcome, began: began.into_inner(), ended: start.elapsed().as_millis() }
}

fn check(courses: &[Course], outcome: Result<usize, Vec<usize>>, began: &[u128], ended: u128) {
    alone_on_paused_clock(async {
        let expected = Report { outcome, began: began.to_vec(), ended };
        assert_eq!(run(courses).await, expected);
    });
}

#[test]
fn an_address_that_answers_in_time_is_the_only_one_tried() {
    check(&[Succeeds(100), Succeeds(0)], Ok(0), &[0], 100);
}

#[test]
fn a_silent_address_holds_up_the_next_by_the_delay_only() {
    check(&[Hangs, Succeeds(10)], Ok(1), &[0, 250], 260);
    check(&[Hangs, Hangs, Succeeds(0)], Ok(2), &[0, 250, 500], 500);
}

#[test]
fn a_failure_makes_the_next_begin_at_once() {
    check(&[Fails(0), Fails(30), Succeeds(5)], Ok(2), &[0, 0, 30], 35);
    // Also when an older attempt is still under way, and the delay begins anew.
    check(&[Hangs, Fails(50), Hangs, Succeeds(0)], Ok(3), &[0, 250, 300, 550], 550);
}

#[test]
fn an_older_attempt_may_still_win() {
    check(&[Succeeds(300), Succeeds(100)], Ok(0), &[0, 250], 300);
}

#[test]
fn when_all_fail_each_has_its_say() {
    check(&[Fails(400), Fails(10)], Err(vec![1, 0]), &[0, 250], 400);
    check(&[Fails(0)], Err(vec![0]), &[0], 0);
    check(&[], Err(vec![]), &[], 0);
}

#[test]
fn after_the_last_has_begun_the_race_waits_for_any() {
    check(&[Fails(5000), Succeeds(9000)], Ok(1), &[0, 250], 9250);
}
