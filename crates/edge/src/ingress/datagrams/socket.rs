//! The sockets of a UDP ingress: the one that hears everybody, and one for each peer.
//!
//! Both have the same address and port. The kernel gives a datagram to the socket that is connected to its sender, and
//! to the one that is not connected if there is none.

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

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

/// How to read from the socket that hears everybody: it tells which of our addresses a datagram came to.
#[derive(Debug)]
pub(crate) struct Ear {
    state: UdpSocketState,
    own: SocketAddr,
    buffer: Vec<u8>,
}

impl Ear {
    pub(crate) fn new(socket: impl AsFd) -> io::Result<Self> {
        let own = rustix::net::getsockname(&socket)?.try_into()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self { state, own, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Takes the next datagram, or several of one peer that the kernel has put together.
    pub(crate) fn receive(&mut self, socket: impl AsFd) -> io::Result<Vec<Datagram>> {
        let mut meta = [RecvMeta::default()];
        let socket = UdpSockRef::from(&socket);
        if self.state.recv(socket, &mut [IoSliceMut::new(&mut self.buffer)], &mut meta)? == 0 {
            return Ok(Vec::new());
        }
        let [RecvMeta { addr: peer, len, stride, dst_ip, .. }] = meta;
        let ends = Ends { peer: canonical(peer), local: canonical(local(dst_ip, peer, self.own)) };
        let whole = self.buffer.get(..len).unwrap_or_default();
        if whole.is_empty() {
            return Ok(vec![Datagram { ends, bytes: Vec::new() }]);
        }
        let parts = whole.chunks(stride.max(1));
        Ok(parts.map(|bytes| Datagram { ends, bytes: bytes.to_vec() }).collect())
    }
}

/// Where the peer wrote to. An address of a group is nobody's to answer from: then the kernel picks one.
fn local(destination: Option<IpAddr>, peer: SocketAddr, own: SocketAddr) -> SocketAddr {
    let Some(address) = destination.filter(|address| !address.to_canonical().is_multicast()) else { return own };
    match (address, peer) {
        // The address means something on one link alone, which is the peer's.
        (IpAddr::V6(v6), SocketAddr::V6(peer)) if v6.is_unicast_link_local() => {
            SocketAddrV6::new(v6, own.port(), 0, peer.scope_id()).into()
        }
        _ => SocketAddr::new(address, own.port()),
    }
}

/// Takes the next datagram out of the socket for a peer, whoever wrote it.
pub(crate) fn take_held(socket: impl AsFd, local: SocketAddr) -> io::Result<Option<Datagram>> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let space = rustix::buffer::spare_capacity(&mut buffer);
    let (_, _, peer) = rustix::net::recvfrom(socket, space, RecvFlags::empty())?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok(peer.map(|peer| Datagram { ends: Ends { peer: canonical(peer), local }, bytes: buffer }))
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
