//! What one guest is given: the whole of its authority, as a value.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use sandbox::Limits;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::cpu::Cpus;
use crate::descriptors::Descriptors;
use crate::exit::RunError;
use crate::http::OutgoingHttp;
use crate::limits::HostLimits;
use crate::p1::{ConnectFd, ListenFd};
use crate::sockets::DenialReport;
use crate::stdio::Stdio;
use crate::workdir;

/// What every instance of a guest gets.
#[derive(Debug)]
pub struct GuestSpec {
    /// Its arguments; the first is its own name.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// The directories it sees.
    pub volumes: Vec<Volume>,
    /// Where relative paths begin: a path inside a volume, as the guest sees it.
    pub workdir: Option<String>,
    /// How much of the machine it may use.
    pub limits: Limits,
    /// How much it may have its host keep and open for it.
    pub host_limits: HostLimits,
    /// What all instances together may compute. `None`: as much as there is.
    pub cpus: Option<Cpus>,
    /// Where its descriptors come from.
    pub descriptors: Descriptors,
    /// When it is ended, counted from its start. `None`: never.
    pub deadline: Option<Duration>,
    /// Its way to the network. `None`: it has none.
    pub network: Option<client::Handle>,
    /// Its way to ask for something by HTTP, over the same handle. `None`: it has none.
    pub http: Option<Arc<OutgoingHttp>>,
    /// The application whose services are its one-word names. `None`: the handle knows.
    pub application: Option<String>,
    /// The ports that a module of preview 1 finds open. See [`Program::takes_descriptors`](crate::Program::takes_descriptors).
    pub listeners: Vec<ListenFd>,
    /// Who is told what was refused.
    pub report: Arc<dyn DenialReport>,
}

/// What one instance gets besides.
#[derive(Debug)]
pub struct Start {
    /// Its standard streams.
    pub stdio: Stdio,
    /// Its environment, besides that of every instance.
    pub env: Vec<(String, String)>,
    /// The streams that a module of preview 1 finds connected.
    pub connections: Vec<ConnectFd>,
}

impl Start {
    /// With these standard streams and nothing else.
    #[must_use]
    pub fn with(stdio: Stdio) -> Start {
        Start { stdio, env: Vec::new(), connections: Vec::new() }
    }
}

/// A directory that a guest sees.
#[derive(Debug)]
pub struct Volume {
    /// The directory, already open (`O_PATH` is enough).
    pub dir: OwnedFd,
    /// Where the guest sees it.
    pub guest_path: String,
    /// What the guest may do in it.
    pub access: Access,
}

/// What a guest may do in a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only; every attempt to write fails with "operation not permitted".
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

impl GuestSpec {
    /// Sets up the part of the guest's world that wasmtime-wasi provides.
    pub(crate) fn context(&self, stdio: Stdio, env: &[(String, String)]) -> Result<WasiCtxBuilder, RunError> {
        let mut context = WasiCtxBuilder::new();
        // Handing file operations to another thread costs more than most of them take.
        context.allow_blocking_current_thread(true);
        context.max_random_size(self.host_limits.random_bytes);
        context.args(&self.args).envs(&self.env).envs(env);
        stdio.add(&mut context);
        for volume in &self.volumes {
            add_volume(&mut context, &volume.dir, &volume.guest_path, volume.access)?;
        }
        if let Some(path) = &self.workdir {
            workdir::add(&mut context, self, path)?;
        }
        Ok(context)
    }
}

/// Gives the guest a directory by its descriptor.
pub(crate) fn add_volume(
    context: &mut WasiCtxBuilder,
    dir: &OwnedFd,
    guest_path: &str,
    access: Access,
) -> Result<(), RunError> {
    let permissions = match access {
        Access::ReadOnly => FsPerms::ReadOnly,
        Access::ReadWrite => FsPerms::ReadWrite,
    };
    // wasmtime-wasi opens directories by name only. This name is the descriptor, so nothing can be exchanged under it.
    let name = format!("/proc/self/fd/{}", dir.as_raw_fd());
    match context.preopened_dir(name, guest_path, permissions) {
        Ok(_) => Ok(()),
        Err(error) => {
            let reason = error.root_cause().to_string();
            Err(RunError::Volume { guest_path: guest_path.to_owned(), reason })
        }
    }
}
