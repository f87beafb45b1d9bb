//! One end of a channel that the switchboard keeps: the channel, what waits to be sent on it, and the task that reads it.

use channel::{Channel, SendError};
use protocol::Message;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use switchboard_core::Event;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Answers that may wait for a handle before no more is read from it.
const MAX_WAITING: usize = 16;

/// What waits to be sent.
#[derive(Debug)]
pub(crate) struct Waiting<Out> {
    message: Out,
    /// What it carries.
    descriptor: Option<OwnedFd>,
    /// Told to the core as soon as it is sent.
    when_sent: Option<Event>,
}

#[derive(Debug)]
pub(crate) struct Peer<In: Message, Out: Message> {
    pub(crate) channel: Arc<Channel<In, Out>>,
    /// Sent in order by one writing task, which exists while there is something here.
    waiting: VecDeque<Waiting<Out>>,
    /// Whether that task exists.
    writing: bool,
    /// Told to the core once nothing waits.
    when_drained: Vec<Event>,
    /// Wakes the reading task when there is room again.
    pub(crate) room: Arc<Notify>,
    reader: AbortHandle,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Sent {
    /// It is with the kernel. Nothing more will be told of it.
    Now,
    /// It waits; the caller must see to it that a writing task runs.
    Later {
        /// Whether there is none yet.
        start_writing: bool,
    },
}

/// What the writing task has done.
#[derive(Debug)]
pub(crate) enum Written {
    /// One message is sent, and this is to be told.
    One(Option<Event>),
    /// There was none left.
    Everything,
}

impl<In: Message, Out: Message> Peer<In, Out> {
    pub(crate) fn new(channel: Arc<Channel<In, Out>>, room: Arc<Notify>, reader: AbortHandle) -> Self {
        Self { channel, waiting: VecDeque::new(), writing: false, when_drained: Vec::new(), room, reader }
    }

    /// Sends now, or keeps the message until the other end reads.
    pub(crate) fn send(
        &mut self,
        message: Out,
        descriptor: Option<OwnedFd>,
        when_sent: Option<Event>,
    ) -> Result<Sent, SendError> {
        if !self.writing {
            match self.channel.try_send(&message, descriptor.as_ref().map(AsFd::as_fd)) {
                Err(SendError::Full) => {}
                outcome => return outcome.map(|()| Sent::Now),
            }
        }
        self.waiting.push_back(Waiting { message, descriptor, when_sent });
        Ok(Sent::Later { start_writing: !std::mem::replace(&mut self.writing, true) })
    }

    /// Sends the next message that waits and gives back what is to be told of it; the writing task ends when there was
    /// none. [`SendError::Full`] leaves it where it is.
    pub(crate) fn send_waiting(&mut self) -> Result<Written, SendError> {
        let Some(Waiting { message, descriptor, .. }) = self.waiting.front() else {
            self.writing = false;
            return Ok(Written::Everything);
        };
        self.channel.try_send(message, descriptor.as_ref().map(AsFd::as_fd))?;
        let when_sent = self.waiting.pop_front().and_then(|sent| sent.when_sent);
        if self.has_room() {
            self.room.notify_one();
        }
        Ok(Written::One(when_sent))
    }

    /// Whether the other end has read enough to be read from.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Keeps `event` until nothing waits; gives it back if nothing waits now.
    pub(crate) fn when_drained(&mut self, event: Event) -> Option<Event> {
        if !self.writing {
            return Some(event);
        }
        self.when_drained.push(event);
        None
    }

    pub(crate) fn drained(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.when_drained)
    }
}

impl<In: Message, Out: Message> Drop for Peer<In, Out> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
