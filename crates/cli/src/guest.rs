//! What every way to run a guest begins with: its file, its volumes, its code, and what it is given.

use crate::code::Compiled;
use crate::confine::{self, Telling};
use crate::exit::Fault;
use crate::hints::Hints;
use crate::{code, descriptors};
use anyhow::{Context, anyhow};
use jail::{Place, Plan, Role};
use manifest::{GuestPlan, Outside};
use rustix::fs::{Mode, OFlags};
use sandbox::{Code, Cores, Limits};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use wasi::{Access, Cpus, Descriptors, GuestSpec, HostLimits, ListenFd, OutgoingHttp, Volume};

/// A guest with everything opened that its plan names.
pub(crate) struct Guest {
    plan: GuestPlan,
    /// Until the jail is entered.
    file: Option<File>,
    volumes: Vec<Volume>,
    trust: http_client::Trust,
    /// What all its instances share.
    cpus: Option<Cpus>,
    descriptors: Descriptors,
    hints: Arc<Hints>,
}

impl Guest {
    /// Opens the guest's file, its volumes, and the certificates it trusts.
    pub(crate) fn open(plan: GuestPlan) -> Result<Self, Fault> {
        let file = open_file(&plan.file)?;
        let volumes = open_volumes(&plan)?;
        let mut trust = http_client::Trust::platform();
        for path in &plan.tls_ca {
            let shown = path.display();
            let pem = std::fs::read(path).with_context(|| format!("cannot read the certificates {shown}"))?;
            trust.add_pem(&pem).with_context(|| format!("cannot use the certificates {shown}"))?;
        }
        let cpus = plan.cpu_thousandths.map(|cores| Cpus::new(Cores::thousandths(cores.get())));
        let descriptors = Descriptors::new(descriptors::for_guests());
        Ok(Self { plan, file: Some(file), volumes, trust, cpus, descriptors, hints: Arc::default() })
    }

    pub(crate) fn plan(&self) -> &GuestPlan {
        &self.plan
    }

    /// The guest's code, from the cache or compiled now.
    pub(crate) fn code(&self) -> Result<Compiled, Fault> {
        let file = self.file.as_ref().context("the guest is jailed already")?;
        code::load(file, &self.plan.file)
    }

    /// Gives up everything but what the guest was given, for good. Whatever else this process needs is open by now, and it
    /// has no second thread.
    pub(crate) fn jail(&mut self, code: &Code) -> Result<(), Fault> {
        // Afterwards the files of certificates are out of reach.
        if code.imports_from("wasi:http") && !self.plan.grants.is_empty() {
            self.trust.prepare();
        }
        self.file = None;
        let user = match self.plan.user {
            None => jail::User::Same,
            Some(_) if !rustix::process::geteuid().is_root() => {
                return Err(Fault::Ours(anyhow!("--user needs root: only root can become somebody else")));
            }
            Some(manifest::User { uid, gid }) => jail::User::Is { uid, gid },
        };
        let access = |access| match access {
            Access::ReadOnly => jail::Access::Read,
            Access::ReadWrite => jail::Access::Write,
        };
        let volumes = self.volumes.iter();
        let places =
            volumes.map(|volume| Place { folder: volume.dir.as_fd(), access: access(volume.access) }).collect();
        let plan = Plan { user, places, ..Plan::new(Role::Runner) };
        confine::enter(self.plan.jail, &plan, Telling::Aloud)
    }

    /// Says which guest cannot be run.
    pub(crate) fn cannot_run(&self, error: impl Into<anyhow::Error>) -> Fault {
        Fault::CannotRun(error.into().context(format!("cannot run {}", self.plan.file.display())))
    }

    /// What its instances get, with this way to the network. Each thread that runs instances has one of its own.
    pub(crate) fn spec(&self, network: Option<client::Handle>, listeners: Vec<ListenFd>) -> io::Result<GuestSpec> {
        let volume = |volume: &Volume| {
            let dir = volume.dir.try_clone()?;
            Ok(Volume { dir, guest_path: volume.guest_path.clone(), access: volume.access })
        };
        let application = Some(self.plan.service.clone());
        let report = Arc::clone(&self.hints);
        let http = OutgoingHttp::new(network.clone(), application.clone(), report, self.trust.clone());
        Ok(GuestSpec {
            args: self.plan.arguments.clone(),
            env: self.plan.environment.clone(),
            volumes: self.volumes.iter().map(volume).collect::<io::Result<_>>()?,
            workdir: self.plan.workdir.clone(),
            limits: Limits { memory_bytes: self.plan.memory_bytes, ..Limits::default() },
            host_limits: HostLimits::default(),
            cpus: self.cpus.clone(),
            descriptors: self.descriptors.clone(),
            deadline: self.plan.timeout,
            network,
            http: Some(Arc::new(http)),
            application,
            listeners,
            report: Arc::clone(&self.hints) as Arc<dyn wasi::DenialReport>,
        })
    }
}

/// Opens the guest's file, telling apart what container tools tell apart.
fn open_file(path: &Path) -> Result<File, Fault> {
    let shown = path.display();
    // A pipe without a writer would be waited for.
    let opened = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match error.kind() {
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

fn open_volumes(plan: &GuestPlan) -> Result<Vec<Volume>, Fault> {
    let open = |volume: &manifest::Volume| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&volume.host, flags, Mode::empty())
            .map_err(io::Error::from)
            .with_context(|| format!("cannot open the volume {}", volume.host.display()))?;
        let access = if volume.read_only { Access::ReadOnly } else { Access::ReadWrite };
        if access == Access::ReadWrite {
            code::check_volume(&volume.host)?;
        }
        Ok(Volume { dir, guest_path: volume.guest.clone(), access })
    };
    plan.volumes.iter().map(open).collect::<anyhow::Result<_>>().map_err(Fault::Ours)
}

/// This process's environment and files, for the plan.
pub(crate) struct Host;

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
