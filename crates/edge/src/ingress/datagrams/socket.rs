//! The sockets of a UDP ingress: the one that hears everybody, and one for each peer.
//!
//! Both have the same address and port. The kernel gives a datagram to the socket that is connected to its sender, and
//! to the one that is not connected if there is none.

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Longer than any datagram without a jumbo frame.
pub(crate) const BUFFER_BYTES: usize = 65_536;

/// Somebody's datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) ends: Ends,
    pub(crate) bytes: Vec<u8>,
}

/// Who wrote, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    /// The address that the peer wrote to and must be answered from, and our port.
    pub(crate) local: SocketAddr,
}

/// Makes the socket that hears everybody at `address`. Nobody else has the address when this returns; sockets of this
/// user may be added to it from then on.
pub(crate) fn hear(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = new(address)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::sockopt::set_socket_reuseport(&socket, true)?;
    if address.is_ipv4() {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    Ok(socket.into())
}

/// Makes the socket for one peer. What came for it before it was connected may be anybody's.
pub(crate) fn for_peer(ends: Ends) -> io::Result<OwnedFd> {
    let socket = new(ends.local)?;
    rustix::net::sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &ends.local)?;
    rustix::net::connect(&socket, &ends.peer)?;
    Ok(socket)
}

fn new(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?)
}

/// Takes the next datagram. `own` is the address of the socket; where it is a wildcard, the datagram says which address
/// it came to. `None`: it says too little to be answered, and is gone.
pub(crate) fn receive(socket: impl AsFd, own: SocketAddr, buffer: &mut [u8]) -> io::Result<Option<Datagram>> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let descriptor = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(descriptor, &mut parts, Some(&mut control), MsgFlags::empty())?;
    if message.flags.contains(MsgFlags::MSG_TRUNC) {
        return Ok(None);
    }
    let (length, peer) = (message.bytes, message.address.as_ref().and_then(address_of));
    let local = message.cmsgs()?.find_map(|control| local_of(&control, own)).unwrap_or(own);
    let Some(peer) = peer else { return Ok(None) };
    let bytes = buffer.get(..length).unwrap_or_default().to_vec();
    Ok(Some(Datagram { ends: Ends { peer: canonical(peer), local: canonical(local) }, bytes }))
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().copied().map(SocketAddr::from);
    v4.or_else(|| address.as_sockaddr_in6().copied().map(SocketAddr::from))
}

fn local_of(control: &ControlMessageOwned, own: SocketAddr) -> Option<SocketAddr> {
    let address: IpAddr = match control {
        // Of a broadcast this is the address of ours from which to answer; of all else, where it went.
        ControlMessageOwned::Ipv4PacketInfo(info) => Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into(),
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            let scope = if address.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            if address.is_multicast() {
                return Some(own);
            }
            return Some(SocketAddrV6::new(address, own.port(), 0, scope).into());
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, own.port()))
}

/// An IPv4 address that came through an IPv6 socket as the IPv4 address it is: of that family is the peer's socket too.
/// Flow labels are no part of an address.
fn canonical(address: SocketAddr) -> SocketAddr {
    let (ip, port) = (address.ip().to_canonical(), address.port());
    match (ip, address) {
        (IpAddr::V6(v6), SocketAddr::V6(full)) => SocketAddrV6::new(v6, port, 0, full.scope_id()).into(),
        _ => SocketAddr::new(ip, port),
    }
}
