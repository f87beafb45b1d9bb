//! The sockets that a guest finds open when it starts, in systemd's convention.
//!
//! Their numbers follow the volumes', because wasi-libc looks for volumes from 3 on and stops at the first descriptor that
//! is none. So the first one is 3 and one more for each volume (a working directory may be one, see [`crate::workdir`]):
//! the lowest number for which `fd_prestat_get` fails. Listening ones come first, then connected ones.
//!
//! `LISTEN_FDS` counts them, `LISTEN_FDNAMES` names them with colons between, and `LISTEN_PID` is 42: what wasi-libc's
//! `getpid` answers. What the guest's environment says already stays.

use std::net::SocketAddr;

use wasmtime_wasi::WasiView;
use wasmtime_wasi::p1::types::{Errno, Fd};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::GuestMemory;

use crate::exit::RunError;
use crate::guest::{GuestSpec, Start};
use crate::p1::Preview1;
use crate::p1::socket::{Kind, Socket};
use crate::p1::table::Table;
use crate::p1::tcp::Tcp;
use crate::sockets::{Arrived, Family, Fault, Network, Options, TcpSocket, Transport, remote_of};

/// What wasi-libc tells a guest that asks who it is.
const PROCESS: &str = "42";

/// As many connections as may wait for a guest that was given a listening socket: what systemd asks of the kernel.
const BACKLOG: u32 = 4096;

/// What wasmtime-wasi's table has besides files: standard streams, folders that are being read, what is waited for.
const SPARE_RESOURCES: usize = 64;

/// Most resources in wasmtime-wasi's own table, where each file and each volume is one: all that bounds preview 0.
pub(crate) fn max_resources(spec: &GuestSpec) -> usize {
    spec.host_limits.files.saturating_add(spec.volumes.len() + SPARE_RESOURCES)
}

/// A port that a guest finds open: a listening socket, or a bound one for datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenFd {
    /// What `LISTEN_FDNAMES` calls it.
    pub name: String,
    /// The kind of socket.
    pub transport: Transport,
    /// The port inside, for which the guest's handle needs the grant.
    pub port: u16,
}

/// A stream that a guest finds connected.
///
/// # Authority
///
/// The guest talks to whoever is at the other end; its handle is not asked.
#[derive(Debug)]
pub struct ConnectFd {
    /// What `LISTEN_FDNAMES` calls it.
    pub name: String,
    /// The connection.
    pub connection: client::Connection,
}

impl Preview1 {
    /// Sets up a guest's world, and opens what it is to find open.
    ///
    /// # Errors
    ///
    /// A volume, the working directory or one of the sockets is not to be had.
    pub(crate) async fn start(spec: &GuestSpec, mut start: Start) -> Result<Preview1, RunError> {
        announce(spec, &mut start);
        let mut wasi = spec.context(start.stdio, &start.env)?.build_p1();
        // No memory of a guest is needed to learn how many there are.
        let mut nowhere = GuestMemory::Unshared(&mut []);
        let mut volumes = 0;
        while wasi.fd_prestat_get(&mut nowhere, Fd::from(3 + volumes)).is_ok() {
            volumes += 1;
        }
        wasi.ctx().table.set_max_capacity(max_resources(spec));
        let share = spec.descriptors.share();
        let network = Network::of(spec, share.clone());
        let table = Table::new(volumes, spec.host_limits.files, share);
        let max_subscriptions = spec.host_limits.subscriptions;
        let mut guest = Preview1 { wasi, table, network, max_subscriptions, fuel: 0 };
        for listener in &spec.listeners {
            let outcome = match listen(&guest.network, listener).await {
                Ok(socket) => guest.add(socket),
                Err(errno) => Err(errno),
            };
            outcome.map_err(|errno| RunError::Listen {
                name: listener.name.clone(),
                port: listener.port,
                reason: errno.to_string(),
            })?;
        }
        for ConnectFd { name, connection } in start.connections {
            let socket = given(&guest.network, connection).map_err(Errno::from);
            let outcome = socket.and_then(|socket| guest.add(socket));
            outcome.map_err(|errno| RunError::Connection { name, reason: errno.to_string() })?;
        }
        Ok(guest)
    }
}

/// Tells the guest of what it will find.
fn announce(spec: &GuestSpec, start: &mut Start) {
    let listeners = spec.listeners.iter().map(|listener| &*listener.name);
    let names: Vec<&str> = listeners.chain(start.connections.iter().map(|connection| &*connection.name)).collect();
    if names.is_empty() {
        return;
    }
    let told = [
        ("LISTEN_FDS", names.len().to_string()),
        ("LISTEN_FDNAMES", names.join(":")),
        ("LISTEN_PID", PROCESS.to_owned()),
    ];
    for (name, value) in told {
        if !spec.env.iter().chain(&start.env).any(|(known, _)| known == name) {
            start.env.push((name.to_owned(), value));
        }
    }
}

/// An open port. It is one of IPv4, and takes what arrives by either family.
async fn listen(network: &Network, listener: &ListenFd) -> Result<Socket, Errno> {
    let local = SocketAddr::new(Family::V4.unspecified(), listener.port);
    let mut socket = match listener.transport {
        Transport::Tcp => Socket::stream(network, Family::V4)?,
        Transport::Udp => Socket::datagram(network, Family::V4)?,
    };
    socket.bind(local).await?;
    if socket.is_stream() {
        socket.listen(BACKLOG).await?;
    }
    Ok(socket)
}

/// A connection as a socket of the guest.
fn given(network: &Network, connection: client::Connection) -> Result<Socket, Fault> {
    let family = remote_of(&connection.socket).map_or(Family::V4, |remote| Family::of(remote.ip()));
    let arrived = Arrived::dialled(connection, SocketAddr::new(family.unspecified(), 0));
    let socket = TcpSocket::connected(network, family, &Options::default(), arrived, network.slot()?)?;
    Ok(Socket::new(Kind::Tcp(Tcp::connected(socket)?)))
}
