//! What a UDP socket has received and its guest has not: a queue with an end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::sockets::fault::Fault;
use crate::sockets::network::DatagramBytes;

/// Most bytes that wait, each datagram counted with its overhead: about what the kernel keeps for a UDP socket.
const MAX_BYTES: usize = 256 * 1024;

/// What a datagram counts besides its bytes.
const OVERHEAD_BYTES: usize = 256;

/// The queue. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    /// Told whenever something was taken.
    room: Notify,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Received>,
    bytes: usize,
    /// What waits in all queues of the guest.
    of_guest: DatagramBytes,
}

/// A datagram, or what the kernel reported about a peer instead.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) from: SocketAddr,
    pub(super) data: Result<Vec<u8>, Fault>,
}

impl Inbox {
    /// An empty one. What comes counts among all `of_guest`.
    pub(super) fn new(of_guest: DatagramBytes) -> Inbox {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), bytes: 0, of_guest });
        Inbox(Arc::new(Shared { queue, arrived: Notify::new(), room: Notify::new() }))
    }

    /// Adds a datagram, unless there is no room.
    pub(super) fn push(&self, from: SocketAddr, data: &[u8]) {
        let mut queue = self.lock();
        if queue.has_room() && queue.of_guest.has_room() {
            queue.add(Received { from, data: Ok(data.to_vec()) });
            drop(queue);
            self.0.arrived.notify_waiters();
        }
    }

    /// Adds what the kernel reported about a peer.
    pub(super) fn push_fault(&self, from: SocketAddr, fault: Fault) {
        self.lock().add(Received { from, data: Err(fault) });
        self.0.arrived.notify_waiters();
    }

    /// Waits until there is room for a datagram: until then the kernel keeps what comes.
    pub(super) async fn until_room(&self) {
        wait(&self.0.room, || self.lock().has_room()).await;
    }

    /// Waits until there is something to take.
    pub(super) async fn until_some(&self) {
        wait(&self.0.arrived, || !self.lock().waiting.is_empty()).await;
    }

    /// Takes what has waited longest. With an `only` peer, what is from others is dropped; without, what the kernel
    /// reported is, because nobody could tell whom it is about.
    pub(super) fn take(&self, only: Option<SocketAddr>) -> Option<Received> {
        let mut queue = self.lock();
        let taken = loop {
            let Some(received) = queue.remove() else { break None };
            let is_meant = match only {
                Some(only) => received.from == only,
                None => received.data.is_ok(),
            };
            if is_meant {
                break Some(received);
            }
        };
        drop(queue);
        self.0.room.notify_waiters();
        taken
    }

    /// Drops what is from other peers, and errors: they are told to who is connected, and came before that.
    pub(super) fn keep_only(&self, peer: SocketAddr) {
        let mut queue = self.lock();
        let waiting = queue.empty();
        let keeps = |received: &Received| received.from == peer && received.data.is_ok();
        waiting.into_iter().filter(keeps).for_each(|received| queue.add(received));
        drop(queue);
        self.0.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until `holds`, which may change whenever `changed` is told.
async fn wait(changed: &Notify, holds: impl Fn() -> bool) {
    loop {
        let told = changed.notified();
        tokio::pin!(told);
        // Enabled before the look, so that a change after the look is not missed.
        told.as_mut().enable();
        if holds() {
            return;
        }
        told.await;
    }
}

impl Queue {
    fn has_room(&self) -> bool {
        self.bytes < MAX_BYTES
    }

    fn add(&mut self, received: Received) {
        self.bytes += received.size();
        self.of_guest.add(received.size());
        self.waiting.push_back(received);
    }

    fn remove(&mut self) -> Option<Received> {
        let received = self.waiting.pop_front()?;
        self.bytes -= received.size();
        self.of_guest.remove(received.size());
        Some(received)
    }

    fn empty(&mut self) -> VecDeque<Received> {
        self.of_guest.remove(std::mem::take(&mut self.bytes));
        std::mem::take(&mut self.waiting)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.empty();
    }
}

impl Received {
    fn size(&self) -> usize {
        OVERHEAD_BYTES + self.data.as_ref().map_or(0, Vec::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> Inbox {
        Inbox::new(DatagramBytes::new(usize::MAX))
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn take(inbox: &Inbox, only: Option<SocketAddr>) -> Option<Result<Vec<u8>, Fault>> {
        inbox.take(only).map(|received| received.data)
    }

    #[test]
    fn datagrams_come_in_order_and_keep_their_ends() {
        let inbox = inbox();
        for data in [&b"one"[..], b"", b"three"] {
            inbox.push(peer(1), data);
        }
        for data in [&b"one"[..], b"", b"three"] {
            assert_eq!(take(&inbox, None), Some(Ok(data.to_vec())));
        }
        assert_eq!(take(&inbox, None), None);
    }

    #[test]
    fn what_is_too_much_is_lost() {
        let inbox = inbox();
        (0..10_000).for_each(|_| inbox.push(peer(1), &[0; 1000]));
        let kept = std::iter::from_fn(|| inbox.take(None)).count();
        assert!((100..=300).contains(&kept), "{kept}");
        inbox.push(peer(1), b"room again");
        assert_eq!(take(&inbox, None), Some(Ok(b"room again".to_vec())));
    }

    #[test]
    fn all_sockets_of_a_guest_share_a_bound() {
        let of_guest = DatagramBytes::new(10_000);
        let inboxes: Vec<_> = (0..100).map(|_| Inbox::new(of_guest.clone())).collect();
        inboxes.iter().for_each(|inbox| (0..10).for_each(|_| inbox.push(peer(1), &[0; 1000])));
        let kept = |inbox: &Inbox| inbox.lock().waiting.len();
        assert_eq!(inboxes.iter().map(kept).sum::<usize>(), 8);
        drop(inboxes);
        let other = Inbox::new(of_guest);
        (0..10).for_each(|_| other.push(peer(1), &[0; 1000]));
        assert_eq!(kept(&other), 8);
        other.keep_only(peer(2));
        assert!(other.lock().of_guest.has_room());
    }

    #[test]
    fn a_connected_socket_hears_one_peer_and_of_its_errors() {
        let inbox = inbox();
        inbox.push(peer(1), b"mine");
        inbox.push(peer(2), b"other");
        inbox.push_fault(peer(2), Fault::ConnectionRefused);
        inbox.push_fault(peer(1), Fault::ConnectionRefused);
        assert_eq!(take(&inbox, Some(peer(1))), Some(Ok(b"mine".to_vec())));
        assert_eq!(take(&inbox, Some(peer(1))), Some(Err(Fault::ConnectionRefused)));
        assert_eq!(take(&inbox, Some(peer(1))), None);
        inbox.push_fault(peer(1), Fault::ConnectionRefused);
        inbox.push(peer(2), b"other");
        assert_eq!(take(&inbox, None), Some(Ok(b"other".to_vec())));
    }

    #[tokio::test]
    async fn a_full_queue_has_room_when_something_was_taken() {
        let inbox = inbox();
        while inbox.lock().has_room() {
            inbox.push(peer(1), &[0; 1000]);
        }
        let waiter = {
            let inbox = inbox.clone();
            async move { inbox.until_room().await }
        };
        tokio::join!(waiter, async { inbox.take(None) });
    }
}
