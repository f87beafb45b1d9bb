//! seccomp: the calls to the kernel that each kind of process has left. Everything else is refused with `EPERM`.
//!
//! The lists are of what is needed, by whom. Refused rather than killed, because which calls a C library makes is its own
//! affair and changes; a refusal is an error that the caller sees, and the process goes on without.
//!
//! Three absences carry the design. No `sendmsg`: a runner sends plain packets over its handle, so it can give no
//! descriptor away, and a UDP socket that it was given reaches the peer it was connected to and nobody else. No `bind`,
//! `connect`, `accept` or `listen`: its sockets are what they were when they came. No `PROT_EXEC`: what is code was
//! code before the guest ran.
//!
//! A filter sees numbers, not what pointers lead to: paths are Landlock's.

use crate::search::{self, Answer};
use crate::{Access, Plan, Role, only_thread};
use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;

/// What is asked of one argument of a call.
#[derive(Clone, Copy)]
enum Only {
    /// The argument of this number has this value.
    Is(u8, u64),
    /// Of these bits of the argument, just those are set.
    Bits(u8, u64, u64),
    /// The argument is a null pointer.
    Null(u8),
}

use Only::{Bits, Is, Null};

/// A call, and what must hold for its arguments. A call that stands in several rows is allowed if one of them holds.
type Row = (c_long, &'static [Only]);

const EXEC: u64 = libc::PROT_EXEC as u64;

/// The flags with which threads are made: without them, it would be a process.
const THREAD: u64 =
    (libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD) as u64;

/// A namespace of its own, or another's tracer: no thread of ours asks for them.
const NOT_OF_A_THREAD: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PTRACE) as u64;

/// Memory, threads, time and the end: what a Rust program with an event loop needs, whatever it does.
const EVERYBODY: &[Row] = &[
    (libc::SYS_mmap, &[Bits(2, EXEC, 0)]),
    (libc::SYS_mprotect, &[Bits(2, EXEC, 0)]),
    (libc::SYS_munmap, &[]),
    (libc::SYS_mremap, &[]),
    (libc::SYS_madvise, &[]),
    (libc::SYS_brk, &[]),
    (libc::SYS_futex, &[]),
    (libc::SYS_clone, &[Bits(0, THREAD | NOT_OF_A_THREAD, THREAD)]),
    (libc::SYS_set_robust_list, &[]),
    (libc::SYS_rseq, &[]),
    (libc::SYS_sched_yield, &[]),
    (libc::SYS_sched_getaffinity, &[]),
    (libc::SYS_gettid, &[]),
    (libc::SYS_getpid, &[]),
    // Names its threads (std::thread), and the areas of its heap (the C library).
    (libc::SYS_prctl, &[Is(0, libc::PR_SET_NAME as u64)]),
    (libc::SYS_prctl, &[Is(0, libc::PR_SET_VMA as u64)]),
    // Asks for its own limits: the C library for a thread's stack, tokio for its number of descriptors.
    (libc::SYS_prlimit64, &[Is(0, 0), Null(2)]),
    (libc::SYS_getrandom, &[]),
    (libc::SYS_clock_gettime, &[]),
    (libc::SYS_clock_getres, &[]),
    (libc::SYS_clock_nanosleep, &[]),
    (libc::SYS_nanosleep, &[]),
    (libc::SYS_exit, &[]),
    (libc::SYS_exit_group, &[]),
    (libc::SYS_restart_syscall, &[]),
    // Traps of a guest are signals of its thread (wasmtime); tokio hears SIGTERM.
    (libc::SYS_rt_sigaction, &[]),
    (libc::SYS_rt_sigprocmask, &[]),
    (libc::SYS_rt_sigreturn, &[]),
    (libc::SYS_sigaltstack, &[]),
    // Descriptors that are there.
    (libc::SYS_read, &[]),
    (libc::SYS_readv, &[]),
    (libc::SYS_write, &[]),
    (libc::SYS_writev, &[]),
    (libc::SYS_close, &[]),
    (libc::SYS_fstat, &[]),
    (libc::SYS_lseek, &[]),
    (libc::SYS_fcntl, &[Is(1, libc::F_GETFL as u64)]),
    (libc::SYS_fcntl, &[Is(1, libc::F_SETFL as u64), Bits(2, libc::O_ASYNC as u64, 0)]),
    (libc::SYS_fcntl, &[Is(1, libc::F_GETFD as u64)]),
    (libc::SYS_fcntl, &[Is(1, libc::F_SETFD as u64)]),
    (libc::SYS_fcntl, &[Is(1, libc::F_DUPFD_CLOEXEC as u64)]),
    (libc::SYS_ioctl, &[Is(1, libc::FIONBIO)]),
    (libc::SYS_ioctl, &[Is(1, libc::FIONREAD)]),
    // Whether it is a terminal, and how wide; never TIOCSTI, which types into it.
    (libc::SYS_ioctl, &[Is(1, libc::TCGETS)]),
    (libc::SYS_ioctl, &[Is(1, libc::TIOCGWINSZ)]),
    (libc::SYS_pipe2, &[]),
    (libc::SYS_eventfd2, &[]),
    (libc::SYS_epoll_create1, &[]),
    (libc::SYS_epoll_ctl, &[]),
    (libc::SYS_epoll_pwait, &[]),
    (libc::SYS_ppoll, &[]),
    // Sockets that are there, and pairs of new ones: a guest's own loopback (wasi::sockets).
    (libc::SYS_socketpair, &[Is(0, libc::AF_UNIX as u64)]),
    (libc::SYS_recvfrom, &[]),
    (libc::SYS_recvmsg, &[]),
    // Without an address: to whom the socket is connected. The handle's messages go this way (fdpass).
    (libc::SYS_sendto, &[Null(4)]),
    (libc::SYS_shutdown, &[]),
    (libc::SYS_getsockname, &[]),
    (libc::SYS_getpeername, &[]),
    (libc::SYS_getsockopt, &[]),
];

