//! `cord run`: one instance of a guest, run to its end, or one for each connection.

use crate::broker::Broker;
use crate::code::Compiled;
use crate::exit::{self, Fault};
use crate::guest::{Guest, Host};
use crate::{descriptors, open_fds, per_connection};
use client::Handle;
use manifest::RunPlan;
use manifest::flags::{RunFlags, ServedAs};
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::time::Duration;
use wasi::{Exit, Program, Start, Stdio};

/// Runs a guest as the flags say.
pub(crate) fn run(flags: RunFlags) -> Result<ExitCode, Fault> {
    let RunPlan { guest, listen_fds, connect_fds, per_connection } = RunPlan::new(flags, &Host).map_err(Fault::ours)?;
    descriptors::allow_many();
    let mut guest = Guest::open(guest)?;
    if let Some(crowd) = per_connection {
        return per_connection::run(guest, &crowd);
    }
    let Compiled { engine, code, .. } = guest.code()?;
    // Never taken apart: at the end the system does that at once.
    let program = ManuallyDrop::new(Program::new(&engine, &code).map_err(|error| guest.cannot_run(error))?);
    open_fds::check(&guest.plan().file, &listen_fds, &connect_fds, &program)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::ours)?;
    let exit = runtime.block_on(async {
        let (mut network, mut connections, mut _doors) = (None, Vec::new(), None);
        let plan = guest.plan();
        if !(plan.grants.is_empty() && connect_fds.is_empty()) {
            let mut broker = Broker::start(plan, ServedAs::Guest)?;
            let handle = broker.guest_handle(plan).await?;
            if !plan.grants.is_empty() {
                network = Some(Handle::new(handle).map_err(Fault::ours)?);
            }
            connections = open_fds::connect(&plan.service, &connect_fds, broker.strong()).await?;
            _doors = Some(broker.let_go());
        }
        guest.jail(&code)?;
        #[cfg(feature = "escape-harness")]
        if let Some(code) = cord_escape::run_if_asked() {
            return Ok(Exit::Code(code.into()));
        }
        let spec = guest.spec(network, open_fds::listeners(&listen_fds)).map_err(Fault::ours)?;
        let start = Start { connections, ..Start::with(Stdio::Inherit) };
        program.run(&spec, start).await.map_err(Fault::cannot_run)
    })?;
    // A thread that waits for standard input would wait for ever.
    runtime.shutdown_background();
    Ok(report(guest.plan().timeout, &exit))
}

fn report(timeout: Option<Duration>, exit: &Exit) -> ExitCode {
    match exit {
        // The low eight bits, as wait(2) reports the code of any process.
        Exit::Code(code) => return ExitCode::from(code.to_le_bytes()[0]),
        Exit::Trap(trap) => exit::say(format_args!("the guest trapped: {trap}")),
        Exit::TimedOut => exit::say(format_args!("the guest was ended: {}", too_long(timeout))),
    }
    ExitCode::from(exit::TRAPPED)
}

/// Why a guest was ended at its deadline.
pub(crate) fn too_long(timeout: Option<Duration>) -> String {
    let limit = timeout.map(humantime::format_duration).map(|limit| limit.to_string()).unwrap_or_default();
    format!("it ran longer than --timeout {limit}")
}
