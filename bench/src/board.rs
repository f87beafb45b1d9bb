//! A switchboard in a process of its own, as a broker has it, with a service or an egress in others.

use crate::far;
use crate::peer::Process;
use crate::setting::Setting;
use anyhow::{Context, Result, bail};
use capability::{Capability, Constraint, Grant, Labels, Pattern, Right, Rights, keys};
use client::{Connection, Handle};
use cord_bench::event_loop;
use edge::egress::{self, EgressLimits};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use switchboard::{Limits, Switchboard};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// Where guests and others find the service. An address outside, so that programs need not be changed.
pub(crate) const SERVICE: (&str, &str) = ("10.9.8.7", "7");

/// What there is at a switchboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum With {
    /// A service that echoes, one connection after the other.
    Echo,
    /// The other end of the guest `stream`.
    Far,
    /// An egress.
    Egress,
}

/// A switchboard and what is registered with it.
pub(crate) struct Board {
    pub(crate) runtime: Runtime,
    root: Handle,
    _processes: Vec<Process>,
}

impl Board {
    /// Starts it.
    pub(crate) fn start(setting: &Setting, with: With) -> Result<Self> {
        let (ours, theirs) = fdpass::pair()?;
        let role = if with == With::Egress { "broker-with-egress" } else { "broker" };
        let mut processes = vec![Process(setting.role(role).stdin(Stdio::from(theirs)).spawn()?)];
        let runtime = event_loop();
        let root = runtime.block_on(async { Handle::new(ours) })?;
        let name = match with {
            With::Echo => Some("echo-service"),
            With::Far => Some("far-service"),
            With::Egress => None,
        };
        if let Some(role) = name {
            let weaker = Constraint { rights: Rights::only(Right::ServerStart), ..Constraint::default() };
            let server = runtime.block_on(root.constrain(&weaker))?;
            processes.push(Process(setting.role(role).stdin(Stdio::from(server)).spawn()?));
        }
        let board = Self { runtime, root, _processes: processes };
        let wanted = if with == With::Egress { outside()? } else { destination(SERVICE.0, SERVICE.1)? };
        while board.runtime.block_on(board.root.list(&wanted))?.is_empty() {
            thread::yield_now();
        }
        Ok(board)
    }

    /// A handle as a guest has it: may connect to this destination and do nothing else. Its reading belongs to the event loop
    /// in which it is opened.
    pub(crate) fn guest_handle(&self, address: &str, port: &str) -> Result<OwnedFd> {
        let mut grant = Grant::new(Right::ClientConnect);
        for (key, value) in destination(address, port)?.iter() {
            grant = grant.with(key.as_str(), Pattern::exact(value.as_str())?)?;
        }
        let constraint = Constraint {
            rights: Rights::only(Right::ClientConnect),
            in_labels: Labels::default(),
            out_labels: Labels::try_from_pairs([(keys::CLIENT_SERVICE, "bench")])?,
            grants: Some(vec![grant]),
        };
        Ok(self.runtime.block_on(self.root.constrain(&constraint))?)
    }

    /// So many handles that ask ten times a second, in a process of their own.
    pub(crate) fn keep_busy(&self, setting: &Setting, handles: u32) -> Result<Process> {
        let weaker = Constraint { rights: Rights::only(Right::ClientConnect), ..Constraint::default() };
        let handle = self.runtime.block_on(self.root.constrain(&weaker))?;
        let mut role = setting.role("busy");
        Ok(Process(role.arg(handles.to_string()).stdin(Stdio::from(handle)).spawn()?))
    }
}

/// The labels of a request for an address, as a guest's `connect` has them.
pub(crate) fn destination(address: &str, port: &str) -> Result<Labels> {
    let labels = [
        (keys::SERVER_ADDRESS, address),
        (keys::NETWORK, keys::OUTSIDE),
        (keys::TRANSPORT, "tcp"),
        (keys::SERVER_PORT, port),
    ];
    Ok(Labels::try_from_pairs(labels)?)
}

fn outside() -> Result<Labels> {
    Ok(Labels::try_from_pairs([(keys::NETWORK, keys::OUTSIDE)])?)
}

/// A connected socket, for those who wait.
pub(crate) fn blocking(socket: OwnedFd) -> Result<UnixStream> {
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// What the processes of a switchboard do. Each has its handle as standard input.
pub(crate) fn play(role: &str, arguments: &[String]) -> Result<()> {
    let handle = fdpass::take_stdin().context("started by the benchmark, with a socket as standard input")?;
    let runtime = event_loop();
    match role {
        "broker" => runtime.block_on(broker(handle, false)),
        "broker-with-egress" => runtime.block_on(broker(handle, true)),
        "echo-service" => serve(&runtime, handle, echo),
        "far-service" => serve(&runtime, handle, |stream| drop(thread::spawn(move || far::end(stream)))),
        "busy" => runtime.block_on(busy(handle, arguments.first().context("how many handles")?.parse()?)),
        _ => bail!("no role {role}"),
    }
}

async fn broker(handle: OwnedFd, has_egress: bool) -> Result<()> {
    let board = Switchboard::new(Limits::default());
    board.open(Capability::root(), handle)?;
    if !has_egress {
        board.serve().await;
        return Ok(());
    }
    let target = board.start_egress(outside()?)?;
    tokio::select! {
        () = board.serve() => {}
        ended = egress::run(target, EgressLimits::default()) => ended?,
    }
    Ok(())
}

fn serve(runtime: &Runtime, handle: OwnedFd, mut each: impl FnMut(UnixStream)) -> Result<()> {
    let labels = destination(SERVICE.0, SERVICE.1)?;
    let server = runtime.block_on(async { anyhow::Ok(Handle::new(handle)?.serve(&labels).await?) })?;
    while let Some(Connection { socket, .. }) = runtime.block_on(server.accept()) {
        each(blocking(socket)?);
    }
    Ok(())
}

fn echo(mut stream: UnixStream) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
}

/// How long each of a crowd of handles rests between two questions. All of them without a rest would keep both cores of a
/// small machine busy, and what is measured then is the kernel's scheduler.
const REST: Duration = Duration::from_millis(100);

/// Each handle asks for a connection that it has no grant for, again and again: the switchboard judges and answers.
async fn busy(handle: OwnedFd, handles: u32) -> Result<()> {
    let root = Handle::new(handle)?;
    let nothing =
        Constraint { rights: Rights::only(Right::ClientConnect), grants: Some(Vec::new()), ..Constraint::default() };
    let wanted = destination(SERVICE.0, SERVICE.1)?;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..handles {
        let handle = Handle::new(root.constrain(&nothing).await?)?;
        let wanted = wanted.clone();
        asking.spawn(async move {
            while matches!(handle.connect(&wanted).await, Err(client::RequestError::Refused(_))) {
                sleep(REST).await;
            }
        });
    }
    asking.join_next().await;
    Ok(())
}
