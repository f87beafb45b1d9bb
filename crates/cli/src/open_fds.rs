//! What a guest of preview 1 finds open when it starts: `--listen-fds` and `--connect-fd`.

use crate::exit::Fault;
use anyhow::{Context, anyhow};
use capability::{Constraint, Labels, Right, Rights, keys};
use client::Handle;
use manifest::{ConnectFd, Transport};
use std::num::NonZeroU16;
use std::path::Path;
use wasi::{ListenFd, Program};

/// Refuses what the guest has no way to find.
pub(crate) fn check(
    guest: &Path,
    listen_fds: &[(Transport, NonZeroU16)],
    connect_fds: &[ConnectFd],
    program: &Program,
) -> Result<(), Fault> {
    if program.takes_descriptors() || (listen_fds.is_empty() && connect_fds.is_empty()) {
        return Ok(());
    }
    let flag = if listen_fds.is_empty() { "--connect-fd" } else { "--listen-fds" };
    let guest = guest.display();
    Err(Fault::CannotRun(anyhow!(
        "{flag} is for modules of preview 1, and {guest} is none; it opens its sockets itself"
    )))
}

/// The listening sockets, named by the guest's port.
pub(crate) fn listeners(listen_fds: &[(Transport, NonZeroU16)]) -> Vec<ListenFd> {
    let listener = |(transport, port): &(Transport, NonZeroU16)| ListenFd {
        name: format!("{}-{port}", transport.name()),
        transport: match transport {
            Transport::Tcp => wasi::Transport::Tcp,
            Transport::Udp => wasi::Transport::Udp,
        },
        port: port.get(),
    };
    listen_fds.iter().map(listener).collect()
}

/// Makes the connections, each through a handle that is good for it alone and closed behind it.
///
/// # Authority
/// `strong` must not outlive the start of the guest.
pub(crate) async fn connect(
    service: &str,
    connect_fds: &[ConnectFd],
    strong: &Handle,
) -> anyhow::Result<Vec<wasi::ConnectFd>> {
    let mut connections = Vec::new();
    for connect_fd in connect_fds {
        let connection = connect_one(service, strong, connect_fd).await;
        let connection = connection.with_context(|| {
            format!("cannot connect to {} for --connect-fd {}", connect_fd.target(), connect_fd.name)
        })?;
        connections.push(wasi::ConnectFd { name: connect_fd.name.clone(), connection });
    }
    Ok(connections)
}

async fn connect_one(service: &str, strong: &Handle, connect_fd: &ConnectFd) -> anyhow::Result<client::Connection> {
    let constraint = Constraint {
        rights: Rights::only(Right::ClientConnect),
        out_labels: Labels::try_from_pairs([(keys::CLIENT_SERVICE, service)])?,
        grants: Some(connect_fd.grants()?),
        ..Constraint::default()
    };
    let weaker = Handle::new(strong.constrain(&constraint).await?)?;
    Ok(weaker.connect(&connect_fd.request()?).await?)
}
