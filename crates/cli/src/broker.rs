//! The broker: the process beside `cord run` and `cord serve` that makes a guest's connections and takes those from
//! outside.
//!
//! One side ([`Broker`]) is the runner's: it starts the process, asks it for weaker handles, and lets the strong one go
//! before any guest runs. The other side ([`serve`]) is the process: a switchboard, an egress, a resolver and an ingress
//! for each published port on one thread, until the runner's last handle is closed.
//!
//! The broker listens before it answers the first request. So whoever has a handle of it knows that all is published.
//! Its standard output is a socket, too, by which it is told to take no further connections: the runner closes its half,
//! and the broker closes the whole once all it took are handed over. A jailed runner can send no signal.

use crate::confine::{self, Telling};
use crate::door::Door;
use crate::exit::{self, Fault};
use crate::{descriptors, logging, parts};
use anyhow::Context;
use capability::{Capability, Constraint, Grant, Labels, Pattern, Right, Rights, keys};
use client::{Handle, RequestError};
use edge::ingress::IngressError;
use jail::{Plan, Role, User};
use manifest::flags::{BrokerFlags, ServedAs};
use manifest::{GuestPlan, Publish, Transport, service};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use switchboard::Switchboard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A broker whose strongest handle this process still holds.
pub(crate) struct Broker {
    process: Child,
    doors: UnixStream,
    strong: Handle,
    service: String,
}

impl Broker {
    /// Starts a broker that publishes what the plan says. Must be called inside a tokio runtime.
    ///
    /// # Authority
    /// As long as the value lives, the process holds the strongest handle of the new switchboard.
    pub(crate) fn start(plan: &GuestPlan, served_as: ServedAs) -> Result<Self, Fault> {
        let (ours, theirs) = fdpass::pair().context("cannot make a socket for the broker")?;
        let program = std::env::current_exe().context("cannot find this program")?;
        let (doors, theirs_of_doors) = UnixStream::pair().context("cannot make a socket for the broker")?;
        let served_as = match served_as {
            ServedAs::Guest => "guest",
            ServedAs::Connections => "connections",
            ServedAs::Http => "http",
            ServedAs::Https => "https",
        };
        let process = Command::new(program)
            .arg0("cord")
            .arg("broker")
            .arg(format!("--service={}", plan.service))
            .arg(format!("--served-as={served_as}"))
            .args(plan.publish.iter().map(|publish| format!("--publish={publish}")))
            .arg(format!("--jail={}", plan.jail.name()))
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(OwnedFd::from(theirs_of_doors)))
            // Ctrl-C is for the guest. The broker ends when the last handle is closed.
            .process_group(0)
            .spawn()
            .context("cannot start the broker")?;
        let strong = Handle::new(ours).context("cannot talk to the broker")?;
        Ok(Self { process, doors, strong, service: plan.service.clone() })
    }

    /// A handle that can do what the plan grants and nothing else.
    pub(crate) async fn guest_handle(&mut self, plan: &GuestPlan) -> Result<OwnedFd, Fault> {
        let name = || {
            anyhow::Ok(Constraint {
                rights: plan.rights(),
                in_labels: service::labels(&plan.service)?,
                out_labels: Labels::try_from_pairs([(keys::CLIENT_SERVICE, plan.service.as_str())])?,
                grants: Some(plan.grants.clone()),
            })
        };
        self.constrain(name().context("cannot name the guest")?).await
    }

    /// A handle with which this process, not the guest, takes the streams that are published without a guest's port.
    pub(crate) async fn server_handle(&mut self) -> Result<OwnedFd, Fault> {
        let tcp = || {
            let grant = Grant::new(Right::ServerStart);
            grant.with(keys::TRANSPORT, Pattern::exact(Transport::Tcp.name())?)
        };
        let labels = service::labels(&self.service).context("cannot name the guest")?;
        let with_label = |grant: Grant, (key, value): (&capability::LabelKey, &capability::LabelValue)| {
            grant.with(key.as_str(), Pattern::exact(value.as_str())?)
        };
        let grant = tcp().and_then(|grant| labels.iter().try_fold(grant, with_label));
        let grants = Some(vec![grant.context("cannot name the guest")?]);
        let rights = Rights::only(Right::ServerStart);
        self.constrain(Constraint { rights, in_labels: labels, out_labels: Labels::default(), grants }).await
    }

    async fn constrain(&mut self, constraint: Constraint) -> Result<OwnedFd, Fault> {
        match self.strong.constrain(&constraint).await {
            Ok(weaker) => Ok(weaker),
            Err(RequestError::Gone) if self.has_told() => Err(Fault::Told),
            Err(error) => Err(anyhow::Error::new(error).context("the broker gave no handle").into()),
        }
    }

    /// Whether a broker that gives no handle has ended of itself, and so has said why. One that was killed has not.
    fn has_told(&mut self) -> bool {
        self.process.wait().is_ok_and(|status| status.code() == Some(125))
    }

    /// The strongest handle.
    pub(crate) fn strong(&self) -> &Handle {
        &self.strong
    }

    /// Lets the strongest handle go. What is left can end the taking of connections.
    pub(crate) fn let_go(self) -> Doors {
        Doors { doors: self.doors, _process: self.process }
    }
}

/// What takes connections from outside, in the broker. It does so as long as this value lives.
pub(crate) struct Doors {
    doors: UnixStream,
    /// Not waited for: the broker outlives the runner if connections of others are under way.
    _process: Child,
}

