//! The peers whose socket is on its way to a server, and what came for them too late to travel with it.
//!
//! From the moment its socket is connected the kernel puts a peer's datagrams there. One may still be on its way into
//! the socket that hears everybody: such are gathered here while the push is under way and for a short while after it,
//! and follow in a push of the same socket.

use super::socket::Ends;
use capability::Labels;
use protocol::{MAX_DATAGRAM_BYTES, MAX_DATAGRAMS};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long after its push a peer is remembered. What was on its way then has arrived long before.
const SETTLE_TIME: Duration = Duration::from_millis(20);
/// Most peers that are remembered so; of more, those are forgotten whose time is over first.
const MAX_SETTLING: usize = 256;

/// A socket on its way, and what to push with it.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) socket: Arc<OwnedFd>,
    pub(crate) labels: Labels,
    pub(crate) datagrams: Datagrams,
}

/// As many datagrams as one push carries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datagrams {
    kept: Vec<Vec<u8>>,
    bytes: usize,
}

impl Datagrams {
    /// Keeps one. False if there is no room for it.
    pub(crate) fn keep(&mut self, datagram: Vec<u8>) -> bool {
        let bytes = self.bytes + datagram.len();
        let fits = self.kept.len() < MAX_DATAGRAMS && bytes <= MAX_DATAGRAM_BYTES;
        if fits {
            self.kept.push(datagram);
            self.bytes = bytes;
        }
        fits
    }

    pub(crate) fn into_vec(self) -> Vec<Vec<u8>> {
        self.kept
    }
}

#[derive(Debug)]
struct Peer {
    socket: Arc<OwnedFd>,
    labels: Labels,
    late: Datagrams,
    /// When it is forgotten; none while its push is under way.
    settled_at: Option<Instant>,
}

/// What is known of a peer that wrote.
#[derive(Debug)]
pub(crate) enum Known {
    /// Nothing: it needs a socket. Here is its datagram again.
    No(Vec<u8>),
    /// Its socket is on its way, and the datagram will follow.
    Follows,
    /// Its socket has arrived; the datagram can follow at once.
    FollowsNow(Parcel),
    /// Its socket is on its way, and there is no room for more that follows.
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: HashMap<Ends, Peer>,
}

impl Peers {
    /// A socket begins its way.
    pub(crate) fn begin(&mut self, ends: Ends, parcel: &Parcel) {
        let (socket, labels) = (Arc::clone(&parcel.socket), parcel.labels.clone());
        self.peers.insert(ends, Peer { socket, labels, late: Datagrams::default(), settled_at: None });
    }

    /// A datagram came where everybody is heard.
    pub(crate) fn heard(&mut self, ends: Ends, datagram: Vec<u8>) -> Known {
        let Some(peer) = self.peers.get_mut(&ends) else { return Known::No(datagram) };
        if !peer.late.keep(datagram) {
            return Known::Full;
        }
        match peer.settled_at.take() {
            None => Known::Follows,
            Some(_) => Known::FollowsNow(peer.parcel()),
        }
    }

    /// A socket has arrived. What follows it, if anything does.
    pub(crate) fn arrived(&mut self, ends: &Ends, now: Instant) -> Option<Parcel> {
        let peer = self.peers.get_mut(ends)?;
        if !peer.late.kept.is_empty() {
            return Some(peer.parcel());
        }
        peer.settled_at = Some(now + SETTLE_TIME);
        let settling = self.peers.values().filter(|peer| peer.settled_at.is_some()).count();
        if settling > MAX_SETTLING
            && let Some((first, _)) = self.first_settled()
        {
            self.peers.remove(&first);
        }
        None
    }

    /// A socket was not taken.
    pub(crate) fn lost(&mut self, ends: &Ends) {
        self.peers.remove(ends);
    }

