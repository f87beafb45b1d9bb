//! Lowers the resource limits for good: hard limits cannot be raised again without a capability.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Threads of this user, all programs together: far more than any runner starts, and an end to a flood of them. Root is
/// not bound by it.
const MAX_TASKS: u64 = 16_384;

pub(crate) fn lower() -> io::Result<()> {
    // What a guest had in memory does not belong on a disk.
    set(Resource::Core, 0)?;
    set(Resource::Memlock, 0)?;
    set(Resource::Msgqueue, 0)?;
    set(Resource::Nproc, getrlimit(Resource::Nproc).maximum.unwrap_or(u64::MAX).min(MAX_TASKS))?;
    // As many files as now, and never more.
    if let Some(current) = getrlimit(Resource::Nofile).current {
        set(Resource::Nofile, current)?;
    }
    Ok(())
}

fn set(resource: Resource, to: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(to, |maximum| maximum.min(to));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}
