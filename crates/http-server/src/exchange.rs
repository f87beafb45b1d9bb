//! One request from its head to the last byte of its answer, and the record of it.
//!
//! The record is written when nobody holds the exchange any more: the handler is done or dropped, the body of the answer
//! is, and so is every piece of it that waited to be sent. So its numbers are of what was sent, however it ended.

use crate::activity::{Activity, Traffic};
use crate::record::{AccessLog, AccessRecord, Outcome};
use bytes::{Buf, Bytes};
use http::StatusCode;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use tokio::time::Instant;

pub(crate) struct Exchange {
    log: Arc<dyn AccessLog>,
    activity: Arc<Activity>,
    began: Instant,
    /// All that is known at the beginning. Taken when it is written.
    record: Option<AccessRecord>,
    /// Of the answer; 0 while there is none.
    status: AtomicU16,
    /// Bytes of the body that were handed to the connection.
    handed: AtomicU64,
    /// Bytes of those that the connection sent.
    sent: AtomicU64,
    /// Bytes of those that it let go of unsent.
    lost: AtomicU64,
    end: AtomicU8,
}

/// How the body of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BodyEnd {
    /// It has not.
    Open = 0,
    /// All of it was handed to the connection.
    Whole = 1,
    /// The handler failed.
    Failed = 2,
}

impl Exchange {
    /// Begins with what is known: `record` has no status and no bytes yet.
    pub(crate) fn begin(log: Arc<dyn AccessLog>, activity: Arc<Activity>, record: AccessRecord) -> Arc<Self> {
        activity.begin_request();
        Arc::new(Self {
            log,
            activity,
            began: Instant::now(),
            record: Some(record),
            status: AtomicU16::new(0),
            handed: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            end: AtomicU8::new(BodyEnd::Open as u8),
        })
    }

    pub(crate) fn answer(&self, status: StatusCode) {
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    pub(crate) fn end_body(&self, end: BodyEnd) {
        self.end.store(end as u8, Ordering::Relaxed);
    }

    /// A piece of the body, on its way to the connection.
    pub(crate) fn piece(self: &Arc<Self>, bytes: Bytes) -> Piece {
        let length = bytes.len() as u64;
        self.handed.fetch_add(length, Ordering::Relaxed);
        self.activity.note_handed(length);
        Piece { bytes, exchange: Arc::clone(self) }
    }

    /// How far the body has got.
    pub(crate) fn traffic(&self) -> Traffic {
        let moved = self.sent.load(Ordering::Relaxed);
        let gone = moved + self.lost.load(Ordering::Relaxed);
        Traffic { outstanding: self.handed.load(Ordering::Relaxed).saturating_sub(gone), moved }
    }

    fn outcome(&self, is_answered: bool, sent: u64) -> Outcome {
        let end = self.end.load(Ordering::Relaxed);
        if is_answered && end == BodyEnd::Failed as u8 {
            Outcome::Failed
        } else if is_answered && end == BodyEnd::Whole as u8 && sent == self.handed.load(Ordering::Relaxed) {
            Outcome::Complete
        } else {
            Outcome::BrokenOff
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some(mut record) = self.record.take() {
            let status = StatusCode::from_u16(self.status.load(Ordering::Relaxed)).ok();
            let sent = self.sent.load(Ordering::Relaxed);
            record.outcome = self.outcome(status.is_some(), sent);
            record.status = status.map_or(AccessRecord::CLIENT_GONE, |status| status.as_u16());
            record.sent_bytes = sent;
            record.duration = now.saturating_duration_since(self.began);
            self.log.record(record);
        }
        self.activity.end_request(now);
    }
}

/// A piece of an answer's body that knows how much of itself is sent.
pub(crate) struct Piece {
    bytes: Bytes,
    exchange: Arc<Exchange>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(dst)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.exchange.sent.fetch_add(count as u64, Ordering::Relaxed);
        self.exchange.activity.note_moved(count as u64);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let lost = self.bytes.len() as u64;
        self.exchange.lost.fetch_add(lost, Ordering::Relaxed);
        self.exchange.activity.note_moved(lost);
    }
}