    /// When the next peer is forgotten.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.first_settled().map(|(_, at)| at)
    }

    /// Forgets those whose time is over.
    pub(crate) fn forget_settled(&mut self, now: Instant) {
        self.peers.retain(|_, peer| peer.settled_at.is_none_or(|at| now < at));
    }

    fn first_settled(&self) -> Option<(Ends, Instant)> {
        let settling = self.peers.iter().filter_map(|(ends, peer)| Some((*ends, peer.settled_at?)));
        settling.min_by_key(|(_, at)| *at)
    }
}

impl Peer {
    fn parcel(&mut self) -> Parcel {
        let datagrams = std::mem::take(&mut self.late);
        Parcel { socket: Arc::clone(&self.socket), labels: self.labels.clone(), datagrams }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::alone;

    fn ends(port: u16) -> Ends {
        let at = |port| std::net::SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), port);
        Ends { peer: at(port), local: at(53) }
    }

    fn begin(peers: &mut Peers, port: u16) {
        let socket = std::fs::File::open("/dev/null").expect("it can always be opened");
        let socket = Arc::new(OwnedFd::from(socket));
        peers.begin(ends(port), &Parcel { socket, labels: Labels::new(), datagrams: Datagrams::default() });
    }

    fn texts(parcel: Parcel) -> Vec<Vec<u8>> {
        parcel.datagrams.into_vec()
    }

    #[test]
    fn what_comes_too_late_follows_once_the_socket_has_arrived() {
        alone(async {
            let now = Instant::now();
            let mut peers = Peers::default();
            assert!(matches!(peers.heard(ends(1), b"a".to_vec()), Known::No(bytes) if bytes == b"a"));
            begin(&mut peers, 1);
            assert!(matches!(peers.heard(ends(1), b"b".to_vec()), Known::Follows));
            assert!(matches!(peers.heard(ends(1), b"c".to_vec()), Known::Follows));
            assert!(matches!(peers.heard(ends(2), b"x".to_vec()), Known::No(_)));
            let rest = peers.arrived(&ends(1), now).expect("two follow");
            assert_eq!(texts(rest), [b"b", b"c"]);
            // Those are under way now; nothing follows them.
            assert!(peers.next_end().is_none());
            assert!(peers.arrived(&ends(1), now).is_none());
            match peers.heard(ends(1), b"d".to_vec()) {
                Known::FollowsNow(parcel) => assert_eq!(texts(parcel), [b"d"]),
                other => panic!("{other:?}"),
            }
            assert!(peers.arrived(&ends(1), now).is_none());
            assert_eq!(peers.next_end(), Some(now + SETTLE_TIME));
            peers.forget_settled(now + SETTLE_TIME);
            assert!(matches!(peers.heard(ends(1), b"e".to_vec()), Known::No(_)));
        });
    }

    #[test]
    fn no_more_follows_than_one_push_carries() {
        alone(async {
            let mut peers = Peers::default();
            begin(&mut peers, 1);
            for _ in 0..MAX_DATAGRAMS {
                assert!(matches!(peers.heard(ends(1), Vec::new()), Known::Follows));
            }
            assert!(matches!(peers.heard(ends(1), Vec::new()), Known::Full));
            begin(&mut peers, 2);
            assert!(matches!(peers.heard(ends(2), vec![7; MAX_DATAGRAM_BYTES]), Known::Follows));
            assert!(matches!(peers.heard(ends(2), vec![7]), Known::Full));
            peers.lost(&ends(2));
            assert!(matches!(peers.heard(ends(2), vec![7]), Known::No(_)));
        });
    }

    #[test]
    fn few_are_remembered_and_the_oldest_are_forgotten_first() {
        alone(async {
            let start = Instant::now();
            let mut peers = Peers::default();
            let count = u16::try_from(MAX_SETTLING).expect("few") + 10;
            for port in 1..=count {
                begin(&mut peers, port);
                assert!(peers.arrived(&ends(port), start + Duration::from_micros(port.into())).is_none());
            }
            assert_eq!(peers.peers.len(), MAX_SETTLING);
            assert_eq!(peers.next_end(), Some(start + SETTLE_TIME + Duration::from_micros(11)));
        });
    }
}
