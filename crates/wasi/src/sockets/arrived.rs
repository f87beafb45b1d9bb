//! A connected stream socket before it is a guest's, and what it tells of its two ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use capability::{Labels, keys};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketAddrAny};

use crate::sockets::network::Slot;

/// The two address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Whether a socket of this family takes the address. IPv4 addresses inside IPv6 belong to neither: WASI's IPv6
    /// sockets are IPv6 only.
    pub(crate) fn admits(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(ip)) => ip.to_ipv4_mapped().is_none() && !is_ipv4_compatible(ip),
            _ => false,
        }
    }

    /// The address that stands for all of the family.
    pub(crate) fn unspecified(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// The address of this host within itself.
    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// How a socket of this family tells an address: IPv4 inside IPv6 as a dual-stack kernel does, and back; any other
    /// IPv6 address has no form in IPv4, so only its port is told.
    pub(crate) fn tell(self, address: SocketAddr) -> SocketAddr {
        let ip = match (self, address.ip()) {
            (Family::V6, IpAddr::V4(ip)) => ip.to_ipv6_mapped().into(),
            (Family::V4, IpAddr::V6(ip)) => ip.to_ipv4_mapped().map_or(self.unspecified(), IpAddr::V4),
            (_, ip) => ip,
        };
        SocketAddr::new(ip, address.port())
    }
}

/// `::1.2.3.4`, given up in 2006; systems do not agree what it means.
fn is_ipv4_compatible(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0, 0, 0, 0, 0, 0, _, _]) && !ip.is_loopback() && !ip.is_unspecified()
}

/// Whether an address is that of one host, not of a group or of all.
pub(crate) fn is_multicast(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// What a connected socket tells of its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// A connected stream socket that is not a guest's yet.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) socket: OwnedFd,
    pub(crate) addresses: Addresses,
    /// What a socket pair that waits in a queue needs besides.
    pub(crate) own: Option<OwnPair>,
}

/// A connection of the guest to itself that nobody has accepted yet.
#[derive(Debug)]
pub(crate) struct OwnPair {
    /// The other end: it takes both ends to reset one.
    pub(crate) client: OwnedFd,
    /// That of the socket to be accepted. Taken already, or a guest that connects and never accepts would pass its limit.
    pub(crate) slot: Slot,
}

impl Arrived {
    /// What the switchboard answered a guest that asked for a connection to `asked`.
    ///
    /// An end of the other family than the guest's socket (a name has both) is told as what was asked for, or as
    /// unspecified.
    pub(crate) fn dialled(answer: client::Connection, asked: SocketAddr) -> Arrived {
        let own_family = |address: &SocketAddr| address.is_ipv4() == asked.is_ipv4();
        let labels = &answer.labels;
        let remote = remote_of(&answer.socket)
            .or_else(|| labelled(labels, keys::SERVER_ADDRESS, keys::SERVER_PORT))
            .filter(own_family);
        let local = local_of(&answer.socket).or_else(|| labelled(labels, keys::CLIENT_ADDRESS, keys::CLIENT_PORT));
        let nowhere = SocketAddr::new(Family::of(asked.ip()).unspecified(), local.map_or(0, |local| local.port()));
        let local = local.filter(own_family).unwrap_or(nowhere);
        Arrived { addresses: Addresses { local, remote: remote.unwrap_or(asked) }, socket: answer.socket, own: None }
    }

    /// What the switchboard delivered to a guest that listens at `port`.
    pub(crate) fn accepted(delivered: client::Connection, port: u16) -> Arrived {
        let labels = &delivered.labels;
        let nowhere = |port| SocketAddr::new(Family::V4.unspecified(), port);
        let local = local_of(&delivered.socket).or_else(|| labelled(labels, keys::SERVER_ADDRESS, keys::SERVER_PORT));
        let remote = remote_of(&delivered.socket).or_else(|| labelled(labels, keys::CLIENT_ADDRESS, keys::CLIENT_PORT));
        let addresses = Addresses { local: local.unwrap_or(nowhere(port)), remote: remote.unwrap_or(nowhere(0)) };
        Arrived { addresses, socket: delivered.socket, own: None }
    }

    /// The same, with its addresses as a socket of `family` tells them.
    pub(crate) fn seen_by(self, family: Family) -> Arrived {
        let Addresses { local, remote } = self.addresses;
        Arrived { addresses: Addresses { local: family.tell(local), remote: family.tell(remote) }, ..self }
    }

    /// Closes a connection that nobody accepted so that its client learns of it: by a reset, as the kernel does.
    pub(crate) fn reset(self) {
        // Whoever refuses either is gone already.
        match &self.own {
            // The kernel resets a pair if something is unread in the end that is closed first.
            Some(own) => drop(rustix::net::send(&own.client, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)),
            None => drop(rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO))),
        }
        let Arrived { socket, own, .. } = self;
        drop(socket);
        drop(own);
    }

    /// One end of a socket pair.
    #[cfg(test)]
    pub(crate) fn test(local: &str) -> Arrived {
        let address = SocketAddr::new(local.parse().expect("an address"), 80);
        let (socket, _) = std::os::unix::net::UnixStream::pair().expect("a pair");
        Arrived { socket: socket.into(), addresses: Addresses { local: address, remote: address }, own: None }
    }
}

impl AsFd for Arrived {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The near end, as the kernel says; `None` for a socket pair.
pub(crate) fn local_of(socket: &OwnedFd) -> Option<SocketAddr> {
    internet(rustix::net::getsockname(socket))
}

/// The far end, as the kernel says; `None` for a socket pair.
pub(crate) fn remote_of(socket: &OwnedFd) -> Option<SocketAddr> {
    internet(rustix::net::getpeername(socket).and_then(|peer| peer.ok_or(Errno::NOTCONN)))
}

fn internet(address: rustix::io::Result<SocketAddrAny>) -> Option<SocketAddr> {
    SocketAddr::try_from(address.ok()?).ok()
}

fn labelled(labels: &Labels, address: &str, port: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(labels.get(address)?.parse().ok()?, labels.get(port)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_tells_addresses_in_its_own_form() {
        let check = |family: Family, address: &str, expected: &str| {
            assert_eq!(family.tell(address.parse().unwrap()), expected.parse().unwrap(), "{address}");
        };
        check(Family::V4, "10.0.0.1:5", "10.0.0.1:5");
        check(Family::V6, "10.0.0.1:5", "[::ffff:10.0.0.1]:5");
        check(Family::V6, "[::1]:5", "[::1]:5");
        check(Family::V4, "[::ffff:10.0.0.1]:5", "10.0.0.1:5");
        check(Family::V4, "[::1]:5", "0.0.0.0:5");
    }

    #[test]
    fn ipv4_inside_ipv6_belongs_to_neither_family() {
        let admits = |family: Family, ip: &str| family.admits(ip.parse().unwrap());
        assert!(admits(Family::V4, "10.0.0.1") && admits(Family::V6, "::1") && admits(Family::V6, "::"));
        for neither in ["::ffff:10.0.0.1", "::10.0.0.1"] {
            assert!(!admits(Family::V4, neither) && !admits(Family::V6, neither), "{neither}");
        }
    }
}
