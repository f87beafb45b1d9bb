//! What the flags of `cord run` and `cord serve` mean.

use crate::connect_fd::ConnectFd;
use crate::flags::{AccessLog, CrowdFlags, RunFlags, ServeFlags};
use crate::guest::{GuestPlan, Outside};
use crate::publish::{Publish, Transport};
use capability::{LabelError, MAX_GRANTS_PER_LAYER};
use std::io;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

/// One `cord run`, with nothing left to interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// The guest.
    pub guest: GuestPlan,
    /// The ports that it finds open when it starts: the guest's, each once.
    pub listen_fds: Vec<(Transport, NonZeroU16)>,
    /// The connections that it finds open. They are no grants.
    pub connect_fds: Vec<ConnectFd>,
    /// An instance for each connection. None: one instance, run to its end.
    pub per_connection: Option<Crowd>,
}

/// One `cord serve`, with nothing left to interpret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServePlan {
    /// The guest.
    pub guest: GuestPlan,
    /// What bounds its instances.
    pub crowd: Crowd,
    /// How many requests an instance answers.
    pub requests_per_instance: NonZeroU32,
    /// The files of certificate chain and key. None: clear text.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// What is told of each request.
    pub access_log: AccessLog,
}

/// What bounds many instances of one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Most instances alive. None: as many as the machine has room for.
    pub max_instances: Option<NonZeroU32>,
    /// How long what is under way may take after a signal to end.
    pub drain_time: Duration,
    /// How much of what they print is kept each second, in bytes. None: everything.
    pub log_rate_bytes: Option<NonZeroU64>,
}

/// What is kept if nobody says how much, in bytes a second: far more than a service tells that somebody reads, and little
/// enough that a disk is not full before somebody looks.
const DEFAULT_LOG_RATE_BYTES: u64 = 1 << 20;

impl From<CrowdFlags> for Crowd {
    fn from(flags: CrowdFlags) -> Self {
        let log_rate_bytes = NonZeroU64::new(flags.log_rate.unwrap_or(DEFAULT_LOG_RATE_BYTES));
        Self { max_instances: flags.max_instances, drain_time: flags.drain_time, log_rate_bytes }
    }
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
    /// Who the guest runs as is part of the jail.
    #[error("--user is put on with the jail, which --jail off leaves out; leave one of the two out")]
    UserWithoutJail,
    /// Two things published at one place.
    #[error("{0} is published twice")]
    PublishTwice(String),
    /// A guest's port where there is one instance for each connection.
    #[error("with --per-connection no instance listens on a port: write {0} instead")]
    PortOfMany(String),
    /// No guest's port where there is but one instance.
    #[error("{0} leads to no port of the guest; name one, or add --per-connection for an instance for each connection")]
    NoPort(String),
    /// Datagrams where there is one instance for each connection.
    #[error("--per-connection is for streams, so {0} cannot be published")]
    Datagrams(String),
    /// A flag about many instances where there is one.
    #[error("{0} bounds the instances of --per-connection; this guest is only one")]
    OnlyOne(&'static str),
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
        if !flags.per_connection {
            if flags.crowd.max_instances.is_some() {
                return Err(PlanError::OnlyOne("--max-instances"));
            }
            if flags.crowd.log_rate.is_some() {
                return Err(PlanError::OnlyOne("--log-rate"));
            }
        }
        flags.publish.iter().try_for_each(|publish| check_port(publish, flags.per_connection))?;
        let guest = GuestPlan::new(flags.guest, flags.words, flags.publish, flags.timeout, outside)?;
        Ok(Self {
            listen_fds: if flags.listen_fds { guest_ports(&guest.publish) } else { Vec::new() },
            guest,
            connect_fds: flags.connect_fd,
            per_connection: flags.per_connection.then(|| flags.crowd.into()),
        })
    }
}

