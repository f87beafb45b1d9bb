//! Who the process is, and what it may do for that.
//!
//! A process that was started as root stays user 0 unless another is named, as a mere owner of files: every capability
//! goes, from every set, and the rule that gives them back to user 0 is switched off.
#![expect(unsafe_code, reason = "the system calls for users and groups have no safe form without a further dependency")]

use caps::{CapSet, Capability};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use std::io;

/// Securebits that make user 0 a user like any other, each with the lock that keeps it so
/// (capabilities(7), "The securebits flags": NOROOT, NO_SETUID_FIXUP, KEEP_CAPS cleared, NO_CAP_AMBIENT_RAISE).
const SECUREBITS: libc::c_ulong = 0b11_10_11_11;

/// Whom a process becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever it is.
    Same,
    /// This one, or the layer fails.
    Is {
        /// The user's number.
        uid: u32,
        /// The number of its only group.
        gid: u32,
    },
    /// If it is root, the user that owns nothing (65534, as Linux tells a number that has no meaning). In a user namespace
    /// that has no such number it stays who it is.
    Nobody,
}

/// The overflow user of Linux (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65_534;

/// Becomes `user`, and gives every capability up but the one for low ports, if that is wanted and there. What fails keeps
/// nothing of the rest from being given up.
pub(crate) fn drop_capabilities(user: User, low_ports: bool) -> io::Result<()> {
    let become_user = become_user(user);
    // Not having been allowed to lock the bits below, a change of user may have taken them all.
    let mut kept = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    kept.retain(|capability| low_ports && *capability == Capability::CAP_NET_BIND_SERVICE);
    caps::set(None, CapSet::Effective, &kept).map_err(io::Error::other)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(io::Error::other)?;
    caps::clear(None, CapSet::Inheritable).map_err(io::Error::other)?;
    become_user
}

fn become_user(user: User) -> io::Result<()> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let has = |capability| permitted.contains(&capability);
    if has(Capability::CAP_SETPCAP) {
        leave_bounding_set()?;
        // SAFETY: takes numbers only.
        check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECUREBITS) })?;
    }
    if has(Capability::CAP_SETGID) {
        // SAFETY: asked for are as many groups as the number says, which is none.
        let left = check(unsafe { libc::setgroups(0, std::ptr::null()) });
        // Root of a user namespace that may not change groups (user_namespaces(7), "setgroups") keeps those of the user
        // that made it, as that user itself would.
        let is_forbidden = || std::fs::read("/proc/self/setgroups").is_ok_and(|rule| rule.starts_with(b"deny"));
        if left.is_err() && (matches!(user, User::Is { .. }) || !is_forbidden()) {
            left.map_err(|error| io::Error::new(error.kind(), format!("cannot leave its groups: {error}")))?;
        }
    }
    match user {
        User::Same => Ok(()),
        User::Is { uid, gid } => switch(uid, gid)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot become user {uid}:{gid}: {error}"))),
        User::Nobody if !(has(Capability::CAP_SETUID) && has(Capability::CAP_SETGID)) => Ok(()),
        User::Nobody => match switch(NOBODY, NOBODY) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            switched => switched,
        },
    }
}

/// Takes every capability that this kernel knows out of the bounding set, also those that no library has a name for yet.
fn leave_bounding_set() -> io::Result<()> {
    for capability in 0..=libc::c_ulong::from(u8::MAX) {
        // SAFETY: takes numbers only.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            // The number after the last (prctl(2), PR_CAPBSET_DROP). A kernel that says so of the first drops none.
            Err(error) if capability > 0 && error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            dropped => dropped?,
        }
    }
    Ok(())
}

/// Lets what is opened from now on count as opened without the rights of an administrator: the kernel looks at the opener
/// of `/proc/self/pagemap`, for one, to decide whether a reader sees where in the machine's memory its pages lie.
pub fn open_as_anybody() {
    // Who has no such capability needs not give it up.
    let _ = caps::drop(None, CapSet::Effective, Capability::CAP_SYS_ADMIN);
}

fn switch(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresuid(uid, uid, uid) })
}

pub(crate) fn hide_from_debuggers() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

pub(crate) fn forbid_new_ones() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

fn check(returned: libc::c_int) -> io::Result<()> {
    if returned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
