//! Makes the store of each instance, and lets instances that compute give way to each other.

use std::sync::OnceLock;

use sandbox::{Engine, GuestLimiter, Ticker};
use tokio::task::yield_now;
use wasmtime::{AsContextMut, Store, UpdateDeadline};

use crate::exit::RunError;
use crate::state::ComponentState;

/// Makes stores for one engine.
pub(crate) struct Stores {
    engine: Engine,
    /// Moves the epoch, from the first deadline or neighbour on.
    ticker: OnceLock<Ticker>,
}

impl Stores {
    pub(crate) fn new(engine: &Engine) -> Stores {
        Stores { engine: engine.clone(), ticker: OnceLock::new() }
    }

    /// From now on a guest that computes lets its host have a turn every [`sandbox::TICK`]: for timers, and for the
    /// other guests of its thread.
    ///
    /// # Errors
    ///
    /// [`RunError::Ticker`]: the system refuses the thread that this needs.
    pub(crate) fn take_turns(&self) -> Result<(), RunError> {
        if self.ticker.get().is_none() {
            let ticker = Ticker::start(&self.engine).map_err(RunError::Ticker)?;
            // Another thread may have been quicker: then this second one ends.
            let _ = self.ticker.set(ticker);
        }
        Ok(())
    }

    /// For a component, with what the engine can count of it.
    pub(crate) fn component(&self, state: ComponentState) -> Store<ComponentState> {
        let limits = *state.limiter.limits();
        let mut store = self.store(state, |state| &mut state.limiter);
        limits.bound(store.as_context_mut());
        store
    }

    pub(crate) fn store<T: Send + 'static>(&self, state: T, limiter: fn(&mut T) -> &mut GuestLimiter) -> Store<T> {
        let mut store = Store::new(self.engine.wasmtime(), state);
        store.limiter(move |state| limiter(state));
        // Only a ticker moves the epoch; without one this is never reached.
        store.set_epoch_deadline(1);
        // Tokio's yield lets the event loop look at sockets before this guest goes on. A task that is merely woken again
        // goes on first, up to 61 times, a tick each.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(yield_now()))));
        store
    }
}
