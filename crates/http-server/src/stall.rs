//! When a client that takes nothing of what waits for it has waited long enough.

use crate::activity::Traffic;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Watches a flow. It costs a timer only while something waits.
#[derive(Debug)]
pub(crate) struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// How much had moved when the timer was set; nothing while it is of no account.
    moved: Option<u64>,
}

impl Stall {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None, moved: None }
    }

    /// Ready when something has waited, and nothing moved, for the limit (and never for more than twice the limit, as
    /// movement is looked for when the timer rings, not at every step).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, traffic: Traffic) -> Poll<()> {
        if traffic.outstanding == 0 {
            self.moved = None;
            return Poll::Pending;
        }
        loop {
            if let Some(moved) = self.moved {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.limit)));
                ready!(timer.as_mut().poll(cx));
                if moved == traffic.moved {
                    return Poll::Ready(());
                }
            }
            self.moved = Some(traffic.moved);
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(Instant::now() + self.limit);
            }
        }
    }
}
