//! Who is heard next: every party that has something to say gets an equal share of the switchboard's time.
//!
//! A party is a client with every handle that it made: who has a thousand handles gets as much as who has one. What
//! counts is the time that it took to read, decide and carry out, not the number of messages: so large requests win
//! nothing either. Of those who wait, the party that has had the least time is next; one that was silent has not saved
//! any up. A party that seldom asks thus waits for little more than the message at hand, whatever the others do.
//!
//! A message cannot be put aside half read. So after one that took long its party has to rest, even if nobody else wants
//! the time: whoever comes meanwhile finds the switchboard free.

mod party;

pub(crate) use party::Party;

use capability::Labels;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

/// After so much time the runtime looks which other sockets are readable, before anybody is next. A connection between
/// two processes takes some times as long, and a look a tenth of it.
const SLICE: Duration = Duration::from_micros(20);
/// After a turn that was longer than this a party rests. Only a request with some hundred grants takes as long.
const LONG_TURN: Duration = Duration::from_micros(100);
/// So many times as long as the turn was.
const REST: u32 = 7;

/// Whose turn it is.
pub(crate) struct Turns {
    clocks: Box<dyn Clocks>,
    state: Mutex<State>,
}

/// What turns are timed by.
pub(crate) trait Clocks: Send + Sync {
    /// How long the switchboard has been there.
    fn passed(&self) -> Duration;
    /// How long this thread has been at work. What counts of a turn: another process may have had the processor meanwhile.
    fn worked(&self) -> Duration;
}

type Askers = VecDeque<oneshot::Sender<Baton>>;

#[derive(Debug, Default)]
struct State {
    /// Whether somebody has the turn.
    is_taken: bool,
    /// What the party had used that was heard last, before that. A party that was silent begins here.
    used_by_last: Duration,
    /// How long turns took since the runtime looked at the sockets.
    since_look: Duration,
    parties: u64,
    /// Those who wait, in the order in which they came, by what their party has used and its number.
    waiting: BTreeMap<(Duration, u64), Askers>,
}

/// The right to be heard now. Dropping it gives it to the next.
#[derive(Debug)]
pub(crate) struct Turn {
    baton: Baton,
    party: Party,
    /// How long the thread had been at work when it began.
    began: Duration,
}

/// What only one has at a time.
#[derive(Debug)]
struct Baton {
    turns: Arc<Turns>,
    /// False if the one it was meant for is gone.
    is_held: bool,
}

impl Turns {
    /// Turns that nobody has taken yet.
    pub(crate) fn new(clocks: impl Clocks + 'static) -> Self {
        Self { clocks: Box::new(clocks), state: Mutex::default() }
    }

    /// How long the switchboard has been there.
    pub(crate) fn now(&self) -> Duration {
        self.clocks.passed()
    }

    /// A party that has used nothing.
    pub(crate) fn new_party(&self, name: Labels) -> Party {
        let mut state = self.lock();
        state.parties += 1;
        Party::new(state.parties, name)
    }

    /// Waits until it is the party's turn.
    pub(crate) async fn take(self: &Arc<Self>, party: &Party) -> Turn {
        loop {
            let baton = match self.ask(party) {
                Ok(baton) => baton,
                Err(waiting) => match waiting.await {
                    Ok(baton) => baton,
                    // It is sent or kept, as long as there are turns; and these are here.
                    Err(_) => std::future::pending().await,
                },
            };
            let rest = party.rest(self.now());
            if rest.is_zero() {
                return Turn { baton, party: party.clone(), began: self.clocks.worked() };
            }
            drop(baton);
            sleep(rest).await;
        }
    }

    fn ask(self: &Arc<Self>, party: &Party) -> Result<Baton, oneshot::Receiver<Baton>> {
        let mut state = self.lock();
        let used = party.account().used;
        if !state.is_taken {
            let used = used.max(state.used_by_last);
            (state.is_taken, state.used_by_last, party.account().used) = (true, used, used);
            return Ok(self.baton());
        }
        let (sender, receiver) = oneshot::channel();
        if let Some(askers) = state.waiting.get_mut(&(used, party.number())) {
            askers.push_back(sender);
        } else {
            let used = used.max(state.used_by_last);
            party.account().used = used;
            state.waiting.insert((used, party.number()), [sender].into());
        }
        Err(receiver)
    }

    fn pass_on(self: &Arc<Self>) {
        let mut state = self.lock();
        while let Some(mut first) = state.waiting.first_entry() {
            let (used, _) = *first.key();
            let Some(asker) = first.get_mut().pop_front() else {
                first.remove();
                continue;
            };
            state.used_by_last = used;
            match asker.send(self.baton()) {
                Ok(()) => return,
                // Its task is gone.
                Err(mut unwanted) => unwanted.is_held = false,
            }
        }
        state.is_taken = false;
    }

    fn baton(self: &Arc<Self>) -> Baton {
        Baton { turns: Arc::clone(self), is_held: true }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Turn {
    /// Ends the turn of a party that has been heard.
    pub(crate) async fn end(self) {
        let Self { baton, party, began } = self;
        let took = baton.turns.clocks.worked().saturating_sub(began);
        if took > LONG_TURN {
            party.account().rests_until = baton.turns.now() + took * REST;
        }
        if baton.turns.charge(&party, took) {
            // The turn is kept meanwhile: whoever turns out to have been waiting may be the next.
            yield_now().await;
        }
        drop(baton);
    }
}

impl Turns {
    /// Notes what a party has used. Whether it is time to look at the sockets.
    fn charge(&self, party: &Party, took: Duration) -> bool {
        let mut state = self.lock();
        let used = party.account().used;
        let askers = state.waiting.remove(&(used, party.number()));
        party.account().used = used + took;
        if let Some(askers) = askers {
            state.waiting.insert((used + took, party.number()), askers);
        }
        state.since_look += took;
        let is_time = state.since_look >= SLICE;
        if is_time {
            state.since_look = Duration::ZERO;
        }
        is_time
    }
}

impl Drop for Baton {
    fn drop(&mut self) {
        if self.is_held {
            self.turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests;
