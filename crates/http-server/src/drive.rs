//! How long one connection goes on: until it ends by itself, is told to stop, or its client takes too long.

use crate::activity::{Activity, Awaited};
use crate::limits::Limits;
use crate::stall::Stall;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself.
    Done(hyper::Result<()>),
    /// The head of a request was begun and not ended in time.
    HeadOverdue,
    /// The client does nothing any more, or does not end when it should.
    Abandoned,
}

/// Ends when the server is about to stop. If nobody is left to say so, never.
pub(crate) async fn told_to_stop(drain: &mut watch::Receiver<bool>) {
    if drain.wait_for(|is_stopping| *is_stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Drives `connection` to its end. `leave` makes it end after what is under way.
pub(crate) async fn drive<C>(
    connection: &mut C,
    mut leave: impl FnMut(Pin<&mut C>),
    activity: &Activity,
    limits: &Limits,
    drain: &mut watch::Receiver<bool>,
) -> End
where
    C: Future<Output = hyper::Result<()>> + Unpin,
{
    let mut told = pin!(async {
        told_to_stop(drain).await;
        // What has come meanwhile is read first: a request that is there is under way.
        yield_now().await;
    });
    let mut changed = pin!(activity.changed());
    let mut left: Option<Instant> = None;
    let (mut alarm, mut stall) = (Alarm::default(), Stall::new(limits.write_idle_time));
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(End::Done(ended));
            }
            let mut has_to_leave = left.is_none() && told.as_mut().poll(cx).is_ready();
            while changed.as_mut().poll(cx).is_ready() {
                changed.set(activity.changed());
            }
            if let Some((awaited, since)) = activity.waits_for()
                && !has_to_leave
            {
                let deadline = match (awaited, left) {
                    (Awaited::RestOfHead, _) => since + limits.head_time,
                    (Awaited::Request, None) => since + limits.idle_time,
                    // Nothing is under way any more: the client has to take its leave, too.
                    (Awaited::Request, Some(left)) => since.max(left) + limits.linger_time,
                };
                if alarm.poll(cx, deadline).is_ready() {
                    match (awaited, left) {
                        (Awaited::RestOfHead, _) => return Poll::Ready(End::HeadOverdue),
                        (Awaited::Request, Some(_)) => return Poll::Ready(End::Abandoned),
                        (Awaited::Request, None) => has_to_leave = true,
                    }
                }
            }
            if stall.poll(cx, activity.traffic()).is_ready() {
                return Poll::Ready(End::Abandoned);
            }
            if !has_to_leave {
                return Poll::Pending;
            }
            left = Some(Instant::now());
            leave(Pin::new(&mut *connection));
        }
    })
    .await
}

/// A timer whose time moves on with every request: it is set anew when it rings too early, not whenever it moves.
#[derive(Debug, Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            if sleep.deadline() > at {
                sleep.as_mut().reset(at);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}