impl ServePlan {
    /// Gives flags their meaning.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(flags: ServeFlags, outside: &dyn Outside) -> Result<Self, PlanError> {
        let publish = flags.addresses.iter();
        let publish =
            publish.map(|outside| Publish { outside: *outside, guest_port: None, transport: Transport::Tcp }).collect();
        Ok(Self {
            guest: GuestPlan::new(flags.guest, flags.words, publish, Some(flags.timeout), outside)?,
            crowd: flags.crowd.into(),
            requests_per_instance: flags.instances.0,
            tls: flags.tls_cert.zip(flags.tls_key),
            access_log: flags.access_log,
        })
    }
}

fn check_port(publish: &Publish, per_connection: bool) -> Result<(), PlanError> {
    let typed = publish.to_string();
    match publish.guest_port {
        None if !per_connection => Err(PlanError::NoPort(typed)),
        None if publish.transport == Transport::Udp => Err(PlanError::Datagrams(typed)),
        Some(_) if per_connection => Err(PlanError::PortOfMany(format!("{}:0", publish.outside))),
        _ => Ok(()),
    }
}

/// The ports of the guest, in the order typed. One that is published at several places is still one.
fn guest_ports(publish: &[Publish]) -> Vec<(Transport, NonZeroU16)> {
    let mut ports = Vec::new();
    for port in publish.iter().filter_map(|publish| Some((publish.transport, publish.guest_port?))) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Command, Typed};
    use crate::guest::{ParseVolumeError, Volume};
    use capability::{Right, Rights};
    use std::path::Path;

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
        assert_eq!(plan.guest.arguments, ["app.wasm", "--connect", "-x", "--", "-c"]);
        assert_eq!(plan.guest.grants.len(), 1);
        assert_eq!(plan.guest.service, "app");
        assert_eq!(plan.guest.rights(), Rights::only(Right::ClientConnect));
    }

    #[test]
    fn flags_override_files_and_names_alone_are_passed_on() {
        let plan = plan("--env-file good -e A=flag -e HOME -e UNSET -e EMPTY= app.wasm").unwrap();
        let expected = [("B", "two words"), ("A", "flag"), ("HOME", "/home/me"), ("EMPTY", "")];
        assert_eq!(plan.guest.environment, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_published_is_granted_once() {
        let published = plan("-p 8080:80 -p [::1]:8080:80 -p 5353:53/udp dir/dns.wasm").unwrap();
        let grants: Vec<String> = published.guest.grants.iter().map(ToString::to_string).collect();
        let labels = "server-start network=dns server_hostname=dns";
        let expected = ["server_port=80 transport=tcp", "server_port=53 transport=udp"];
        assert_eq!(grants, expected.map(|rest| format!("{labels} {rest}")));
        assert_eq!(published.guest.publish.len(), 3);
        assert_eq!(published.guest.rights(), Rights::only(Right::ServerStart));
        let both = plan("-p 8080:80 -c 127.0.0.1:22 app.wasm").unwrap();
        assert_eq!(both.guest.rights(), [Right::ClientConnect, Right::ServerStart].into_iter().collect());
        let nothing = plan("app.wasm").unwrap();
        assert!(nothing.guest.grants.is_empty() && nothing.guest.rights().is_empty());
    }

    #[test]
    fn sockets_that_are_found_open_are_the_published_ones_and_no_grants() {
        let open =
            plan("-p 8080:80 -p 5353:53/udp -p [::1]:8080:80 --listen-fds --connect-fd db=127.0.0.1:5432 a.wasm");
        let open = open.unwrap();
        let ports: Vec<(Transport, u16)> = open.listen_fds.iter().map(|(kind, port)| (*kind, port.get())).collect();
        assert_eq!(ports, [(Transport::Tcp, 80), (Transport::Udp, 53)]);
        assert_eq!(open.connect_fds.len(), 1);
        assert_eq!(open.guest.rights(), Rights::only(Right::ServerStart));
        assert!(plan("-p 8080:80 a.wasm").unwrap().listen_fds.is_empty());
        let alone = plan("--connect-fd db=127.0.0.1:5432 a.wasm").unwrap();
        assert!(alone.guest.grants.is_empty() && alone.guest.rights().is_empty());
    }

    #[test]
    fn volumes() {
        let plan = plan("-v ./data:/data:ro -v /tmp:/tmp app.wasm").unwrap();
        assert!(plan.guest.volumes[0].read_only && !plan.guest.volumes[1].read_only);
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
            (
                "-p 8080:0 app.wasm",
                "127.0.0.1:8080:0/tcp leads to no port of the guest; name one, or add --per-connection for an instance for \
                 each connection",
            ),
            (
                "-p 8080:80 --per-connection app.wasm",
                "with --per-connection no instance listens on a port: write 127.0.0.1:8080:0 instead",
            ),
            (
                "-p 5353:0/udp --per-connection app.wasm",
                "--per-connection is for streams, so 127.0.0.1:5353:0/udp cannot be published",
            ),
            (
                "--max-instances 3 app.wasm",
                "--max-instances bounds the instances of --per-connection; this guest is only one",
            ),
            ("--log-rate 1m app.wasm", "--log-rate bounds the instances of --per-connection; this guest is only one"),
            ("--cpus 0 app.wasm", "invalid value '0' for '--cpus <N>': less than 0.001 cores leaves nothing to run on"),
            ("", "the following required arguments were not provided: <FILE> [ARGS]..."),
        ] {
            assert_eq!(plan(line).unwrap_err(), told, "{line}");
        }
    }

    #[test]
    fn an_instance_for_each_connection_is_granted_no_port() {
        let many = "-p 8080:0 -p [::1]:8080:0 --per-connection --max-instances 9 -c 127.0.0.1:22 app.wasm";
        let many = plan(many).unwrap();
        assert_eq!(many.guest.rights(), Rights::only(Right::ClientConnect));
        let crowd = many.per_connection.unwrap();
        assert_eq!((crowd.max_instances.map(NonZeroU32::get), crowd.drain_time), (Some(9), Duration::from_secs(10)));
        assert_eq!(crowd.log_rate_bytes.map(NonZeroU64::get), Some(1 << 20));
        let rate = |rate: &str| plan(&format!("-p 8080:0 --per-connection --log-rate {rate} app.wasm"));
        assert_eq!(rate("4k").unwrap().per_connection.unwrap().log_rate_bytes.map(NonZeroU64::get), Some(4096));
        assert_eq!(rate("0").unwrap().per_connection.unwrap().log_rate_bytes, None);
    }

    #[test]
    fn cores_are_counted_in_thousandths() {
        let cores = |line: &str| plan(line).unwrap().guest.cpu_thousandths.map(NonZeroU32::get);
        assert_eq!((cores("--cpus 1.5 app.wasm"), cores("app.wasm")), (Some(1500), None));
    }

    #[test]
    fn what_answers_requests_is_published_and_granted_nothing() {
        let line = "cord serve -a [::1]:80 --addr 0.0.0.0:81 --instances reuse=7 --tls-cert c --tls-key k app.wasm --x";
        let Command::Serve(flags) = Typed::parse_line(line.split(' ').map(Into::into)).unwrap().command else {
            panic!("not serve")
        };
        let plan = ServePlan::new(flags, &Fake).unwrap();
        let places: Vec<String> = plan.guest.publish.iter().map(|publish| publish.outside.to_string()).collect();
        assert_eq!(places, ["[::1]:80", "0.0.0.0:81"]);
        assert!(plan.guest.grants.is_empty());
        assert_eq!(plan.requests_per_instance.get(), 7);
        assert_eq!(plan.tls, Some(("c".into(), "k".into())));
        assert_eq!(plan.guest.arguments, ["app.wasm", "--x"]);
        assert_eq!(plan.guest.timeout, Some(Duration::from_secs(30)));
        for bad in
            ["--tls-cert c", "--instances reuse=0", "--instances old", "--addr localhost:80", "--max-instances 0"]
        {
            let words = ["cord", "serve"].into_iter().chain(bad.split(' ')).chain(["app.wasm"]);
            assert!(Typed::parse_line(words.map(Into::into)).is_err(), "{bad}");
        }
    }
}
