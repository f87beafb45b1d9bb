//! The requests of one HTTP/2 connection, each a task, and when one of them is given up.
//!
//! A stream whose client takes nothing of its answer is reset, whatever goes on in the others. All end with the connection.

use crate::exchange::Exchange;
use crate::stall::Stall;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinSet;

/// Owns the tasks: they end when it is dropped.
#[derive(Default)]
pub(crate) struct Streams {
    tasks: Arc<Mutex<JoinSet<()>>>,
    latest: Latest,
}

/// The exchange of the stream that is made next. The driver of an HTTP/2 connection makes the future of a request and
/// starts its stream at once, in one step.
pub(crate) type Latest = Arc<Mutex<Weak<Exchange>>>;

impl Streams {
    pub(crate) fn latest(&self) -> Latest {
        Arc::clone(&self.latest)
    }

    pub(crate) fn executor(&self, write_limit: Duration) -> Executor {
        // Every stream holds the executor, so it must not hold the streams.
        Executor { tasks: Arc::downgrade(&self.tasks), latest: Arc::clone(&self.latest), write_limit }
    }

    /// Ends those that are left.
    pub(crate) async fn end(self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }
}

#[derive(Clone)]
pub(crate) struct Executor {
    tasks: Weak<Mutex<JoinSet<()>>>,
    latest: Latest,
    write_limit: Duration,
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let Some(tasks) = self.tasks.upgrade() else { return };
        let exchange = std::mem::take(&mut *lock(&self.latest));
        let watched = Watched { stream: Box::pin(stream), exchange, stall: Stall::new(self.write_limit) };
        let mut tasks = lock(&tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(watched);
    }
}

/// A stream that ends when its client takes nothing of what is there for it. To drop it resets it.
struct Watched<F> {
    stream: Pin<Box<F>>,
    exchange: Weak<Exchange>,
    stall: Stall,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match this.exchange.upgrade() {
            Some(exchange) => this.stall.poll(cx, exchange.traffic()),
            None => Poll::Pending,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
