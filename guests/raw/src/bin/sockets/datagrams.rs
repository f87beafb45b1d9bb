//! Makes UDP sockets and their streams for the checks, and sends and receives single datagrams.

use crate::tcp::{family, plain, wire};
use std::net::SocketAddr;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::poll;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::udp::{IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

/// What has not come after so long never comes: a check fails instead of hanging.
const PATIENCE_NS: u64 = 20_000_000_000;

/// A bound socket with its streams, which come first, as children are dropped before their parent.
pub struct Post {
    /// What comes.
    pub incoming: IncomingDatagramStream,
    /// What goes.
    pub outgoing: OutgoingDatagramStream,
    /// The socket both belong to.
    pub socket: UdpSocket,
}

impl Post {
    /// Bound to `address` and open to all.
    pub fn at(address: SocketAddr) -> Self {
        Self::streaming(bound(address), None).expect("the streams open")
    }

    /// With streams to `remote`, or to all.
    pub fn streaming(socket: UdpSocket, remote: Option<SocketAddr>) -> Result<Self, ErrorCode> {
        let (incoming, outgoing) = socket.stream(remote.map(wire))?;
        Ok(Self { incoming, outgoing, socket })
    }

    /// The same socket with other streams.
    pub fn again(self, remote: Option<SocketAddr>) -> Result<Self, ErrorCode> {
        let Self { incoming, outgoing, socket } = self;
        drop((incoming, outgoing));
        Self::streaming(socket, remote)
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddr {
        local(&self.socket)
    }

    /// Sends one datagram: how many were sent.
    pub fn send(&self, data: &[u8], to: Option<SocketAddr>) -> Result<u64, ErrorCode> {
        self.send_all(&[(data, to)])
    }

    /// Sends several: how many were sent. A host that could not send any yet says when it is worth another try.
    pub fn send_all(&self, datagrams: &[(&[u8], Option<SocketAddr>)]) -> Result<u64, ErrorCode> {
        let datagrams: Vec<OutgoingDatagram> = datagrams
            .iter()
            .map(|(data, to)| OutgoingDatagram { data: data.to_vec(), remote_address: to.map(wire) })
            .collect();
        loop {
            while self.outgoing.check_send()? < datagrams.len() as u64 {
                self.outgoing.subscribe().block();
            }
            match self.outgoing.send(&datagrams)? {
                0 => self.outgoing.subscribe().block(),
                sent => return Ok(sent),
            }
        }
    }

    /// Waits for the next datagram: its bytes and where it came from.
    pub fn receive(&self) -> Result<(Vec<u8>, SocketAddr), &'static str> {
        loop {
            let found = self.incoming.receive(1).map_err(|code| code.name())?;
            if let Some(datagram) = found.into_iter().next() {
                return Ok((datagram.data, plain(datagram.remote_address)));
            }
            let (more, patience) = (self.incoming.subscribe(), subscribe_duration(PATIENCE_NS));
            if !poll(&[&more, &patience]).contains(&0) {
                return Err("nothing came");
            }
        }
    }
}

/// A fresh socket of the family of `address`.
pub fn socket_for(address: SocketAddr) -> UdpSocket {
    create_udp_socket(family(address)).expect("a UDP socket")
}

/// Binds, whichever of the two halves gives the answer.
pub fn bind(socket: &UdpSocket, address: SocketAddr) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), wire(address))?;
    loop {
        match socket.finish_bind() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            answer => return answer,
        }
    }
}

/// A socket bound to `address`.
pub fn bound(address: SocketAddr) -> UdpSocket {
    let socket = socket_for(address);
    bind(&socket, address).expect("the bind works");
    socket
}

/// Where a bound socket is.
pub fn local(socket: &UdpSocket) -> SocketAddr {
    plain(socket.local_address().expect("a bound socket has an address"))
}

/// An address like `any` with a port that was free just now: some systems give up a port they chose themselves when a
/// socket is disconnected, and keep one that was named.
pub fn free(any: SocketAddr) -> SocketAddr {
    local(&bound(any))
}
