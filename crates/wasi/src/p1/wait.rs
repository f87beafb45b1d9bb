//! Decides how long a call of a guest waits: not at all, for ever, or for as long as the guest said.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wasmtime_wasi::p1::types::{Errno, Error};

/// How long a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// The descriptor is non-blocking.
    None,
    /// Until the call is over (`SO_RCVTIMEO`, `SO_SNDTIMEO`).
    AtMost(Duration),
    /// Until the call is over.
    Endless,
}

impl Patience {
    /// Does `work` for as long as there is patience, then gives it up with `errno`. The work must bear being dropped.
    pub(super) async fn wait<T>(self, errno: Errno, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self {
            Patience::Endless => work.await,
            Patience::AtMost(time) => {
                tokio::time::timeout(time, work).await.unwrap_or_else(|_elapsed| Err(errno.into()))
            }
            Patience::None => {
                let mut work = pin!(work);
                let mut once = async || poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
                if let Poll::Ready(result) = once().await {
                    return result;
                }
                // The runtime may have news for which it needs a turn, and a guest that asks in a loop gives it none.
                tokio::task::yield_now().await;
                match once().await {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(errno.into()),
                }
            }
        }
    }
}

/// Does work that cannot wait, because its caller does not.
pub(super) fn at_once<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Errno::Again.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno<T>(result: Result<T, Error>) -> Option<Errno> {
        result.err().map(|error| error.downcast().unwrap())
    }

    #[tokio::test]
    async fn patience_ends() {
        let never = std::future::pending::<Result<(), Error>>;
        assert_eq!(errno(Patience::None.wait(Errno::Again, never()).await), Some(Errno::Again));
        let time = Duration::from_millis(1);
        assert_eq!(errno(Patience::AtMost(time).wait(Errno::Inprogress, never()).await), Some(Errno::Inprogress));
        assert_eq!(errno(at_once(never())), Some(Errno::Again));
    }

    #[tokio::test]
    async fn without_patience_the_runtime_gets_its_turn() {
        // Ready only when polled a second time.
        let mut asked = false;
        let second = poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(Ok(7)) } else { Poll::Pending });
        assert_eq!(Patience::None.wait(Errno::Again, second).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_is_over_is_not_waited_for() {
        for patience in [Patience::None, Patience::AtMost(Duration::ZERO), Patience::Endless] {
            assert_eq!(patience.wait(Errno::Again, async { Ok(1) }).await.unwrap(), 1);
            assert_eq!(
                errno(patience.wait(Errno::Again, async { Err::<(), _>(Errno::Pipe.into()) }).await),
                Some(Errno::Pipe)
            );
        }
        assert_eq!(at_once(async { Ok(2) }).unwrap(), 2);
    }
}
