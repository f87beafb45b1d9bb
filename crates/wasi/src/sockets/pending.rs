//! Work that goes on while the guest does something else.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

use crate::sockets::fault::Fault;

/// How long a guest that ended may take to get rid of what it wrote. A peer that does not read for so long is lost.
const FAREWELL: Duration = Duration::from_secs(30);

/// All tasks of one guest. Cloning shares them; when the last clone goes, they end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    set: Arc<Mutex<JoinSet<()>>>,
}

impl Tasks {
    /// Starts a task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        // A poisoned set is as good as before: nothing in here panics half-way.
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(task)
    }

    /// Waits for all tasks, but not for ever.
    pub(crate) async fn finish(self) {
        let mut set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        if !set.is_empty() {
            // Out of patience: what is left ends with the set.
            let _ = tokio::time::timeout(FAREWELL, async { while set.join_next().await.is_some() {} }).await;
        }
    }
}

/// The result of a task, when it comes. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    receiver: oneshot::Receiver<Result<T, Fault>>,
    result: Option<Result<T, Fault>>,
    abort: AbortHandle,
}

impl<T: Send + 'static> Pending<T> {
    /// Starts `work` as a task.
    pub(crate) fn start(tasks: &Tasks, work: impl Future<Output = Result<T, Fault>> + Send + 'static) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let abort = tasks.spawn(async move {
            // Nobody waits any more: the result goes.
            let _ = sender.send(work.await);
        });
        Pending { receiver, result: None, abort }
    }

    /// Waits for the result, without taking it.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.result.is_some() {
            return Poll::Ready(());
        }
        std::pin::Pin::new(&mut self.receiver).poll(cx).map(|received| {
            // Without a result the task was ended by a panic, which has been told.
            self.result = Some(received.unwrap_or(Err(Fault::Unknown)));
        })
    }

    /// The result, if it is there. Once: afterwards the work counts as failed.
    pub(crate) fn take(&mut self) -> Option<Result<T, Fault>> {
        match self.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(()) => self.result.replace(Err(Fault::Unknown)),
            Poll::Pending => None,
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
