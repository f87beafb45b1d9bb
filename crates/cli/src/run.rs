//! `cord run`: the guest's file, its code, its handle, and the guest.

use crate::broker;
use crate::code;
use crate::descriptors;
use crate::exit::{self, Fault};
use crate::hints::Hints;
use crate::open_fds;
use anyhow::{Context, anyhow};
use manifest::flags::RunFlags;
use manifest::{Outside, RunPlan};
use rustix::fs::{Mode, OFlags};
use sandbox::{Engine, Limits, Settings};
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use wasi::{Access, Exit, GuestSpec, Linkers, Program, Start, Stdio, Volume};

/// Runs one guest to its end.
pub(crate) fn run(flags: RunFlags) -> Result<ExitCode, Fault> {
    let plan = RunPlan::new(flags, &Host).map_err(Fault::ours)?;
    descriptors::allow_many();
    let guest = open_guest(&plan.guest)?;
    let volumes = open_volumes(&plan)?;
    let engine = Engine::new(&Settings::default()).map_err(Fault::ours)?;
    let code = code::load(&engine, &guest, &plan.guest)?;
    let program = Program::new(&Linkers::new(&engine), &code)
        .with_context(|| format!("cannot run {}", plan.guest.display()))
        .map_err(Fault::CannotRun)?;
    open_fds::check(&plan, &program)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::ours)?;
    let exit = runtime.block_on(async {
        let (network, connections) = if plan.grants.is_empty() && plan.connect_fds.is_empty() {
            (None, Vec::new())
        } else {
            let started = broker::start(&plan).await?;
            (started.handle, started.connections)
        };
        let spec = GuestSpec {
            args: plan.arguments.clone(),
            env: plan.environment.clone(),
            volumes,
            workdir: plan.workdir.clone(),
            http: None,
            limits: Limits { memory_bytes: plan.memory_bytes, ..Limits::default() },
            deadline: plan.timeout,
            network,
            application: Some(plan.service.clone()),
            max_sockets: wasi::MAX_SOCKETS,
            listeners: open_fds::listeners(&plan),
            report: Arc::new(Hints::default()),
        };
        let start = Start { connections, ..Start::with(Stdio::Inherit) };
        program.run(&spec, start).await.map_err(Fault::cannot_run)
    })?;
    // A thread that waits for standard input would wait for ever.
    runtime.shutdown_background();
    Ok(report(&plan, &exit))
}

fn report(plan: &RunPlan, exit: &Exit) -> ExitCode {
    match exit {
        // The low eight bits, as wait(2) reports the code of any process.
        Exit::Code(code) => ExitCode::from(code.to_le_bytes()[0]),
        Exit::Trap(trap) => {
            exit::say(format_args!("the guest trapped: {trap}"));
            ExitCode::from(exit::TRAPPED)
        }
        Exit::TimedOut => {
            let limit = plan.timeout.map(humantime::format_duration).map(|limit| limit.to_string()).unwrap_or_default();
            exit::say(format_args!("the guest was ended: it ran longer than --timeout {limit}"));
            ExitCode::from(exit::TRAPPED)
        }
    }
}

/// Opens the guest's file, telling apart what container tools tell apart.
fn open_guest(path: &Path) -> Result<File, Fault> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Fault::NotFound(anyhow!("{shown}: there is no such file")),
        _ => Fault::cannot_run(anyhow::Error::new(error).context(format!("cannot open {shown}"))),
    })?;
    let kind = file.metadata().map_err(Fault::cannot_run)?.file_type();
    if kind.is_dir() {
        return Err(Fault::CannotRun(anyhow!("{shown} is a folder; name a .wasm or .wat file")));
    }
    if !kind.is_file() {
        return Err(Fault::CannotRun(anyhow!("{shown} is no regular file; name a .wasm or .wat file")));
    }
    Ok(file)
}

fn open_volumes(plan: &RunPlan) -> Result<Vec<Volume>, Fault> {
    let open = |volume: &manifest::Volume| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&volume.host, flags, Mode::empty())
            .map_err(io::Error::from)
            .with_context(|| format!("cannot open the volume {}", volume.host.display()))?;
        let access = if volume.read_only { Access::ReadOnly } else { Access::ReadWrite };
        Ok(Volume { dir, guest_path: volume.guest.clone(), access })
    };
    plan.volumes.iter().map(open).collect::<anyhow::Result<_>>().map_err(Fault::Ours)
}

/// This process's environment and files, for the plan.
struct Host;

impl Outside for Host {
    #[expect(
        clippy::disallowed_methods,
        reason = "the front door: --env NAME passes on a variable of this environment"
    )]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}
