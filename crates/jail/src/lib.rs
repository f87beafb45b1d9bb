//! Gives up a process's ambient authority for good, layer by layer, under the sandbox that WebAssembly already is.
//!
//! Everything here is written from "the guest is hostile and owns this process": whatever native code does after
//! [`enter`], it finds the files of its volumes, the descriptors that the process holds, and nothing else. Several layers
//! refuse the same thing on purpose; a fault in one of them, or in the kernel's part of it, is not the end.
//!
//! The jail knows no engine, no WASI and no switchboard. It takes a [`Plan`] of descriptors and answers with what is in
//! force. It is entered while the process has one thread, because Landlock binds the thread that asks and those it
//! starts later; that is checked.
//!
//! ```no_run
//! use jail::{Plan, Role};
//! let jailed = jail::enter(&Plan::new(Role::Runner));
//! for missing in &jailed.missing {
//!     eprintln!("{missing}");
//! }
//! ```

mod calls;
mod descriptors;
mod files;
mod layer;
mod limits;
mod privileges;
mod search;

pub use files::Landlock;
pub use layer::{Layer, Layers, MissingLayerError};
pub use privileges::{User, open_as_anybody};

use rustix::process::{Signal, set_parent_process_death_signal};
use std::io;
use std::os::fd::BorrowedFd;

/// What a process is for, and so which calls to the kernel it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs guests: no new sockets but Unix pairs, files below its places only.
    Runner,
    /// Switchboard, ingress, egress and resolver of one runner: sockets, and the files of the system's resolver.
    Broker,
    /// Accepts connections at sockets that are open already: no files.
    Ingress,
    /// Dials and resolves: sockets, and the files of the system's resolver.
    Egress,
    /// Turns standard input into standard output: no files, no sockets.
    Compiler,
    /// A switchboard at a path: no network, and no file but its own socket's folder.
    Switchboard,
}

/// What may be done below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Open and list.
    Read,
    /// Whatever files and folders are for; no devices, no sockets, nothing executed.
    Write,
    /// Remove what lies in it.
    Remove,
}

/// A folder that stays in reach.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The open folder; `O_PATH` is enough.
    pub folder: BorrowedFd<'a>,
    /// What may be done there.
    pub access: Access,
}

/// What is left to a process.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// What it is for.
    pub role: Role,
    /// The folders that stay in reach.
    pub places: Vec<Place<'a>>,
    /// Whom it becomes.
    pub user: User,
    /// The TCP ports that it will listen at; 0 is one that the system picks.
    pub listens_at: Vec<u16>,
    /// Whether it binds ports below 1024, if it can at all.
    pub low_ports: bool,
    /// The layers to put on. All, but in tests of what each of them does.
    pub layers: Layers,
}

impl Plan<'_> {
    /// All layers, no place, the same user without any capability.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Plan {
            role,
            places: Vec::new(),
            user: User::Same,
            listens_at: Vec::new(),
            low_ports: false,
            layers: Layers::ALL,
        }
    }
}

/// What [`enter`] has done.
#[derive(Debug, Default)]
#[must_use = "a layer may be missing"]
pub struct Jailed {
    /// The layers that hold from now on.
    pub in_force: Vec<Layer>,
    /// The layers that do not, and why.
    pub missing: Vec<MissingLayerError>,
    /// What Landlock holds back; the kernel's version decides.
    pub landlock: Landlock,
}

/// Gives up everything that `plan` does not leave. There is no way back.
///
/// A layer that cannot be put on is told as missing, and the others are put on all the same; whoever wants all or nothing
/// ends the process if any is missing.
///
/// # Authority
/// Takes it away, from this process and from whatever it starts.
pub fn enter(plan: &Plan<'_>) -> Jailed {
    let mut jailed = Jailed::default();
    for layer in Layer::ALL.into_iter().filter(|layer| plan.layers.contains(*layer)) {
        if layer == Layer::Seccomp && plan.role == Role::Compiler {
            // Nobody waits for its work then. A change of user would have undone it (prctl(2), PR_SET_PDEATHSIG).
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
        }
        let done = match layer {
            Layer::Descriptors => descriptors::close_inherited(),
            Layer::Limits => limits::lower(),
            Layer::Capabilities => privileges::drop_capabilities(plan.user, plan.low_ports),
            Layer::Dumpable => privileges::hide_from_debuggers(),
            Layer::Privileges => privileges::forbid_new_ones(),
            Layer::Landlock => files::restrict(plan).map(|landlock| jailed.landlock = landlock),
            Layer::Seccomp => calls::restrict(plan),
        };
        match done {
            Ok(()) => jailed.in_force.push(layer),
            Err(source) => jailed.missing.push(MissingLayerError { layer, source }),
        }
    }
    jailed
}

/// Landlock and seccomp bind one thread and its children: there must be no other.
fn only_thread() -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    // A folder's links: itself, its name, and one for each folder in it, which are the threads.
    let threads = std::fs::metadata("/proc/self/task")
        .map_err(|error| io::Error::new(error.kind(), format!("cannot count threads: /proc/self/task: {error}")))?;
    match threads.nlink() {
        3 => Ok(()),
        links => Err(io::Error::other(format!("the process has {} threads already", links.saturating_sub(2)))),
    }
}
