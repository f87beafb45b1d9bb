//! How many datagrams one message may carry beside the socket that they came for.
//!
//! A socket for a further peer of a UDP service is made when that peer's first datagram is there already. So those that
//! came before the socket travel with it, in the message itself: an [`IngressConnect`] and the [`Connection`] that comes
//! of it. A connection of a stream carries none.
//!
//! [`IngressConnect`]: crate::message::RequestBody::IngressConnect
//! [`Connection`]: crate::message::Call::Connection

/// Most datagrams in one message. Part of the schema: both sides must agree on it.
pub const MAX_DATAGRAMS: usize = 64;
/// Most bytes that the datagrams of one message hold together: what the largest datagram of IPv6 holds (IPv4:
/// 65,507), so that any fits. Part of the schema.
pub const MAX_DATAGRAM_BYTES: usize = 65_527;

/// Whether the datagrams fit into one message.
pub(crate) fn fit(datagrams: &[Vec<u8>]) -> bool {
    datagrams.len() <= MAX_DATAGRAMS && datagrams.iter().map(Vec::len).sum::<usize>() <= MAX_DATAGRAM_BYTES
}