#[cfg(target_arch = "x86_64")]
const EVERYBODY_HERE: &[Row] = &[(libc::SYS_poll, &[]), (libc::SYS_epoll_wait, &[]), (libc::SYS_pipe, &[])];
#[cfg(not(target_arch = "x86_64"))]
const EVERYBODY_HERE: &[Row] = &[];

/// The options of sockets that WASI lets a guest set, and those with which streams are closed (wasi::sockets, wasi::stdio).
const OPTIONS: &[Row] = &[
    (libc::SYS_setsockopt, &[Is(1, libc::SOL_SOCKET as u64), Is(2, libc::SO_KEEPALIVE as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::SOL_SOCKET as u64), Is(2, libc::SO_LINGER as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::SOL_SOCKET as u64), Is(2, libc::SO_RCVBUF as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::SOL_SOCKET as u64), Is(2, libc::SO_SNDBUF as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::IPPROTO_TCP as u64), Is(2, libc::TCP_NODELAY as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::IPPROTO_TCP as u64), Is(2, libc::TCP_KEEPIDLE as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::IPPROTO_TCP as u64), Is(2, libc::TCP_KEEPINTVL as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::IPPROTO_TCP as u64), Is(2, libc::TCP_KEEPCNT as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::IPPROTO_IP as u64), Is(2, libc::IP_TTL as u64)]),
    (libc::SYS_setsockopt, &[Is(1, libc::IPPROTO_IPV6 as u64), Is(2, libc::IPV6_UNICAST_HOPS as u64)]),
];

/// What a runner needs besides: wasmtime's memories.
const RUNNER: &[Row] = &[
    // The first image of a guest's memory that is not in the file of its code (wasmtime).
    (libc::SYS_memfd_create, &[]),
    // Which pages an instance has touched (wasmtime's pool, PAGEMAP_SCAN).
    (libc::SYS_ioctl, &[Is(1, 0xc060_6610)]),
];

/// Files below the volumes, which Landlock knows (wasmtime-wasi by way of cap-std).
const FILES: &[Row] = &[
    (libc::SYS_openat, &[]),
    (libc::SYS_openat2, &[]),
    (libc::SYS_statx, &[]),
    (libc::SYS_newfstatat, &[]),
    (libc::SYS_fstatfs, &[]),
    (libc::SYS_getdents64, &[]),
    (libc::SYS_readlinkat, &[]),
    (libc::SYS_faccessat, &[]),
    (libc::SYS_faccessat2, &[]),
    (libc::SYS_pread64, &[]),
    (libc::SYS_preadv, &[]),
    (libc::SYS_preadv2, &[]),
    (libc::SYS_fadvise64, &[]),
    (libc::SYS_fsync, &[]),
    (libc::SYS_fdatasync, &[]),
];

