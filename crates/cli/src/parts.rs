//! The parts alone: `cord switchboard`, `cord ingress`, `cord egress`, `cord resolver`.

use crate::broker::is_low;
use crate::confine::{self, Telling};
use crate::door::Door;
use crate::exit::{self, Fault};
use crate::{connect, logging, print_line};
use anyhow::{Context, anyhow};
use capability::{Capability, Labels, keys};
use jail::{Access, Place, Plan, Role, User};
use manifest::Transport;
use manifest::flags::{EdgeFlags, IngressFlags, SwitchboardFlags};
use rustix::process::Signal;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use switchboard::Switchboard;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long an ingress that is asked to end may take over those whom it has let in.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Runs a future on an event loop of this thread.
pub(crate) fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> Result<ExitCode, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::ours)?;
    let result = runtime.block_on(work).map_err(Fault::Ours);
    // A lookup that hangs in the system's resolver would hold up the end.
    runtime.shutdown_background();
    result
}

/// The signals that ask a program to end.
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on they do not end this process by themselves.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
        }
    }
}

/// Waits for SIGTERM or SIGINT.
async fn asked_to_end() -> io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}

/// A switchboard that everybody who can open its socket holds the strongest handle of.
pub(crate) fn switchboard(flags: &SwitchboardFlags) -> Result<ExitCode, Fault> {
    logging::start();
    let path = &flags.socket;
    let listener = listen(path).with_context(|| format!("cannot make the socket {}", path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    let places = vec![Place { folder: folder.as_fd(), access: Access::Remove }];
    confine::enter(flags.jail.jail, &Plan { places, ..Plan::new(Role::Switchboard) }, Telling::Aloud)?;
    block_on(async {
        let switchboard = Switchboard::new(switchboard::Limits::default());
        let served = tokio::select! {
            ended = switchboard.accept(listener, Capability::root()) => ended.context("cannot accept any more"),
            asked = asked_to_end() => asked.context("cannot wait for signals"),
        };
        // Whoever comes later should see at once that nobody is there.
        let _ = std::fs::remove_file(path);
        served.map(|()| ExitCode::SUCCESS)
    })
}

/// Listens at `path`. A socket that a killed switchboard left there is taken away; one that answers is not.
fn listen(path: &Path) -> io::Result<OwnedFd> {
    match fdpass::listen(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        outcome => return outcome,
    }
    // Never anything else that somebody has there, nor what a link leads to.
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is no socket is there; name another path",
        ));
    }
    match fdpass::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)?;
            fdpass::listen(path)
        }
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "a switchboard is there already")),
    }
}

/// An ingress that pushes what it accepts to the server of these labels.
pub(crate) fn ingress(flags: &IngressFlags) -> Result<ExitCode, Fault> {
    logging::start();
    let labels = connect::labels(&flags.labels)?;
    block_on(async {
        let handle = connect::open(&flags.socket).map_err(anyhow_of)?;
        let port = flags.address.port();
        let (transport, listens_at) =
            if flags.udp { (Transport::Udp, Vec::new()) } else { (Transport::Tcp, vec![port]) };
        let plan = Plan { user: User::Nobody, listens_at, low_ports: is_low(port), ..Plan::new(Role::Ingress) };
        confine::enter(flags.jail.jail, &plan, Telling::Aloud).map_err(anyhow_of)?;
        let door = Door::open(flags.address, transport)?;
        print_line(&door.address()?.to_string()).map_err(anyhow_of)?;
        let (stop, stopping) = watch::channel(false);
        let mut running = std::pin::pin!(door.run(handle, labels, stopping));
        tokio::select! {
            ended = &mut running => {
                ended.context("the ingress ended")?;
                return Err(anyhow!("the switchboard is gone"));
            }
            asked = asked_to_end() => asked?,
        }
        stop.send_replace(true);
        match tokio::time::timeout(STOP_TIME, running).await {
            Ok(stopped) => stopped.context("the ingress ended").map(|()| ExitCode::SUCCESS),
            // Whoever still waits for a server is turned away.
            Err(_elapsed) => Ok(exit::by_signal(Signal::TERM)),
        }
    })
}

/// An egress, registered under these labels.
pub(crate) fn egress(flags: &EdgeFlags) -> Result<ExitCode, Fault> {
    logging::start();
    let labels = outside(flags)?;
    block_on(async {
        let target = connect::open(&flags.socket).map_err(anyhow_of)?.egress_start(&labels).await?;
        jail_edge(flags)?;
        tokio::select! {
            ended = edge::egress::run(target, edge::egress::EgressLimits::default()) => {
                ended.context("the egress ended")?;
                Err(anyhow!("the switchboard is gone"))
            }
            asked = asked_to_end() => { asked?; Ok(ExitCode::SUCCESS) }
        }
    })
}

/// A resolver, registered under these labels.
pub(crate) fn resolver(flags: &EdgeFlags) -> Result<ExitCode, Fault> {
    logging::start();
    let labels = outside(flags)?;
    block_on(async {
        let target = connect::open(&flags.socket).map_err(anyhow_of)?.resolver_start(&labels).await?;
        jail_edge(flags)?;
        tokio::select! {
            ended = edge::resolver::run(target, edge::resolver::ResolverLimits::default()) => {
                ended.context("the resolver ended")?;
                Err(anyhow!("the switchboard is gone"))
            }
            asked = asked_to_end() => { asked?; Ok(ExitCode::SUCCESS) }
        }
    })
}

/// What is left to an egress or a resolver: sockets, and the files of the system's resolver.
fn jail_edge(flags: &EdgeFlags) -> anyhow::Result<()> {
    let plan = Plan { user: User::Nobody, ..Plan::new(Role::Egress) };
    confine::enter(flags.jail.jail, &plan, Telling::Aloud).map_err(anyhow_of)
}

/// The labels typed, and `network=outside`: an egress and a resolver know no other world.
fn outside(flags: &EdgeFlags) -> Result<Labels, Fault> {
    let typed = connect::labels(&flags.labels)?;
    let outside = Labels::try_from_pairs([(keys::NETWORK, keys::OUTSIDE)]).map_err(Fault::ours)?;
    typed.merge(&outside).context("an egress or resolver is network=outside").map_err(Fault::Ours)
}

pub(crate) fn anyhow_of(fault: Fault) -> anyhow::Error {
    match fault {
        Fault::Ours(error) | Fault::CannotRun(error) | Fault::NotFound(error) => error,
        Fault::Told => anyhow!("{fault}"),
    }
}
