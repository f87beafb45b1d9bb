//! Every flag and argument of `cord`, once: this feeds the parser, the help and its errors.

use crate::connect_fd::ConnectFd;
use crate::guest::{ParseVolumeError, User, Volume};
use crate::publish::Publish;
use crate::quantity;
use crate::target::ConnectTarget;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Run WebAssembly where you would have run a container.
///
/// A guest sees only the files it was given (-v) and reaches only what it was granted (-c), and is
/// reached only where it was published (-p). Everything else is refused,
/// and standard error says which flag would allow it.
#[derive(Debug, Parser)]
#[command(name = "cord", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: the guest's own; 125 a fault of cord itself, 126 the guest cannot be run,\n\
    127 not found, 134 the guest trapped, 128+n killed by signal n.")]
pub struct Typed {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a guest, and exit with its exit code
    Run(RunFlags),
    /// Answer HTTP requests with a guest, a fresh instance for each
    Serve(ServeFlags),
    /// Run a switchboard on a socket, for other programs to connect through
    #[command(after_help = SWITCHBOARD_HELP)]
    Switchboard(SwitchboardFlags),
    /// Accept connections and hand each to a server of a switchboard
    Ingress(IngressFlags),
    /// Dial outside for the clients of a switchboard
    Egress(EdgeFlags),
    /// Look up host names for the clients of a switchboard
    Resolver(EdgeFlags),
    /// Join standard input and output to a server of a switchboard, or be one (-l)
    Cat(CatFlags),
    /// List what is registered with a switchboard
    Ls(ListFlags),
    /// Follow the decisions of a switchboard as they fall
    Watch(ListFlags),
    /// Show what this machine can hold a guest back with
    Doctor(DoctorFlags),
    /// The switchboard and edges of one `cord run`, on the socket that is its standard input
    #[command(hide = true)]
    Broker(BrokerFlags),
}

const SWITCHBOARD_HELP: &str = "\
Every program that can open SOCKET holds the strongest handle: keep its folder to yourself.

  cord switchboard /run/me/board &
  cord egress /run/me/board &
  cord cat -l /run/me/board service=hello        # in one terminal
  cord cat /run/me/board service=hello           # in another";

/// `cord run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct RunFlags {
    /// What the guest gets.
    #[command(flatten)]
    pub guest: GuestFlags,
    /// What reaches PORT of this machine reaches GUESTPORT of the guest (can be given more than once)
    #[arg(short, long, value_name = "[ADDR:]PORT:GUESTPORT[/udp]", long_help = PUBLISH_HELP)]
    pub publish: Vec<Publish>,
    /// Serve each connection to what is published as PORT:0 with a fresh instance of the guest
    #[arg(long, requires = "publish", long_help = PER_CONNECTION_HELP)]
    pub per_connection: bool,
    /// What bounds many instances.
    #[command(flatten)]
    pub crowd: CrowdFlags,
    /// A module of preview 1 finds a listening socket open for each --publish, as from systemd
    #[arg(long, requires = "publish", conflicts_with = "per_connection", long_help = LISTEN_FDS_HELP)]
    pub listen_fds: bool,
    /// A module of preview 1 finds a connection to TARGET open (can be given more than once)
    #[arg(long, value_name = "NAME=TARGET", conflicts_with = "per_connection", long_help = CONNECT_FD_HELP)]
    pub connect_fd: Vec<ConnectFd>,
    /// End the guest after DURATION: 30s, 5m, 1h30m (a number alone is seconds)
    #[arg(long, value_name = "DURATION", value_parser = quantity::parse_duration)]
    pub timeout: Option<Duration>,
    /// The guest and its arguments.
    #[command(flatten)]
    pub words: GuestWords,
}