/// The same where something may be written. Nothing changes modes, owners or attributes: WASI has no such calls.
const WRITING: &[Row] = &[
    (libc::SYS_pwrite64, &[]),
    (libc::SYS_pwritev, &[]),
    (libc::SYS_pwritev2, &[]),
    (libc::SYS_ftruncate, &[]),
    (libc::SYS_fallocate, &[]),
    (libc::SYS_mkdirat, &[]),
    (libc::SYS_unlinkat, &[]),
    (libc::SYS_renameat, &[]),
    // Never leaving a whiteout behind: it is a device, and neither Landlock nor the kernel asks whether it may be made.
    (libc::SYS_renameat2, &[Bits(4, libc::RENAME_WHITEOUT as u64, 0)]),
    (libc::SYS_linkat, &[]),
    (libc::SYS_symlinkat, &[]),
    (libc::SYS_utimensat, &[]),
];

/// Passing descriptors on: switchboard and edges.
const HANDING_OVER: &[Row] = &[(libc::SYS_sendmsg, &[]), (libc::SYS_accept4, &[])];

/// Sockets of the edges: listening, and one for each peer of a UDP port (ingress), dialling (egress), asking (resolver).
const SOCKETS: &[Row] = &[
    (libc::SYS_socket, &[Is(0, libc::AF_INET as u64)]),
    (libc::SYS_socket, &[Is(0, libc::AF_INET6 as u64)]),
    (libc::SYS_bind, &[]),
    (libc::SYS_listen, &[]),
    (libc::SYS_connect, &[]),
    (libc::SYS_setsockopt, &[]),
    (libc::SYS_sendto, &[]),
    (libc::SYS_sendmmsg, &[]),
    (libc::SYS_recvmmsg, &[]),
];

/// The system's resolver (getaddrinfo): its files and libraries, its cache's socket, and which addresses this machine has.
const RESOLVER: &[Row] = &[
    (libc::SYS_socket, &[Is(0, libc::AF_UNIX as u64)]),
    (libc::SYS_socket, &[Is(0, libc::AF_NETLINK as u64), Is(2, libc::NETLINK_ROUTE as u64)]),
    // Modules of the name service switch are libraries.
    (libc::SYS_mmap, &[]),
    (libc::SYS_mprotect, &[]),
    (libc::SYS_uname, &[]),
    (libc::SYS_sysinfo, &[]),
    (libc::SYS_geteuid, &[]),
    (libc::SYS_getuid, &[]),
    (libc::SYS_getegid, &[]),
    (libc::SYS_getgid, &[]),
];

#[cfg(target_arch = "x86_64")]
const FILES_HERE: &[Row] = &[
    (libc::SYS_open, &[]),
    (libc::SYS_stat, &[]),
    (libc::SYS_lstat, &[]),
    (libc::SYS_access, &[]),
    (libc::SYS_readlink, &[]),
];
#[cfg(not(target_arch = "x86_64"))]
const FILES_HERE: &[Row] = &[];

/// A switchboard takes its socket away at the end.
#[cfg(target_arch = "x86_64")]
const REMOVING: &[Row] = &[(libc::SYS_unlink, &[]), (libc::SYS_unlinkat, &[])];
#[cfg(not(target_arch = "x86_64"))]
const REMOVING: &[Row] = &[(libc::SYS_unlinkat, &[])];