impl Doors {
    /// Takes no more connections, and waits until those that were taken are handed over.
    pub(crate) async fn close(self) {
        let told = self.doors.shutdown(Shutdown::Write).and_then(|()| self.doors.set_nonblocking(true));
        // A broker that has ended has no doors.
        if let Ok(mut doors) = told.and_then(|()| tokio::net::UnixStream::from_std(self.doors)) {
            // Nothing is ever sent; what is waited for is the end.
            let _ = doors.read_u8().await;
        }
    }
}

/// Serves as the broker of one runner, on the socket that is standard input.
pub(crate) fn serve(flags: &BrokerFlags) -> Result<ExitCode, Fault> {
    logging::start();
    descriptors::allow_many();
    let socket =
        fdpass::take_stdin().context("cord broker is started by cord run, with a socket as its standard input")?;
    let doors = io::stdout().as_fd().try_clone_to_owned().context("cannot use standard output")?;
    confine::enter(flags.jail.jail, &jail(&flags.publish), Telling::Nothing)?;
    let listen = |publish: &Publish| listen(publish, flags.served_as);
    let published = flags.publish.iter().map(listen).collect::<anyhow::Result<Vec<_>>>()?;
    parts::block_on(async {
        let switchboard = Switchboard::new(switchboard::Limits::default());
        let outside = Labels::try_from_pairs([(keys::NETWORK, keys::OUTSIDE)])?;
        let (egress, resolver) = (switchboard.start_egress(outside.clone())?, switchboard.start_resolver(outside)?);
        let (stop, stopping) = watch::channel(false);
        let doors =
            open_doors(doors).context("cord broker is started by cord run, with a socket as its standard output")?;
        let ingresses = ingresses(&switchboard, published, &service::labels(&flags.service)?, &stopping)?;
        // Not before the edges are there: a guest's first request must find them.
        switchboard.open(Capability::root(), socket).context("cannot open the handle")?;
        tokio::select! {
            () = switchboard.serve() => {}
            ended = edge::egress::run(egress, edge::egress::EgressLimits::default()) => ended.context("the egress ended")?,
            ended = edge::resolver::run(resolver, edge::resolver::ResolverLimits::default()) => ended.context("the resolver ended")?,
            ended = take_connections(ingresses, doors, &stop) => ended?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Listens where it is to be published, and says where if that must be known.
fn listen(publish: &Publish, served_as: ServedAs) -> anyhow::Result<(Publish, Door)> {
    let door = Door::open(publish.outside, publish.transport)?;
    let address = door.address().context("cannot tell where it is published")?;
    let is_picked = publish.outside.port() == 0;
    match (served_as, publish.guest_port) {
        (ServedAs::Http, _) => exit::say(format_args!("serving http://{address}")),
        (ServedAs::Https, _) => exit::say(format_args!("serving https://{address}")),
        (_, Some(port)) if is_picked => {
            let transport = if publish.transport == Transport::Udp { "UDP port" } else { "port" };
            exit::say(format_args!("{address} is {transport} {port} of the guest"));
        }
        (_, None) if is_picked => {
            exit::say(format_args!("{address} is served by a fresh instance for each connection"));
        }
        _ => {}
    }
    Ok((*publish, door))
}

/// An ingress for each door. They share one handle, which can push to the guest and do nothing else.
fn ingresses(
    switchboard: &Switchboard,
    published: Vec<(Publish, Door)>,
    service: &Labels,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<Result<(), IngressError>>> {
    let mut ingresses = JoinSet::new();
    if published.is_empty() {
        return Ok(ingresses);
    }
    let push = Constraint {
        rights: Rights::only(Right::IngressConnect),
        out_labels: service.clone(),
        ..Constraint::default()
    };
    let (ours, theirs) = fdpass::pair()?;
    // Beside the guest's handles: it alone is no reason to go on.
    switchboard.open_aside(Capability::root().constrain(&push)?, theirs)?;
    let handle = Handle::new(ours)?;
    for (publish, door) in published {
        ingresses.spawn(door.run(handle.clone(), publish.labels(service)?, stopping.clone()));
    }
    Ok(ingresses)
}

/// What is left to the broker: sockets, and the files of the system's resolver.
fn jail(publish: &[Publish]) -> Plan<'static> {
    let ports = |transport| {
        let published = publish.iter().filter(move |publish| publish.transport == transport);
        published.map(|publish| publish.outside.port())
    };
    let listens_at: Vec<u16> = ports(Transport::Tcp).collect();
    let low_ports = ports(Transport::Udp).chain(listens_at.iter().copied()).any(is_low);
    Plan { user: User::Nobody, listens_at, low_ports, ..Plan::new(Role::Broker) }
}

/// Whether only a privileged process may bind a port, as a rule.
pub(crate) fn is_low(port: u16) -> bool {
    (1..1024).contains(&port)
}

fn open_doors(socket: OwnedFd) -> io::Result<tokio::net::UnixStream> {
    let socket = UnixStream::from(socket);
    // It tells whether it is one.
    socket.local_addr()?;
    socket.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(socket)
}

/// Runs the ingresses, which only end when they are told to: by the runner, or by SIGTERM. Returns if one breaks.
async fn take_connections(
    mut ingresses: JoinSet<Result<(), IngressError>>,
    mut doors: tokio::net::UnixStream,
    stop: &watch::Sender<bool>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    loop {
        let is_open = !*stop.borrow();
        tokio::select! {
            _ = terminate.recv() => {
                stop.send_replace(true);
            }
            _ = doors.read_u8(), if is_open => {
                stop.send_replace(true);
            }
            Some(ended) = ingresses.join_next() => ended.context("an ingress broke")?.context("an ingress ended")?,
        }
        if *stop.borrow() && ingresses.is_empty() {
            // The runner may be gone.
            let _ = doors.shutdown().await;
            std::future::pending::<()>().await;
        }
    }
}
