//! Which of several addresses is tried when, and whose connection is taken (RFC 8305, "happy eyeballs").
//!
//! [`interleave`] makes the order and [`race`] the timing. Neither knows sockets: an attempt is any future, so the tests
//! run on a clock of their own.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::sleep;

/// Most addresses tried for one dial: as many sockets may be open for it at once.
pub(crate) const MAX_ATTEMPTS: usize = 16;

/// The addresses in the order in which to try them: the families take turns, beginning with the family of the first
/// (section 4, with a "First Address Family Count" of 1), and each family keeps its order.
pub(crate) fn interleave(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let is_first_family = |address: &IpAddr| Some(address.is_ipv4()) == addresses.first().map(IpAddr::is_ipv4);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().copied().partition(is_first_family);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    std::iter::from_fn(|| Some([first.next(), second.next()]))
        .take_while(|turn| turn.iter().any(Option::is_some))
        .flatten()
        .flatten()
        .take(MAX_ATTEMPTS)
        .collect()
}

/// The outcome of the first attempt that succeeds.
///
/// The attempts begin in the order given: the next whenever `delay` has passed since the last began, and at once when
/// one fails (section 5). When one succeeds the others are dropped before this returns, and so they are when this is
/// dropped.
///
/// # Errors
/// What each attempt failed with, in the order in which they failed.
pub(crate) async fn race<Attempt, Won, Lost>(
    attempts: impl IntoIterator<Item = Attempt>,
    delay: Duration,
) -> Result<Won, Vec<Lost>>
where
    Attempt: Future<Output = Result<Won, Lost>>,
{
    let mut waiting = attempts.into_iter().peekable();
    let mut under_way = UnderWay(Vec::new());
    let mut losses = Vec::new();
    loop {
        if let Some(attempt) = waiting.next() {
            under_way.0.push(Box::pin(attempt));
        } else if under_way.0.is_empty() {
            return Err(losses);
        }
        tokio::select! {
            biased;
            outcome = under_way.next_outcome() => match outcome {
                Ok(won) => return Ok(won),
                Err(lost) => losses.push(lost),
            },
            () = sleep(delay), if waiting.peek().is_some() => {}
        }
    }
}

/// Attempts that have begun. Few, so each is polled whenever any wakes, and none needs a task of its own: dropping this
/// ends them all there and then.
struct UnderWay<Attempt>(Vec<Pin<Box<Attempt>>>);

impl<Attempt: Future> UnderWay<Attempt> {
    /// What the next attempt to end comes to; pending for ever if there is none. Loses nothing when dropped.
    async fn next_outcome(&mut self) -> Attempt::Output {
        poll_fn(|context| self.poll_next_outcome(context)).await
    }

    fn poll_next_outcome(&mut self, context: &mut Context<'_>) -> Poll<Attempt::Output> {
        let ended = self.0.iter_mut().enumerate().find_map(|(index, attempt)| match attempt.as_mut().poll(context) {
            Poll::Ready(outcome) => Some((index, outcome)),
            Poll::Pending => None,
        });
        match ended {
            Some((index, outcome)) => {
                drop(self.0.remove(index));
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests;
