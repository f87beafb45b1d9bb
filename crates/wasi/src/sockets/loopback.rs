//! Connections of a guest to itself: socket pairs, made in this process. No grant is asked for, because nothing leaves it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::sockets::arrived::{Addresses, Arrived, Family, OwnPair};
use crate::sockets::fault::Fault;
use crate::sockets::network::{Binding, Network};
use crate::sockets::ports::{Door, Transport};

/// Joins a socket of the guest to whoever listens at `door`, and waits for room in its queue. If the socket was not
/// `bound`, it gets a port of its own.
///
/// # Errors
///
/// [`Fault::ConnectionRefused`] if nobody listens there (any more), [`Fault::NewSocketLimit`] if the guest may have no
/// socket for the other end, or the system has no socket pair.
pub(crate) async fn connect(
    network: Network,
    door: Door,
    bound: Option<SocketAddr>,
    remote: SocketAddr,
) -> Result<(Arrived, Option<Binding>), Fault> {
    let Door::Listener(queue) = door else { return Err(Fault::ConnectionRefused) };
    let loopback = Family::of(remote.ip()).loopback();
    let (local, binding) = match bound {
        Some(bound) => (bound, None),
        None => {
            let binding = network.bind_any(Transport::Tcp, loopback)?;
            (binding.local(), Some(binding))
        }
    };
    // Whoever is bound to every address reaches loopback from loopback.
    let local = if local.ip().is_unspecified() { SocketAddr::new(loopback, local.port()) } else { local };
    let (near, far) = pair()?;
    let own = Some(OwnPair { client: rustix::io::fcntl_dupfd_cloexec(&near, 0)?, slot: network.slot()? });
    let accepted = Arrived { socket: far, addresses: Addresses { local: remote, remote: local }, own };
    queue.send(accepted).await.map_err(|_closed| Fault::ConnectionRefused)?;
    Ok((Arrived { socket: near, addresses: Addresses { local, remote }, own: None }, binding))
}

fn pair() -> Result<(OwnedFd, OwnedFd), Fault> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}
