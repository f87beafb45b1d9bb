//! Parties that take turns, on a clock that the turns themselves move.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;

/// Clocks that go only while somebody is heard: microseconds that passed, and those in which the thread was at work.
#[derive(Clone, Default)]
struct Clock {
    passed: Arc<AtomicU64>,
    worked: Arc<AtomicU64>,
}

impl Clocks for Clock {
    fn passed(&self) -> Duration {
        Duration::from_micros(self.passed.load(Ordering::Relaxed))
    }

    fn worked(&self) -> Duration {
        Duration::from_micros(self.worked.load(Ordering::Relaxed))
    }
}

impl Clock {
    fn turns(&self) -> Arc<Turns> {
        Arc::new(Turns::new(self.clone()))
    }

    fn pass(&self, microseconds: u64) {
        self.passed.fetch_add(microseconds, Ordering::Relaxed);
        self.worked.fetch_add(microseconds, Ordering::Relaxed);
    }
}

async fn take(turns: &Arc<Turns>, party: &Party, clock: &Clock, microseconds: u64) {
    let turn = turns.take(party).await;
    clock.pass(microseconds);
    turn.end().await;
}

/// Lets each party ask with so many tasks, each turn of which takes so many microseconds, until there were `count` turns
/// in all. How often each party was heard.
async fn hear(parties: &[(usize, u64)], count: usize) -> Vec<usize> {
    let clock = Clock::default();
    let turns = clock.turns();
    let mut tasks = JoinSet::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for (index, (askers, microseconds)) in parties.iter().copied().enumerate() {
        let party = turns.new_party(Labels::new());
        for _ in 0..askers {
            let (turns, party, heard, clock) = (turns.clone(), party.clone(), heard.clone(), clock.clone());
            tasks.spawn(async move {
                loop {
                    take(&turns, &party, &clock, microseconds).await;
                    heard.lock().unwrap().push(index);
                }
            });
        }
    }
    while heard.lock().unwrap().len() < count {
        yield_now().await;
    }
    tasks.shutdown().await;
    let heard = heard.lock().unwrap();
    (0..parties.len()).map(|party| heard[..count].iter().filter(|index| **index == party).count()).collect()
}

#[tokio::test]
async fn each_party_is_heard_as_long_as_the_others_however_many_ask_for_it() {
    let heard = hear(&[(1, 5), (1000, 5), (3, 5)], 3000).await;
    assert!(heard.iter().all(|count| (990..=1010).contains(count)), "{heard:?}");
}

#[tokio::test]
async fn who_takes_long_is_heard_less_often() {
    let heard = hear(&[(3, 10), (10, 90)], 1000).await;
    assert!((890..=910).contains(&heard[0]), "{heard:?}");
}

#[tokio::test]
async fn one_party_alone_is_heard_without_waiting() {
    assert_eq!(hear(&[(5, 90)], 100).await, [100]);
}

#[tokio::test]
async fn who_was_silent_is_next_and_has_saved_nothing_up() {
    let clock = Clock::default();
    let turns = clock.turns();
    let (busy, seldom) = (turns.new_party(Labels::new()), turns.new_party(Labels::new()));
    for _ in 0..1000 {
        take(&turns, &busy, &clock, 50).await;
    }
    let held = turns.take(&busy).await;
    let mut tasks = JoinSet::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..6 {
        let party = if number < 3 { busy.clone() } else { seldom.clone() };
        let (turns, clock, order) = (turns.clone(), clock.clone(), order.clone());
        tasks.spawn(async move {
            take(&turns, &party, &clock, 50).await;
            order.lock().unwrap().push(number);
        });
    }
    yield_now().await;
    clock.pass(50);
    held.end().await;
    while tasks.join_next().await.is_some() {}
    // Had it saved up what it did not use, its three would come first.
    assert_eq!(*order.lock().unwrap(), [3, 0, 4, 1, 5, 2]);
}

/// Whether a party that has had these turns lets another go first that comes after it, though nobody is in its way.
async fn rests_after(turns_had: &[(u64, u64)]) -> bool {
    let clock = Clock::default();
    let turns = clock.turns();
    let (long, short) = (turns.new_party(Labels::new()), turns.new_party(Labels::new()));
    for (passed, worked) in turns_had {
        let turn = turns.take(&long).await;
        clock.passed.fetch_add(*passed, Ordering::Relaxed);
        clock.worked.fetch_add(*worked, Ordering::Relaxed);
        turn.end().await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let (turns, long, clock) = (turns.clone(), long.clone(), clock.clone());
        tasks.spawn(async move { take(&turns, &long, &clock, 1).await });
    }
    yield_now().await;
    take(&turns, &short, &clock, 1).await;
    let rests = tasks.try_join_next().is_none();
    clock.pass(1_000_000);
    while tasks.join_next().await.is_some() {}
    rests
}

#[tokio::test]
async fn after_long_turns_a_party_rests_with_all_its_handles_and_holds_up_nobody() {
    assert!(!rests_after(&[(90, 90); 5]).await);
    // Another process had the processor.
    assert!(!rests_after(&[(5000, 5); 5]).await);
    assert!(rests_after(&[(5000, 5000)]).await);
    assert!(rests_after(&[(9, 9), (5000, 5000)]).await);
}

#[tokio::test]
async fn a_turn_is_never_lost_with_a_task() {
    let clock = Clock::default();
    let turns = clock.turns();
    let parties: Vec<Party> = (0..7).map(|_| turns.new_party(Labels::new())).collect();
    let held = turns.take(&parties[0]).await;
    let mut tasks = JoinSet::new();
    for party in parties.iter().cycle().take(10_000) {
        let (turns, party, clock) = (turns.clone(), party.clone(), clock.clone());
        tasks.spawn(async move { take(&turns, &party, &clock, 1).await });
    }
    yield_now().await;
    tasks.abort_all();
    drop(held);
    // Some were given the turn before they were gone.
    while tasks.join_next().await.is_some() {}
    for party in &parties {
        take(&turns, party, &clock, 1).await;
    }
    let state = turns.lock();
    assert!(state.waiting.is_empty() && !state.is_taken);
}

#[test]
fn a_party_is_complained_about_once_a_second_with_a_count() {
    let turns = Turns::new(Clock::default());
    let (one, other) = (turns.new_party(Labels::new()), turns.new_party(Labels::new()));
    let at = Duration::from_millis;
    let told = |party: &Party, milliseconds| party.clone().admit_complaint(at(milliseconds));
    assert_eq!([told(&one, 0), told(&one, 1), told(&other, 2), told(&one, 999)], [Some(0), None, Some(0), None]);
    assert_eq!([told(&one, 1000), told(&one, 1999), told(&one, 9000)], [Some(2), None, Some(1)]);
}
