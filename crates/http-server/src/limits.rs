//! What bounds a client: how much it may send, and how long it may take.

use std::time::Duration;

/// Longest time that is kept: what is longer is as good as for ever.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What bounds one connection. Every number has a default that suits a server at the open internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a request's head: the request line and all fields. A longer one is answered with 431. In HTTP/2 it
    /// is the size of the fields before compression, each counted with 32 bytes more.
    pub head_bytes: usize,
    /// Most fields of a request's head. More are answered with 431.
    pub head_fields: usize,
    /// Most bytes of a request's target. A longer one is answered with 414, if the head is within its own limit.
    pub target_bytes: usize,
    /// How long a TLS handshake may take. The connection is closed then.
    pub handshake_time: Duration,
    /// How long the head of a request may take from its first byte to its last, and how long a new connection may stay
    /// silent. A head that is begun is answered with 408 then; a silent connection is closed.
    pub head_time: Duration,
    /// How long a connection may be without a request between two of them. It is closed then, silently in HTTP/1.1, with
    /// GOAWAY in HTTP/2.
    pub idle_time: Duration,
    /// How long a handler waits for the next piece of a request's body. The body ends with
    /// [`BodyError::TimedOut`](crate::BodyError::TimedOut) then. Time in which nobody waits does not count.
    pub body_idle_time: Duration,
    /// How long a client may take none of what is written to it. The connection is ended then, or in HTTP/2 the stream, if
    /// it alone does not move. (So a client that takes one byte a second is left, too, once the system's buffers are full:
    /// what counts is that the system gets rid of something.)
    pub write_idle_time: Duration,
    /// How long what a client still sends is taken and thrown away, after an answer that came before the end of its
    /// request: without that the client would see a reset instead of the answer. Also how long a client may take to end a
    /// connection that has ended for the server.
    pub linger_time: Duration,
    /// How long a connection that has not said anything yet may still begin a request, when the server is about to stop.
    pub late_start_time: Duration,
    /// Most requests under way on one HTTP/2 connection.
    pub streams: u32,
    /// Most streams of an HTTP/2 connection that a client has reset before they were looked at. One more ends the
    /// connection.
    pub pending_resets: usize,
    /// Most streams of an HTTP/2 connection that had to be reset for a fault of the client. One more ends the connection.
    pub faulty_streams: usize,
    /// How often an HTTP/2 connection is probed for life.
    pub ping_interval: Duration,
    /// How long an HTTP/2 client may take to answer a probe.
    pub ping_time: Duration,
}

impl Limits {
    /// The same, with times that can be added to the present.
    pub(crate) fn in_reason(self) -> Self {
        Self {
            handshake_time: self.handshake_time.min(A_YEAR),
            head_time: self.head_time.min(A_YEAR),
            idle_time: self.idle_time.min(A_YEAR),
            body_idle_time: self.body_idle_time.min(A_YEAR),
            write_idle_time: self.write_idle_time.min(A_YEAR),
            linger_time: self.linger_time.min(A_YEAR),
            late_start_time: self.late_start_time.min(A_YEAR),
            ping_interval: self.ping_interval.min(A_YEAR),
            ping_time: self.ping_time.min(A_YEAR),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            head_fields: 100,
            target_bytes: 8 * 1024,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            body_idle_time: Duration::from_secs(30),
            write_idle_time: Duration::from_secs(60),
            linger_time: Duration::from_secs(2),
            late_start_time: Duration::from_millis(500),
            streams: 100,
            pending_resets: 20,
            faulty_streams: 100,
            ping_interval: Duration::from_secs(20),
            ping_time: Duration::from_secs(20),
        }
    }
}