/// The lists of a kind of process.
fn lists(plan: &Plan<'_>) -> Vec<&'static [Row]> {
    let mut lists = vec![EVERYBODY, EVERYBODY_HERE];
    match plan.role {
        Role::Runner => {
            lists.extend([RUNNER, OPTIONS]);
            if !plan.places.is_empty() {
                lists.push(FILES);
            }
            if plan.places.iter().any(|place| place.access == Access::Write) {
                lists.push(WRITING);
            }
        }
        Role::Compiler => {}
        Role::Broker | Role::Egress => lists.extend([HANDING_OVER, SOCKETS, RESOLVER, FILES, FILES_HERE]),
        Role::Ingress => lists.extend([HANDING_OVER, SOCKETS]),
        Role::Switchboard => lists.extend([HANDING_OVER, REMOVING]),
    }
    lists
}

pub(crate) fn restrict(plan: &Plan<'_>) -> io::Result<()> {
    only_thread()?;
    seccompiler::apply_filter(&program(rules(plan)?)?).map_err(io::Error::other)
}

/// The program that allows what `rules` allow and refuses everything else.
fn program(rules: BTreeMap<i64, Vec<SeccompRule>>) -> io::Result<BpfProgram> {
    let whole = |rows: &[_]| if rows.is_empty() { Answer::Allow } else { Answer::Ask };
    let mut answers: BTreeMap<c_long, Answer> = rules.iter().map(|(call, rows)| (*call, whole(rows))).collect();
    // Its flags lie in memory. The C library takes clone instead of a call that the kernel does not have.
    answers.insert(libc::SYS_clone3, Answer::Refuse(libc::ENOSYS));
    let conditional = rules.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let here = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(conditional, refused, SeccompAction::Allow, here).map_err(io::Error::other)?;
    let asked = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    search::before(asked, &answers, Answer::Refuse(libc::EPERM))
}

/// What is allowed, call by call. An empty list of rules allows the call whatever its arguments.
fn rules(plan: &Plan<'_>) -> io::Result<BTreeMap<i64, Vec<SeccompRule>>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut whole: Vec<i64> = Vec::new();
    for (call, only) in lists(plan).into_iter().flatten() {
        let rows = rules.entry(*call).or_default();
        if only.is_empty() {
            whole.push(*call);
        } else {
            rows.push(rule(only)?);
        }
    }
    for call in whole {
        rules.insert(call, Vec::new());
    }
    // abort(3) and panics raise a signal in this process, whose number is known by now.
    let own = [Is(0, u64::from(std::process::id()))];
    rules.insert(libc::SYS_tgkill, vec![rule(&own)?]);
    Ok(rules)
}

fn rule(only: &[Only]) -> io::Result<SeccompRule> {
    let condition = |only: &Only| {
        let (number, length, operator, value) = match *only {
            Is(number, value) => (number, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value),
            Bits(number, mask, value) => (number, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value),
            Null(number) => (number, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0),
        };
        SeccompCondition::new(number, length, operator, value)
    };
    let conditions = only.iter().map(condition).collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;
    use std::fs::File;
    use std::os::fd::AsFd;

    const ROLES: [Role; 6] =
        [Role::Runner, Role::Broker, Role::Ingress, Role::Egress, Role::Compiler, Role::Switchboard];

    fn is_allowed(plan: &Plan<'_>, call: c_long) -> bool {
        rules(plan).unwrap().contains_key(&call)
    }

    #[test]
    fn every_list_is_a_program_that_the_kernel_takes() {
        // BPF_MAXINSNS of linux/bpf_common.h.
        const MOST_INSTRUCTIONS: usize = 4096;
        for role in ROLES {
            let program = program(rules(&Plan::new(role)).unwrap()).unwrap();
            assert!(program.len() < MOST_INSTRUCTIONS, "{role:?}: {}", program.len());
        }
    }

    #[test]
    fn nobody_has_the_calls_by_which_others_are_reached() {
        let never = [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_kill,
            libc::SYS_pidfd_send_signal,
            libc::SYS_pidfd_getfd,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_seccomp,
            libc::SYS_init_module,
            libc::SYS_perf_event_open,
            libc::SYS_capset,
            libc::SYS_setuid,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchownat,
            libc::SYS_mknodat,
        ];
        for role in ROLES {
            for call in never {
                assert!(!is_allowed(&Plan::new(role), call), "{role:?} {call}");
            }
        }
    }

    #[test]
    fn a_runner_can_neither_reach_another_peer_nor_give_a_descriptor_away() {
        let calls = [
            libc::SYS_sendmsg,
            libc::SYS_sendmmsg,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_accept4,
        ];
        let unconditional = |call| rules(&Plan::new(Role::Runner)).unwrap().get(&call).is_none_or(Vec::is_empty);
        for call in calls {
            assert!(!is_allowed(&Plan::new(Role::Runner), call), "{call}");
        }
        for call in [libc::SYS_sendto, libc::SYS_setsockopt, libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_clone] {
            assert!(!unconditional(call), "{call}");
        }
    }

    #[test]
    fn files_are_opened_where_there_are_volumes_and_written_where_one_is_writable() {
        let folder = File::open("/").unwrap();
        let with = |access| {
            let places = vec![Place { folder: folder.as_fd(), access }];
            Plan { places, ..Plan::new(Role::Runner) }
        };
        for (plan, opens, writes) in [
            (Plan::new(Role::Runner), false, false),
            (with(Access::Read), true, false),
            (with(Access::Write), true, true),
        ] {
            assert_eq!(is_allowed(&plan, libc::SYS_openat), opens);
            for call in [libc::SYS_utimensat, libc::SYS_unlinkat, libc::SYS_renameat2, libc::SYS_ftruncate] {
                assert_eq!(is_allowed(&plan, call), writes);
            }
        }
    }
}
