//! Landlock: which files are in reach, no TCP, no abstract sockets and no signals across the jail's wall.
//!
//! What Landlock does not know it does not hold back: the times, modes and existence of files (landlock(7), "Current
//! limitations"). Changing modes and owners is seccomp's to refuse; `docs/security.md` says what is left.

use crate::{Access, Plan, Role, only_thread};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort, PathBeneath,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

/// What must be there, or the layer counts as missing: files with truncation (Linux 6.2), and TCP ports (6.7).
const REQUIRED: ABI = ABI::V4;

/// What is taken where the kernel has it: device files (6.10), abstract sockets and signals (6.12).
const WANTED: ABI = ABI::V6;

/// Where the system's resolver keeps what it reads, and the libraries that it loads to do so. Read, never written.
const RESOLVER_FILES: &[&str] = &[
    "/etc",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/local/lib",
    "/nix/store",
];

/// What Landlock holds back on this kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Landlock {
    /// Abstract sockets and signals to processes outside of the jail. Where it does not, seccomp does alone.
    pub scopes: bool,
}

pub(crate) fn restrict(plan: &Plan<'_>) -> io::Result<Landlock> {
    only_thread()?;
    let places = plan.places.iter().map(|place| PathBeneath::new(place.folder, accesses(place.access)));
    let resolver = if may_resolve(plan.role) { resolver_files() } else { Vec::new() };
    let read = |folder| PathBeneath::new(folder, accesses(Access::Read));
    let restrict = || {
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(REQUIRED))?;
        ruleset = ruleset.handle_access(tcp(plan.role))?;
        let mut created = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()?;
        for rule in places {
            created = created.add_rule(rule)?;
        }
        for rule in resolver.into_iter().map(read) {
            created = created.add_rule(rule)?;
        }
        for port in &plan.listens_at {
            created = created.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
        }
        created.restrict_self()
    };
    let status = restrict().map_err(|error: landlock::RulesetError| io::Error::other(error))?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    let scopes = matches!(status.landlock, LandlockStatus::Available { effective_abi, .. } if effective_abi >= WANTED);
    Ok(Landlock { scopes })
}

/// The TCP calls that are held back: all, but where they are what the process is for.
fn tcp(role: Role) -> BitFlags<AccessNet> {
    match role {
        Role::Runner | Role::Compiler | Role::Switchboard | Role::Ingress => AccessNet::from_all(REQUIRED),
        // Dialling binds no port.
        Role::Broker | Role::Egress => AccessNet::BindTcp.into(),
    }
}

fn may_resolve(role: Role) -> bool {
    matches!(role, Role::Broker | Role::Egress)
}

fn accesses(access: Access) -> BitFlags<AccessFs> {
    match access {
        Access::Read => AccessFs::ReadFile | AccessFs::ReadDir,
        Access::Remove => AccessFs::RemoveFile.into(),
        Access::Write => {
            let special = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo;
            AccessFs::from_all(REQUIRED) & !(special | AccessFs::Execute)
        }
    }
}

/// Those that this system has.
fn resolver_files() -> Vec<OwnedFd> {
    let open = |path: &&str| {
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path).ok().map(OwnedFd::from)
    };
    RESOLVER_FILES.iter().filter_map(open).collect()
}
