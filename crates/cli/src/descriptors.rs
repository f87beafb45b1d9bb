//! How many descriptors this process may hold: as many as the administrator allows.
//!
//! The usual soft limit, 1,024, is for programs that still call select(2). A runner and its broker hold a descriptor for
//! each connection, and call no such thing.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. Where that is not possible, the limit stays what it was.
pub(crate) fn allow_many() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
