//! What one connection is doing, and until when it may go on doing it.
//!
//! Everybody who works on a connection notes here what happens; [`crate::drive`] alone asks what follows from it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Shared by all parts of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    phase: Mutex<Phase>,
    /// Whether the phase changed where the connection's own task does not see it: in a task of an HTTP/2 stream.
    changed: Notify,
    is_http2: AtomicBool,
    /// Whether the body of the last request was not read to its end. Of HTTP/1.1 only.
    has_unread_body: AtomicBool,
    /// What streams have handed over and the connection has not sent yet, in bytes of all answers.
    outstanding: AtomicU64,
    /// How much was ever sent of that.
    moved: AtomicU64,
}

/// Idle -> Head (the first byte came) -> Busy (the head is whole) -> Idle (all answers are out). HTTP/2 has no Head, as
/// what comes may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle {
        since: Instant,
    },
    /// `None` until somebody asks: most heads come whole.
    Head {
        since: Option<Instant>,
    },
    Busy {
        requests: usize,
    },
}

/// What a client has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// To begin a request.
    Request,
    /// To end the head that it has begun.
    RestOfHead,
}

impl Activity {
    /// Of a connection that is silent from now on.
    pub(crate) fn new() -> Self {
        Self {
            phase: Mutex::new(Phase::Idle { since: Instant::now() }),
            changed: Notify::new(),
            is_http2: AtomicBool::new(false),
            has_unread_body: AtomicBool::new(false),
            outstanding: AtomicU64::new(0),
            moved: AtomicU64::new(0),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what is read need not be a head.
    pub(crate) fn turn_to_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
        *self.phase() = Phase::Idle { since: Instant::now() };
    }

    pub(crate) fn note_read(&self) {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Idle { .. }) && !self.is_http2.load(Ordering::Relaxed) {
            *phase = Phase::Head { since: None };
        }
    }

    pub(crate) fn begin_request(&self) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Busy { requests } => Phase::Busy { requests: requests + 1 },
            Phase::Idle { .. } | Phase::Head { .. } => Phase::Busy { requests: 1 },
        };
    }

    pub(crate) fn end_request(&self, now: Instant) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Busy { requests } if requests > 1 => Phase::Busy { requests: requests - 1 },
            _ => Phase::Idle { since: now },
        };
        drop(phase);
        if self.is_http2.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        matches!(*self.phase(), Phase::Busy { .. })
    }

    pub(crate) fn note_body(&self, is_unread: bool) {
        self.has_unread_body.store(is_unread, Ordering::Relaxed);
    }

    pub(crate) fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed)
    }

    pub(crate) fn note_handed(&self, bytes: u64) {
        self.outstanding.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_moved(&self, bytes: u64) {
        self.outstanding.fetch_sub(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What is handed over and not sent, and how much ever was.
    pub(crate) fn traffic(&self) -> Traffic {
        let (outstanding, moved) = (&self.outstanding, &self.moved);
        Traffic { outstanding: outstanding.load(Ordering::Relaxed), moved: moved.load(Ordering::Relaxed) }
    }

    /// Ends when the phase may have changed.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// For what the client is waited for, and since when.
    pub(crate) fn waits_for(&self) -> Option<(Awaited, Instant)> {
        match &mut *self.phase() {
            Phase::Idle { since } => Some((Awaited::Request, *since)),
            Phase::Head { since } => Some((Awaited::RestOfHead, *since.get_or_insert_with(Instant::now))),
            Phase::Busy { .. } => None,
        }
    }
}

/// How far what was handed over has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes that wait to be sent.
    pub(crate) outstanding: u64,
    /// Bytes that were sent.
    pub(crate) moved: u64,
}
