//! What any guest is given, however it is run.

use crate::flags::{GuestFlags, GuestWords, JailMode};
use crate::plan::PlanError;
use crate::publish::Publish;
use crate::service;
use capability::{Grant, LabelError, MAX_GRANTS_PER_LAYER, Rights};
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// A folder of the host that the guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The folder on this machine.
    pub host: PathBuf,
    /// The guest's name for it.
    pub guest: String,
    /// Whether the guest may only read.
    pub read_only: bool,
}

/// Why a text is no [`Volume`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a volume is HOST:GUEST or HOST:GUEST:ro, as in ./data:/data:ro")]
pub struct ParseVolumeError;

impl FromStr for Volume {
    type Err = ParseVolumeError;

    fn from_str(typed: &str) -> Result<Self, ParseVolumeError> {
        let parts: Vec<&str> = typed.split(':').collect();
        let (host, guest, read_only) = match parts[..] {
            [host, guest] | [host, guest, "rw"] => (host, guest, false),
            [host, guest, "ro"] => (host, guest, true),
            _ => return Err(ParseVolumeError),
        };
        if host.is_empty() || guest.is_empty() {
            return Err(ParseVolumeError);
        }
        Ok(Self { host: host.into(), guest: guest.to_owned(), read_only })
    }
}

/// A user of this machine, with one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Why a text is no [`User`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user is UID or UID:GID, in numbers, as in 1000:1000")]
pub struct ParseUserError;

impl FromStr for User {
    type Err = ParseUserError;

    fn from_str(typed: &str) -> Result<Self, ParseUserError> {
        let (uid, gid) = typed.split_once(':').unwrap_or((typed, typed));
        // The highest number means "nobody in particular" to the kernel.
        let number = |typed: &str| typed.parse().ok().filter(|number| *number != u32::MAX).ok_or(ParseUserError);
        Ok(Self { uid: number(uid)?, gid: number(gid)? })
    }
}

/// What the plan asks of the world outside of it.
pub trait Outside {
    /// The variable `name` of this process's environment.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of an `--env-file`.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// One guest, with nothing left to interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestPlan {
    /// The guest's file.
    pub file: PathBuf,
    /// The guest's arguments, its own name first.
    pub arguments: Vec<String>,
    /// The guest's whole environment; of two equal names the last counts.
    pub environment: Vec<(String, String)>,
    /// The folders it sees.
    pub volumes: Vec<Volume>,
    /// Its working folder.
    pub workdir: Option<String>,
    /// What its memory may grow to, in bytes.
    pub memory_bytes: Option<u64>,
    /// On how many cores all its instances together compute, in thousandths. None: as many as there are.
    pub cpu_thousandths: Option<NonZeroU32>,
    /// As whom it is run.
    pub user: Option<User>,
    /// How the process around it is held back.
    pub jail: JailMode,
    /// How long it may run, or may take to answer.
    pub timeout: Option<Duration>,
    /// Files of certificates that it trusts besides the system's.
    pub tls_ca: Vec<PathBuf>,
    /// Where it is reached from outside.
    pub publish: Vec<Publish>,
    /// Where it may connect to, and what it may serve. Empty: nothing.
    pub grants: Vec<Grant>,
    /// What the guest is called in its labels: its file's name without the ending.
    pub service: String,
}

impl GuestPlan {
    pub(crate) fn new(
        flags: GuestFlags,
        words: GuestWords,
        publish: Vec<Publish>,
        timeout: Option<Duration>,
        outside: &dyn Outside,
    ) -> Result<Self, PlanError> {
        if flags.user.is_some() && flags.jail.jail == JailMode::Off {
            return Err(PlanError::UserWithoutJail);
        }
        let environment = environment(&flags, outside)?;
        let mut arguments = words.guest;
        let file = arguments.first().map(PathBuf::from).unwrap_or_default();
        let service = service::of_guest(&file);
        let grants = grants(&flags, &publish, &service).map_err(PlanError::Grant)?;
        if grants.len() > MAX_GRANTS_PER_LAYER {
            return Err(PlanError::TooManyGrants);
        }
        for (index, one) in publish.iter().enumerate() {
            if publish[..index].iter().any(|other| other.is_at_the_same_place(one)) {
                return Err(PlanError::PublishTwice(format!("{}/{}", one.outside, one.transport.name())));
            }
        }
        for (index, volume) in flags.volumes.iter().enumerate() {
            if flags.volumes[..index].iter().any(|other| other.guest == volume.guest) {
                return Err(PlanError::VolumeTwice(volume.guest.clone()));
            }
        }
        if let (Some(own_name), Some(file_name)) = (arguments.first_mut(), file.file_name()) {
            *own_name = file_name.to_string_lossy().into_owned();
        }
        Ok(Self {
            file,
            arguments,
            environment,
            volumes: flags.volumes,
            workdir: flags.workdir,
            memory_bytes: flags.memory,
            cpu_thousandths: flags.cpus,
            user: flags.user,
            jail: flags.jail.jail,
            timeout,
            tls_ca: flags.tls_ca,
            publish,
            grants,
            service,
        })
    }

    /// The rights that the grants are for, and no other.
    #[must_use]
    pub fn rights(&self) -> Rights {
        self.grants.iter().map(Grant::right).collect()
    }
}

fn grants(flags: &GuestFlags, publish: &[Publish], service: &str) -> Result<Vec<Grant>, LabelError> {
    let labels = service::labels(service)?;
    let mut grants = Vec::new();
    for target in &flags.connect {
        grants.extend(target.grants()?);
    }
    for publish in publish {
        // One port may be published at several places.
        if let Some(grant) = publish.grant(&labels)?
            && !grants.contains(&grant)
        {
            grants.push(grant);
        }
    }
    Ok(grants)
}

/// Files first, in order, then flags: a flag overrides a file, as with Docker. A name without a value that is not set
/// here is left out.
fn environment(flags: &GuestFlags, outside: &dyn Outside) -> Result<Vec<(String, String)>, PlanError> {
    let mut environment = Vec::new();
    for path in &flags.env_file {
        let text = outside.read(path).map_err(|source| PlanError::EnvFile { path: path.clone(), source })?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad_line = |_| PlanError::EnvLine { path: path.clone(), line: index + 1 };
            set(&mut environment, line, outside).map_err(bad_line)?;
        }
    }
    for typed in &flags.env {
        set(&mut environment, typed, outside).map_err(PlanError::Variable)?;
    }
    Ok(environment)
}

fn set(environment: &mut Vec<(String, String)>, typed: &str, outside: &dyn Outside) -> Result<(), String> {
    let (name, value) = match typed.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (typed, outside.variable(typed)),
    };
    if name.is_empty() || typed.contains('\0') || name.contains(char::is_whitespace) {
        return Err(typed.to_owned());
    }
    environment.retain(|(other, _)| other != name);
    environment.extend(value.map(|value| (name.to_owned(), value)));
    Ok(())
}