/// What any guest gets, however it is run.
#[derive(Debug, Args)]
pub struct GuestFlags {
    /// The guest may connect to TARGET (can be given more than once)
    // The rest is no doc comment: rustdoc would take an IPv6 address in brackets for a link.
    #[arg(short, long, value_name = "TARGET", long_help = CONNECT_HELP)]
    pub connect: Vec<ConnectTarget>,
    /// Trust the certificates in FILE (PEM) too, for the https requests of the guest (can be given more than once)
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Vec<PathBuf>,
    /// The guest sees folder HOST of this machine as GUEST (add :ro to forbid writing)
    #[arg(short, long = "volume", value_name = "HOST:GUEST[:ro]", value_parser = parse_volume)]
    pub volumes: Vec<Volume>,
    /// Set a variable in the guest's environment; NAME alone passes on the one of this environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Set variables from a file of NAME=VALUE lines
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// The guest's working folder
    #[arg(short, long, value_name = "FOLDER")]
    pub workdir: Option<String>,
    /// The guest's memory may grow to SIZE: 64m, 1g (units b, k, m, g: powers of 1024)
    #[arg(short, long, value_name = "SIZE", value_parser = quantity::parse_bytes)]
    pub memory: Option<u64>,
    /// All instances of the guest together compute on at most N cores: 0.5, 2 (without it: on as many as there are)
    #[arg(long, value_name = "N", value_parser = quantity::parse_cores)]
    pub cpus: Option<NonZeroU32>,
    /// Run the guest as user UID of this machine, with no group but GID (or of the same number); needs root
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<User>,
    /// How the process around the guest is held back.
    #[command(flatten)]
    pub jail: JailFlags,
}

/// How a process is held back.
#[derive(Clone, Copy, Debug, Args)]
pub struct JailFlags {
    /// Hold back the process around the guest, too: on (or not at all), best-effort (with what this machine has), or off;
    /// see cord doctor
    #[arg(long, value_enum, default_value_t = JailMode::On)]
    pub jail: JailMode,
}

/// What happens where the machine cannot give a layer of the jail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum JailMode {
    /// With every layer; where one is missing, nothing is run
    #[default]
    On,
    /// With those layers that this machine has, saying which are missing
    BestEffort,
    /// Without any layer
    Off,
}

impl JailMode {
    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }
}

/// The guest and its arguments, the last of every command line that runs one.
#[derive(Debug, Args)]
pub struct GuestWords {
    /// The guest (a WebAssembly component or module, or its text .wat), and its arguments
    // One argument to the parser: from the first word on, everything is the guest's, whatever it looks like.
    #[arg(value_names = ["FILE", "ARGS"], required = true, num_args = 1.., trailing_var_arg = true)]
    pub guest: Vec<String>,
}

/// What bounds many instances of one guest.
#[derive(Clone, Debug, Args)]
pub struct CrowdFlags {
    /// At most N instances live at once; what comes then waits. Without it: as many as fit into the machine's memory,
    /// and not over 1000
    #[arg(long, value_name = "N")]
    pub max_instances: Option<NonZeroU32>,
    /// After SIGTERM, what is under way gets DURATION to finish
    #[arg(long, value_name = "DURATION", value_parser = quantity::parse_duration, default_value = "10s")]
    pub drain_time: Duration,
    /// Of what the instances print on the log, SIZE a second is kept, and four times that at once; the rest is dropped and
    /// counted. 0: everything is kept [default: 1m]
    #[arg(long, value_name = "SIZE", value_parser = quantity::parse_rate)]
    pub log_rate: Option<u64>,
}

/// `cord serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub struct ServeFlags {
    /// Answer requests at ADDR; port 0 lets the system pick one (can be given more than once)
    #[arg(short, long = "addr", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub addresses: Vec<SocketAddr>,
    /// How the guest's instances are used: fresh (one for each request, nothing shared), or reuse=N (one answers N
    /// requests, one after the other)
    #[arg(long, value_name = "fresh|reuse=N", default_value = "fresh")]
    pub instances: Reuse,
    /// Serve https with the certificate chain in FILE (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A guest that has not answered DURATION after it was given the last piece of a request is ended, and the client gets
    /// 504; so is one whose answer does not go on for so long
    #[arg(long, value_name = "DURATION", value_parser = quantity::parse_duration, default_value = "30s")]
    pub timeout: Duration,
    /// What is printed on standard output for each request
    #[arg(long, value_enum, default_value_t = AccessLog::Common)]
    pub access_log: AccessLog,
    /// What bounds many instances.
    #[command(flatten)]
    pub crowd: CrowdFlags,
    /// What the guest gets.
    #[command(flatten)]
    pub guest: GuestFlags,
    /// The guest and its arguments.
    #[command(flatten)]
    pub words: GuestWords,
}

/// How often an instance is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse(pub NonZeroU32);

