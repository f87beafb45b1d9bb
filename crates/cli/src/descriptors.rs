//! How many descriptors this process may hold: as many as the administrator allows.
//!
//! The usual soft limit, 1,024, is for programs that still call select(2). A runner and its broker hold a descriptor for
//! each connection, and call no such thing.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many of them guests may have together: half. The rest is for the connections that they serve, and for this process
/// itself, so that whatever guests open, somebody is still let in.
pub(crate) fn for_guests() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(most / 2).unwrap_or(usize::MAX)
}

/// Raises the soft limit to the hard one. Where that is not possible, the limit stays what it was.
pub(crate) fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
