//! Where connections wait until a guest accepts them.
//!
//! The queue holds as many as the guest's backlog says. When it is full, what comes from outside waits further out: in
//! the channel of the switchboard, then in the ingress, then in the kernel. Nothing is dropped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use crate::sockets::arrived::{Arrived, Family};
use crate::sockets::fault::Fault;
use crate::sockets::network::{Binding, Network, Slot};
use crate::sockets::ports::Door;
use crate::sockets::tcp::{SharedOptions, TcpSocket};

/// A listening port. Dropping it resets what waits.
#[derive(Debug)]
pub(crate) struct Listener {
    network: Network,
    family: Family,
    options: SharedOptions,
    queue: Mutex<Queue>,
    binding: Binding,
    _slot: Slot,
}

#[derive(Debug)]
struct Queue {
    receiver: mpsc::Receiver<Arrived>,
    /// Taken from the receiver, not accepted yet.
    next: Option<Arrived>,
}

impl Listener {
    /// Opens the door of the port that `binding` holds.
    pub(crate) fn open(
        network: Network,
        family: Family,
        binding: Binding,
        backlog: usize,
        options: SharedOptions,
        slot: Slot,
    ) -> Listener {
        let (sender, receiver) = mpsc::channel(backlog);
        binding.open(Door::Listener(sender));
        let queue = Mutex::new(Queue { receiver, next: None });
        Listener { network, family, options, queue, binding, _slot: slot }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.binding.local()
    }

    /// Waits until a connection has arrived.
    pub(crate) fn poll_acceptable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.lock().poll_next(cx)
    }

    /// Takes the next connection.
    ///
    /// # Errors
    ///
    /// [`Fault::WouldBlock`]: none has arrived. [`Fault::NewSocketLimit`]: the guest has as many sockets as it may, and
    /// the connection stays where it is.
    pub(crate) fn accept(&self) -> Result<TcpSocket, Fault> {
        let mut queue = self.lock();
        let arrived = match queue.next.take() {
            Some(arrived) => arrived,
            None => queue.receiver.try_recv().map_err(|_nothing| Fault::WouldBlock)?,
        };
        let slot = match arrived.own.as_ref().map(|own| Arc::clone(&own.slot)).map_or_else(|| self.network.slot(), Ok) {
            Ok(slot) => slot,
            Err(fault) => {
                queue.next = Some(arrived);
                return Err(fault);
            }
        };
        drop(queue);
        TcpSocket::connected(&self.network, self.family, &self.options.lock().clone(), arrived, slot)
    }

    /// Waits for the next connection and takes it. One for which the guest may have no socket any more is closed.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<TcpSocket> {
        loop {
            ready!(self.poll_acceptable(cx));
            match self.accept() {
                Ok(socket) => return Poll::Ready(socket),
                Err(Fault::WouldBlock) => {}
                Err(fault) => {
                    tracing::warn!(%fault, local = %self.local(), "a connection was closed: no socket for it");
                    self.lock().next = None;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next.is_none() {
            // The table of ports holds a sender for as long as the listener lives, so there is always one more.
            self.next = ready!(self.receiver.poll_recv(cx));
        }
        if self.next.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // Nothing comes in behind what is taken out here.
        self.receiver.close();
        self.next.take().into_iter().for_each(Arrived::reset);
        while let Ok(arrived) = self.receiver.try_recv() {
            arrived.reset();
        }
    }
}