impl std::str::FromStr for Reuse {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let requests = match typed.strip_prefix("reuse=") {
            None if typed == "fresh" => Some(NonZeroU32::MIN),
            None => None,
            Some(number) => number.parse().ok(),
        };
        requests.map(Self).ok_or_else(|| "write fresh, or reuse=N with N requests for each instance".to_owned())
    }
}

/// What is told of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessLog {
    /// The common log format
    Common,
    /// One JSON object a line
    Json,
    /// Nothing
    Off,
}

const CONNECT_HELP: &str = "\
The guest may connect to TARGET (can be given more than once)

An address, a CIDR range or a host name, and a port: 127.0.0.1:22, [::1]:22, 10.0.0.0/8:5432-5433, db.example.com:5432, \
*.example.com:443, localhost:80, udp://9.9.9.9:53, or *:443 for anything at a port.

A name that leads to a private or loopback address is refused unless that address is granted too, or the name is marked: \
db.example.com:5432,private";

const PUBLISH_HELP: &str = "\
What reaches PORT of this machine reaches GUESTPORT of the guest (can be given more than once)

8080:80, 0.0.0.0:8080:80, [::1]:8080:80, 5353:53/udp. Without an address it is 127.0.0.1: nobody outside this machine \
reaches it. 0.0.0.0 is every IPv4 address of this machine, [::] every address. Port 0 lets the system pick one, and \
standard error says which.";

const PER_CONNECTION_HELP: &str = "\
Serve each connection to what is published as PORT:0 with a fresh instance of the guest

The connection is the instance's standard input and output, as from inetd; standard error goes to the log. PROTO, \
TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP, TCPLOCALPORT and CORD_LABELS (JSON) in its environment say who is connected. \
--memory and --timeout hold for each instance.";

const LISTEN_FDS_HELP: &str = "\
A module of preview 1 finds a listening socket open for each --publish, as from systemd

Its number is the first behind the volumes: 3 without any. LISTEN_FDS says how many there are, LISTEN_FDNAMES what they \
are called: tcp-80 or udp-53, by the guest's port.";

const CONNECT_FD_HELP: &str = "\
A module of preview 1 finds a connection to TARGET open (can be given more than once)

db=127.0.0.1:5432 or web=example.com:80. It is made before the guest starts and counted in LISTEN_FDS, behind the \
listening sockets; the guest may not connect there again.";

const RUN_HELP: &str = "\
Examples:
  cord run hello.wasm
  cord run -c 127.0.0.1:22 banner.wasm 127.0.0.1
  cord run -p 8080:80 server.wasm
  cord run -p 8080:0 --per-connection echo.wasm
  cord run -v ./data:/data:ro -e LEVEL=debug -m 64m --timeout 30s job.wasm /data/in.csv";

const SERVE_HELP: &str = "\
Examples:
  cord serve site.wasm
  cord serve --addr 0.0.0.0:443 --tls-cert site.pem --tls-key site.key -c api.example.com:443 site.wasm

The guest is a component that exports wasi:http/incoming-handler (WASI 0.2) or wasi:http/handler (0.3). What it prints goes
to the log on standard error.";

/// `cord broker`.
#[derive(Debug, Args)]
pub struct BrokerFlags {
    /// The guest's service
    #[arg(long, default_value = "guest")]
    pub service: String,
    /// As for `cord run`
    #[arg(long)]
    pub publish: Vec<Publish>,
    /// What is told of where it is published
    #[arg(long, value_enum, default_value_t = ServedAs::Guest)]
    pub served_as: ServedAs,
    /// As for `cord run`
    #[command(flatten)]
    pub jail: JailFlags,
}

/// Who serves what is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ServedAs {
    /// A guest that listens
    Guest,
    /// An instance for each connection
    Connections,
    /// An instance for each request
    Http,
    /// The same over TLS
    Https,
}

/// `cord switchboard`.
#[derive(Debug, Args)]
pub struct SwitchboardFlags {
    /// The path of the socket to make
    pub socket: PathBuf,
    /// How this process is held back.
    #[command(flatten)]
    pub jail: JailFlags,
}

