//! What the flags of `cord run` mean.

use crate::connect_fd::ConnectFd;
use crate::flags::RunFlags;
use crate::publish::{Publish, Transport};
use crate::service;
use capability::{Grant, LabelError, MAX_GRANTS_PER_LAYER, Rights};
use std::io;
use std::num::NonZeroU16;
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

/// One `cord run`, with nothing left to interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// The guest's file.
    pub guest: PathBuf,
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
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Where it is reached from outside.
    pub publish: Vec<Publish>,
    /// The ports that it finds open when it starts: the guest's, each once.
    pub listen_fds: Vec<(Transport, NonZeroU16)>,
    /// The connections that it finds open. They are no grants.
    pub connect_fds: Vec<ConnectFd>,
    /// Where it may connect to, and what it may serve. Empty: nothing, and no broker is started.
    pub grants: Vec<Grant>,
    /// What the guest is called in its labels: its file's name without the ending.
    pub service: String,
}

/// Why flags have no meaning.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An `--env-file` cannot be read.
    #[error("cannot read the env file {path}")]
    EnvFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line of an `--env-file` is no variable.
    #[error("line {line} of the env file {path} is not NAME=VALUE")]
    EnvLine {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// An empty name, or a NUL.
    #[error("{0:?} is no variable; write --env NAME=VALUE, or --env NAME to pass on one of this environment")]
    Variable(String),
    /// Two volumes under one name.
    #[error("two volumes are called {0} in the guest")]
    VolumeTwice(String),
    /// Two things published at one place.
    #[error("{0} is published twice")]
    PublishTwice(String),
    /// More than a handle can hold.
    #[error("too many --connect and --publish: together they may make at most {MAX_GRANTS_PER_LAYER} grants")]
    TooManyGrants,
    /// A grant that is none.
    #[error("bad --connect or --publish")]
    Grant(#[source] LabelError),
}

impl RunPlan {
    /// Gives flags their meaning.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(flags: RunFlags, outside: &dyn Outside) -> Result<Self, PlanError> {
        let environment = environment(&flags, outside)?;
        let guest = flags.guest.first().map(PathBuf::from).unwrap_or_default();
        let service = service::of_guest(&guest);
        let grants = grants(&flags, &service).map_err(PlanError::Grant)?;
        if grants.len() > MAX_GRANTS_PER_LAYER {
            return Err(PlanError::TooManyGrants);
        }
        for (index, publish) in flags.publish.iter().enumerate() {
            if flags.publish[..index].iter().any(|other| other.is_at_the_same_place(publish)) {
                return Err(PlanError::PublishTwice(format!("{}/{}", publish.outside, publish.transport.name())));
            }
        }
        for (index, volume) in flags.volumes.iter().enumerate() {
            if flags.volumes[..index].iter().any(|other| other.guest == volume.guest) {
                return Err(PlanError::VolumeTwice(volume.guest.clone()));
            }
        }
        let mut arguments = flags.guest;
        if let (Some(own_name), Some(file_name)) = (arguments.first_mut(), guest.file_name()) {
            *own_name = file_name.to_string_lossy().into_owned();
        }
        Ok(Self {
            guest,
            arguments,
            environment,
            volumes: flags.volumes,
            workdir: flags.workdir,
            memory_bytes: flags.memory,
            timeout: flags.timeout,
            listen_fds: if flags.listen_fds { guest_ports(&flags.publish) } else { Vec::new() },
            connect_fds: flags.connect_fd,
            publish: flags.publish,
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

/// The ports of the guest, in the order typed. One that is published at several places is still one.
fn guest_ports(publish: &[Publish]) -> Vec<(Transport, NonZeroU16)> {
    let mut ports = Vec::new();
    for port in publish.iter().map(|publish| (publish.transport, publish.guest_port)) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

fn grants(flags: &RunFlags, service: &str) -> Result<Vec<Grant>, LabelError> {
    let labels = service::labels(service)?;
    let mut grants = Vec::new();
    for target in &flags.connect {
        grants.extend(target.grants()?);
    }
    for publish in &flags.publish {
        let grant = publish.grant(&labels)?;
        // One port may be published at several places.
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    Ok(grants)
}

/// Files first, in order, then flags: a flag overrides a file, as with Docker. A name without a value that is not set
/// here is left out.
fn environment(flags: &RunFlags, outside: &dyn Outside) -> Result<Vec<(String, String)>, PlanError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Command, Typed};
    use capability::Right;

    struct Fake;
    impl Outside for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME").then(|| "/home/me".to_owned())
        }
        fn read(&self, path: &Path) -> io::Result<String> {
            match path.to_str() {
                Some("good") => Ok("# comment\n\nA=file\nB=two words\nHOME\n".to_owned()),
                Some("bad") => Ok("A=1\nnot a variable\n".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    fn plan(line: &str) -> Result<RunPlan, String> {
        let words = ["cord", "run"].into_iter().chain(line.split_whitespace()).map(Into::into);
        match Typed::parse_line(words).map_err(|error| error.to_string())?.command {
            Command::Run(flags) => RunPlan::new(flags, &Fake).map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_guest_gets_its_arguments_untouched() {
        let plan = plan("-c 127.0.0.1:22 dir/app.wasm --connect -x -- -c").unwrap();
        assert_eq!(plan.arguments, ["app.wasm", "--connect", "-x", "--", "-c"]);
        assert_eq!(plan.grants.len(), 1);
        assert_eq!(plan.service, "app");
        assert_eq!(plan.rights(), Rights::only(Right::ClientConnect));
    }

    #[test]
    fn flags_override_files_and_names_alone_are_passed_on() {
        let plan = plan("--env-file good -e A=flag -e HOME -e UNSET -e EMPTY= app.wasm").unwrap();
        let expected = [("B", "two words"), ("A", "flag"), ("HOME", "/home/me"), ("EMPTY", "")];
        assert_eq!(plan.environment, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_published_is_granted_once() {
        let published = plan("-p 8080:80 -p [::1]:8080:80 -p 5353:53/udp dir/dns.wasm").unwrap();
        let grants: Vec<String> = published.grants.iter().map(ToString::to_string).collect();
        let labels = "server-start network=dns server_hostname=dns";
        let expected = ["server_port=80 transport=tcp", "server_port=53 transport=udp"];
        assert_eq!(grants, expected.map(|rest| format!("{labels} {rest}")));
        assert_eq!(published.publish.len(), 3);
        assert_eq!(published.rights(), Rights::only(Right::ServerStart));
        let both = plan("-p 8080:80 -c 127.0.0.1:22 app.wasm").unwrap();
        assert_eq!(both.rights(), [Right::ClientConnect, Right::ServerStart].into_iter().collect());
        let nothing = plan("app.wasm").unwrap();
        assert!(nothing.grants.is_empty() && nothing.rights().is_empty());
    }

    #[test]
    fn sockets_that_are_found_open_are_the_published_ones_and_no_grants() {
        let open =
            plan("-p 8080:80 -p 5353:53/udp -p [::1]:8080:80 --listen-fds --connect-fd db=127.0.0.1:5432 a.wasm");
        let open = open.unwrap();
        let ports: Vec<(Transport, u16)> = open.listen_fds.iter().map(|(kind, port)| (*kind, port.get())).collect();
        assert_eq!(ports, [(Transport::Tcp, 80), (Transport::Udp, 53)]);
        assert_eq!(open.connect_fds.len(), 1);
        assert_eq!(open.rights(), Rights::only(Right::ServerStart));
        assert!(plan("-p 8080:80 a.wasm").unwrap().listen_fds.is_empty());
        let alone = plan("--connect-fd db=127.0.0.1:5432 a.wasm").unwrap();
        assert!(alone.grants.is_empty() && alone.rights().is_empty());
    }

    #[test]
    fn volumes() {
        let plan = plan("-v ./data:/data:ro -v /tmp:/tmp app.wasm").unwrap();
        assert!(plan.volumes[0].read_only && !plan.volumes[1].read_only);
        for bad in ["data", "a:", ":b", "a:b:rx", "a:b:ro:c"] {
            assert_eq!(bad.parse::<Volume>(), Err(ParseVolumeError), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_in_one_line() {
        for (line, told) in [
            ("--env-file none app.wasm", "cannot read the env file none"),
            ("--env-file bad app.wasm", "line 2 of the env file bad is not NAME=VALUE"),
            (
                "-e =x app.wasm",
                "\"=x\" is no variable; write --env NAME=VALUE, or --env NAME to pass on one of this environment",
            ),
            ("-v a:/x -v b:/x app.wasm", "two volumes are called /x in the guest"),
            (
                "--listen-fds app.wasm",
                "the following required arguments were not provided: --publish <[ADDR:]PORT:GUESTPORT[/udp]>",
            ),
            ("-p 8080:80 -p 127.0.0.1:8080:81 app.wasm", "127.0.0.1:8080/tcp is published twice"),
            (
                "-p 8080 app.wasm",
                "invalid value '8080' for '--publish <[ADDR:]PORT:GUESTPORT[/udp]>': the guest's port is missing; \
                 write PORT:GUESTPORT, as in 8080:8080 (port 0 outside lets the system pick one)",
            ),
            (
                "-m 1x app.wasm",
                "invalid value '1x' for '--memory <SIZE>': \"x\" is no unit of size; use b, k, m or g, as in 64m",
            ),
            (
                "--conect 1.2.3.4:1 app.wasm",
                "unexpected argument '--conect' found (a similar argument exists: '--connect')",
            ),
            ("", "the following required arguments were not provided: <FILE> [ARGS]..."),
        ] {
            assert_eq!(plan(line).unwrap_err(), told, "{line}");
        }
    }
}
