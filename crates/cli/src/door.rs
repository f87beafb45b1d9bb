//! Where this machine is reached from outside, for streams or for datagrams: opened first, run later.

use anyhow::Context;
use capability::Labels;
use client::Handle;
use edge::ingress::{self, IngressError, IngressLimits};
use manifest::Transport;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use tokio::sync::watch;

/// A socket of an ingress that has not begun.
pub(crate) enum Door {
    Streams(TcpListener),
    Datagrams(UdpSocket),
}

impl Door {
    /// Takes the address.
    ///
    /// # Authority
    /// Whoever reaches that address reaches the caller of [`Door::run`].
    pub(crate) fn open(address: SocketAddr, transport: Transport) -> anyhow::Result<Self> {
        let opened = match transport {
            Transport::Tcp => ingress::bind(address).map(Self::Streams),
            Transport::Udp => ingress::bind_udp(address).map(Self::Datagrams),
        };
        opened.with_context(|| format!("cannot listen on {address} for {}", transport.name()))
    }

    /// Where it is, also if the system chose the port.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Streams(listener) => listener.local_addr(),
            Self::Datagrams(socket) => socket.local_addr(),
        }
    }

    /// Pushes what comes through `handle`, until the switchboard is gone or `stop` turns true. Whoever was let in then is
    /// still pushed.
    pub(crate) async fn run(
        self,
        handle: Handle,
        labels: Labels,
        stop: watch::Receiver<bool>,
    ) -> Result<(), IngressError> {
        let limits = IngressLimits::default();
        match self {
            Self::Streams(listener) => ingress::run(listener, handle, labels, limits, stop).await,
            Self::Datagrams(socket) => ingress::run_udp(socket, handle, labels, limits, stop).await,
        }
    }
}