/// `cord ingress`.
#[derive(Debug, Args)]
#[command(after_help = INGRESS_HELP)]
pub struct IngressFlags {
    /// Hear datagrams, and hand a socket for each peer to the server
    #[arg(short, long)]
    pub udp: bool,
    /// How this process is held back.
    #[command(flatten)]
    pub jail: JailFlags,
    /// Where to accept, as in 127.0.0.1:8080 or `[::]:8080`; port 0 picks one and prints it
    #[arg(value_name = "ADDR")]
    pub address: SocketAddr,
    /// The switchboard's socket
    pub socket: PathBuf,
    /// Labels of the server that gets the connections
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub labels: Vec<(String, String)>,
}

const INGRESS_HELP: &str = "\
Examples:
  cord ingress 127.0.0.1:8080 /run/me/board service=web
  cord ingress --udp 127.0.0.1:5353 /run/me/board service=dns

A server_port among the labels is the server's own, where that differs from the port outside.";

/// `cord egress`, `cord resolver`.
#[derive(Debug, Args)]
pub struct EdgeFlags {
    /// How this process is held back.
    #[command(flatten)]
    pub jail: JailFlags,
    /// The switchboard's socket
    pub socket: PathBuf,
    /// Labels to register with, besides network=outside
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub labels: Vec<(String, String)>,
}

/// `cord cat`.
#[derive(Debug, Args)]
#[command(after_help = CAT_HELP)]
pub struct CatFlags {
    /// Be the server: wait for one connection
    #[arg(short, long)]
    pub listen: bool,
    /// Say on standard error which labels the other end has
    #[arg(short, long)]
    pub verbose: bool,
    /// The switchboard's socket
    pub socket: PathBuf,
    /// Labels: of the server to find, or (with -l) of this one
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub labels: Vec<(String, String)>,
}

const CAT_HELP: &str = "\
Examples:
  cord cat -l /run/me/board service=hello
  cord cat /run/me/board service=hello
  cord cat /run/me/board transport=tcp network=outside server_address=127.0.0.1 server_port=22";

/// `cord ls`, `cord watch`.
#[derive(Debug, Args)]
pub struct ListFlags {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// The switchboard's socket
    pub socket: PathBuf,
    /// Only what does not contradict these labels
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair)]
    pub labels: Vec<(String, String)>,
}

/// `cord doctor`.
#[derive(Debug, Args)]
pub struct DoctorFlags {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

fn parse_volume(typed: &str) -> Result<Volume, ParseVolumeError> {
    typed.parse()
}

fn parse_pair(typed: &str) -> Result<(String, String), String> {
    match typed.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("a label is KEY=VALUE, as in service={typed}")),
    }
}

impl Typed {
    /// Parses a command line, the program's name first.
    ///
    /// # Errors
    /// [`UsageError`], which is also how help and version are asked for.
    pub fn parse_line(line: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, UsageError> {
        let line: Vec<_> = line.into_iter().collect();
        Self::try_parse_from(&line).map_err(|error| {
            let typed = line.get(1).and_then(|word| word.to_str()).unwrap_or_default();
            let command = Self::command().find_subcommand(typed).map(|command| command.get_name().to_owned());
            UsageError { error, command }
        })
    }
}

/// A command line that is none, or asks for help.
#[derive(Debug)]
pub struct UsageError {
    error: clap::Error,
    /// The command that was typed, if there is one of that name.
    command: Option<String>,
}

impl UsageError {
    /// The text of help or version, if that is what was asked for.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        (!self.error.use_stderr()).then(|| self.error.render().to_string())
    }

    /// The command whose help tells more. `None`: it was not named rightly.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// The help that a command line without a command should get.
    #[must_use]
    pub fn is_missing_command(&self) -> bool {
        self.error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    }
}

impl std::fmt::Display for UsageError {
    /// The error in one line, with clap's tips if it has any.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.error.render().to_string();
        if self.is_missing_command() {
            return f.write_str(text.trim_end());
        }
        let mut paragraphs = text.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = paragraphs.next().unwrap_or_default();
        f.write_str(what.strip_prefix("error: ").unwrap_or(&what))?;
        // Of several tips clap's first is the one that guesses what was meant.
        match paragraphs.find_map(|line| line.strip_prefix("tip: ").map(first_tip)) {
            Some(tip) => write!(f, " ({tip})"),
            None => Ok(()),
        }
    }
}

fn first_tip(tips: &str) -> String {
    tips.split(" tip: ").next().unwrap_or_default().to_owned()
}

impl std::error::Error for UsageError {}
