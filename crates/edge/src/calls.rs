//! How many calls of a target are answered at once, for how long, and what becomes of each.
//!
//! The egress and the resolver differ in what they do about a call; the rest of serving a channel is here. Every call
//! runs as a task of its own, so a slow one delays nobody. Every call gets exactly one reply, unless it was cancelled.

use capability::{Labels, LimitKind, Refusal, UnreachableCause};
use channel::{Calls, ReceiveError, SendError};
use protocol::message::{Call, CallId, Failure, Reply, ReplyBody};
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;

/// Why an egress or a resolver stopped serving before its channel was closed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What came through the channel is no call, or the channel broke.
    #[error("cannot receive calls from the switchboard")]
    Receive(#[from] ReceiveError),
    /// A reply could not be sent.
    #[error("cannot send replies to the switchboard")]
    Send(#[from] SendError),
    /// A call that is no business of this kind of target.
    #[error("the switchboard sent a call that this target cannot answer")]
    Misdirected,
}

/// What bounds the calls of one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    /// Most calls under way; one more is refused.
    pub(crate) at_once: usize,
    /// How long a call may take.
    pub(crate) time: Duration,
    /// The answer to a call that took longer.
    pub(crate) out_of_time: UnreachableCause,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The connected socket, and where it leads.
    Dialled(Labels, OwnedFd),
    /// The addresses of the name.
    Addresses(Vec<IpAddr>),
    /// It failed.
    Failed(Failure),
}

/// A call of this kind of target: its number and the work it takes.
pub(crate) type Begun<Work> = (CallId, Work);

/// Answers the calls of `line` until it is closed; calls under way are dropped then, with all they opened.
///
/// `begin` says what to do about a call, and `None` if it is for another kind of target.
pub(crate) async fn serve<Work>(
    line: impl Calls,
    limits: CallLimits,
    begin: impl Fn(Call) -> Option<Begun<Work>>,
) -> Result<(), ServeError>
where
    Work: Future<Output = Answer> + Send + 'static,
{
    let mut calls = UnderWay { line: Arc::new(line), limits, tasks: JoinSet::new(), by_id: HashMap::new() };
    let ended = calls.run(begin).await;
    calls.tasks.shutdown().await;
    ended
}

/// The calls of one line. Owned by the task that serves it.
struct UnderWay<Line> {
    line: Arc<Line>,
    limits: CallLimits,
    /// One for each call under way, and those cancelled that have not ended yet. Each sends its own reply.
    tasks: JoinSet<Result<(), SendError>>,
    /// The tasks of the calls that count: those neither cancelled nor known to have ended.
    by_id: HashMap<CallId, AbortHandle>,
}

type Ended = Result<(tokio::task::Id, Result<(), SendError>), JoinError>;

impl<Line: Calls> UnderWay<Line> {
    async fn run<Work>(&mut self, begin: impl Fn(Call) -> Option<Begun<Work>>) -> Result<(), ServeError>
    where
        Work: Future<Output = Answer> + Send + 'static,
    {
        loop {
            // The ended first: each makes room for a call.
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.note_end(ended).await?,
                called = self.line.next() => match called? {
                    None => return Ok(()),
                    Some(Call::Cancel { id }) => self.cancel(id),
                    Some(call) => {
                        let (id, work) = begin(call).ok_or(ServeError::Misdirected)?;
                        self.start(id, work).await?;
                    }
                },
            }
        }
    }

    async fn start<Work>(&mut self, id: CallId, work: Work) -> Result<(), ServeError>
    where
        Work: Future<Output = Answer> + Send + 'static,
    {
        if self.by_id.len() >= self.limits.at_once {
            let limit = LimitKind::Dials;
            return self.fail(id, Refusal::Limit { limit }.into()).await;
        }
        let line = Arc::clone(&self.line);
        let CallLimits { time, out_of_time, .. } = self.limits;
        let task = self.tasks.spawn(async move {
            let answer = timeout(time, work).await.unwrap_or_else(|_elapsed| {
                let cause = out_of_time;
                Answer::Failed(Refusal::Unreachable { cause }.into())
            });
            send(&*line, id, answer).await
        });
        self.by_id.insert(id, task);
        Ok(())
    }

    /// Drops what is done about a call. One that has its reply already is none of ours any more.
    fn cancel(&mut self, id: CallId) {
        if let Some(task) = self.by_id.remove(&id) {
            task.abort();
        }
    }

    async fn note_end(&mut self, ended: Ended) -> Result<(), ServeError> {
        match ended {
            Ok((task, sent)) => {
                self.forget(task);
                Ok(sent?)
            }
            Err(error) => match self.forget(error.id()) {
                // The work panicked: the asker must not wait for ever.
                Some(id) => self.fail(id, Failure::Fault).await,
                None => Ok(()),
            },
        }
    }

    /// The call of a task that has ended, unless it was cancelled.
    fn forget(&mut self, task: tokio::task::Id) -> Option<CallId> {
        let (&id, _) = self.by_id.iter().find(|(_, handle)| handle.id() == task)?;
        self.by_id.remove(&id);
        Some(id)
    }

    async fn fail(&self, id: CallId, failure: Failure) -> Result<(), ServeError> {
        Ok(send(&*self.line, id, Answer::Failed(failure)).await?)
    }
}

async fn send(line: &impl Calls, id: CallId, answer: Answer) -> Result<(), SendError> {
    let (body, socket) = match answer {
        Answer::Dialled(labels, socket) => (ReplyBody::Dialled(labels), Some(socket)),
        Answer::Addresses(addresses) => (ReplyBody::Addresses(addresses), None),
        Answer::Failed(failure) => (ReplyBody::Failed(failure), None),
    };
    let sent = match line.reply(Reply { id, body }, socket).await {
        Err(SendError::OutOfDescriptors) => {
            let limit = LimitKind::Descriptors;
            let body = ReplyBody::Failed(Refusal::Limit { limit }.into());
            line.reply(Reply { id, body }, None).await
        }
        sent => sent,
    };
    match sent {
        // Whoever waits for calls learns that the line is closed.
        Err(SendError::Gone) => Ok(()),
        sent => sent,
    }
}

#[cfg(test)]
mod tests;
