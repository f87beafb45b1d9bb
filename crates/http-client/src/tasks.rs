//! The tasks that connections live in: they end with the last client and the last response that needs them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// The tasks of one client.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: Mutex<JoinSet<()>>,
}

/// Starts tasks, and keeps none alive: what it starts holds it in turn.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Weak<Tasks>);

impl Tasks {
    pub(crate) fn spawner(self: &Arc<Self>) -> Spawner {
        Spawner(Arc::downgrade(self))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        let Some(tasks) = self.0.upgrade() else { return };
        // A response dropped outside of the runtime cannot start anything: its connection just closes.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        // A poisoned set is as good as before: nothing in here panics half-way.
        let mut set = tasks.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(task);
    }
}
