//! The broker: the process beside `cord run` that makes its connections and takes those from outside.
//!
//! One side ([`start`]) is the runner's: it starts the process, weakens the handle it gets to the plan's grants, and
//! lets the strong one go before any guest runs. The other side ([`serve`]) is the process: a switchboard, an egress, a
//! resolver and an ingress for each published port on one thread, until the runner's last handle is closed.
//!
//! The broker listens before it answers the first request. So whoever has a handle of it knows that all is published.

use crate::door::Door;
use crate::exit::{self, Fault};
use crate::{descriptors, logging, open_fds, parts};
use anyhow::{Context, anyhow};
use capability::{Capability, Constraint, Labels, Right, Rights, keys};
use client::{Handle, RequestError};
use edge::ingress::IngressError;
use manifest::flags::BrokerFlags;
use manifest::{Publish, RunPlan, Transport, service};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use switchboard::Switchboard;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a broker gave to a guest.
pub(crate) struct Started {
    /// A handle that can do what the plan grants and nothing else. `None`: the plan grants nothing.
    pub(crate) handle: Option<Handle>,
    /// The connections that the guest finds open.
    pub(crate) connections: Vec<wasi::ConnectFd>,
}

/// Starts a broker and has it make what the plan says.
///
/// # Authority
/// For as long as this function runs, the process holds the strongest handle of the new switchboard.
pub(crate) async fn start(plan: &RunPlan) -> Result<Started, Fault> {
    let (ours, theirs) = fdpass::pair().context("cannot make a socket for the broker")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut process = Command::new(program)
        .arg0("cord")
        .arg("broker")
        .arg(format!("--service={}", plan.service))
        .args(plan.publish.iter().map(|publish| format!("--publish={publish}")))
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        // Ctrl-C is for the guest. The broker ends when the last handle is closed.
        .process_group(0)
        .spawn()
        .context("cannot start the broker")?;
    let strong = Handle::new(ours).context("cannot talk to the broker")?;
    let constraint = constraint(plan).context("cannot name the guest")?;
    let handle = match strong.constrain(&constraint).await {
        Ok(weaker) => Handle::new(weaker).context("cannot talk to the broker")?,
        Err(RequestError::Gone) if has_told(&mut process) => return Err(Fault::Told),
        Err(error) => return Err(anyhow::Error::new(error).context("the broker gave no handle").into()),
    };
    let connections = open_fds::connect(plan, &strong).await?;
    Ok(Started { handle: (!plan.grants.is_empty()).then_some(handle), connections })
}

/// Whether a broker that gives no handle has ended of itself, and so has said why. One that was killed has not.
fn has_told(process: &mut Child) -> bool {
    process.wait().is_ok_and(|status| status.code() == Some(125))
}

fn constraint(plan: &RunPlan) -> anyhow::Result<Constraint> {
    Ok(Constraint {
        rights: plan.rights(),
        in_labels: service::labels(&plan.service)?,
        out_labels: Labels::try_from_pairs([(keys::CLIENT_SERVICE, plan.service.as_str())])?,
        grants: Some(plan.grants.clone()),
    })
}

/// Serves as the broker of one `cord run`, on the socket that is standard input.
pub(crate) fn serve(flags: &BrokerFlags) -> Result<ExitCode, Fault> {
    logging::start();
    descriptors::allow_many();
    let socket =
        fdpass::take_stdin().context("cord broker is started by cord run, with a socket as its standard input")?;
    let published = flags.publish.iter().map(listen).collect::<anyhow::Result<Vec<_>>>()?;
    parts::block_on(async {
        let switchboard = Switchboard::new(switchboard::Limits::default());
        let outside = Labels::try_from_pairs([(keys::NETWORK, keys::OUTSIDE)])?;
        let (egress, resolver) = {
            let (ours, theirs) = fdpass::pair()?;
            switchboard.open(Capability::root(), theirs)?;
            let edges = Handle::new(ours)?;
            tokio::select! {
                started = async { anyhow::Ok((edges.egress_start(&outside).await?, edges.resolver_start(&outside).await?)) } => started?,
                () = switchboard.serve() => return Err(anyhow!("the switchboard ended before its edges were there")),
            }
        };
        let mut ingresses = ingresses(&switchboard, published, &service::labels(&flags.service)?)?;
        // Not before the edges are there: a guest's first request must find them.
        switchboard.open(Capability::root(), socket).context("cannot open the handle")?;
        tokio::select! {
            () = switchboard.serve() => {}
            ended = edge::egress::run(egress, edge::egress::EgressLimits::default()) => ended.context("the egress ended")?,
            ended = edge::resolver::run(resolver, edge::resolver::ResolverLimits::default()) => ended.context("the resolver ended")?,
            Some(ended) = ingresses.join_next() => ended.context("an ingress broke")?.context("an ingress ended")?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Listens where it is to be published, and says where if the system chose.
fn listen(publish: &Publish) -> anyhow::Result<(Publish, Door)> {
    let door = Door::open(publish.outside, publish.transport)?;
    if publish.outside.port() == 0 {
        let address = door.address().context("cannot tell where it is published")?;
        let transport = if publish.transport == Transport::Udp { "UDP port" } else { "port" };
        exit::say(format_args!("{address} is {transport} {} of the guest", publish.guest_port));
    }
    Ok((*publish, door))
}

/// An ingress for each door. They share one handle, which can push to the guest and do nothing else.
fn ingresses(
    switchboard: &Switchboard,
    published: Vec<(Publish, Door)>,
    service: &Labels,
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
        // It ends with its switchboard.
        let never = watch::channel(false).1;
        ingresses.spawn(door.run(handle.clone(), publish.labels(service)?, never));
    }
    Ok(ingresses)
}
