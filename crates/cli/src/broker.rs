//! The broker: the process beside `cord run` that makes its connections.
//!
//! One side ([`start`]) is the runner's: it starts the process, weakens the handle it gets to the plan's grants, and
//! lets the strong one go before any guest runs. The other side ([`serve`]) is the process: a switchboard, an egress and
//! a resolver on one thread, until the last handle is closed.

use crate::exit::Fault;
use crate::{logging, parts};
use anyhow::{Context, anyhow};
use capability::{Capability, Constraint, Labels, Right, Rights, keys};
use client::Handle;
use manifest::RunPlan;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use switchboard::Switchboard;

/// Starts a broker and returns a handle that can do what the plan grants and nothing else.
///
/// # Authority
/// For as long as this function runs, the process holds the strongest handle of the new switchboard.
pub(crate) async fn start(plan: &RunPlan) -> Result<Handle, Fault> {
    let (ours, theirs) = fdpass::pair().context("cannot make a socket for the broker").map_err(Fault::Ours)?;
    let program = std::env::current_exe().context("cannot find this program").map_err(Fault::Ours)?;
    Command::new(program)
        .arg0("cord")
        .arg("broker")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        // Ctrl-C is for the guest. The broker ends when the last handle is closed.
        .process_group(0)
        .spawn()
        .context("cannot start the broker")
        .map_err(Fault::Ours)?;
    let strong = Handle::new(ours).context("cannot talk to the broker").map_err(Fault::Ours)?;
    let constraint = constraint(plan).context("cannot name the guest").map_err(Fault::Ours)?;
    let weaker = strong.constrain(&constraint).await.context("the broker gave no handle").map_err(Fault::Ours)?;
    Handle::new(weaker).context("cannot talk to the broker").map_err(Fault::Ours)
}

fn constraint(plan: &RunPlan) -> anyhow::Result<Constraint> {
    let service = plan.service();
    Ok(Constraint {
        rights: Rights::only(Right::ClientConnect),
        in_labels: Labels::try_from_pairs([(keys::NETWORK, service.as_str())])?,
        out_labels: Labels::try_from_pairs([(keys::CLIENT_SERVICE, service.as_str())])?,
        grants: Some(plan.grants.clone()),
    })
}

/// Serves as the broker of one `cord run`, on the socket that is standard input.
pub(crate) fn serve() -> Result<ExitCode, Fault> {
    logging::start();
    let socket =
        fdpass::take_stdin().context("cord broker is started by cord run, with a socket as its standard input")?;
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
        // Not before the edges are there: a guest's first request must find them.
        switchboard.open(Capability::root(), socket).context("cannot open the handle")?;
        tokio::select! {
            () = switchboard.serve() => {}
            ended = edge::egress::run(egress, edge::egress::EgressLimits::default()) => ended.context("the egress ended")?,
            ended = edge::resolver::run(resolver, edge::resolver::ResolverLimits::default()) => ended.context("the resolver ended")?,
        }
        Ok(ExitCode::SUCCESS)
    })
}
