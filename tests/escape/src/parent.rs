//! The process that started the runner, of the same user: signals to it, its memory, its descriptors, how it runs.

use crate::attempt::{Attempt, Done, Refusal, beyond_permission};
use crate::call::{Fd, call};
use crate::scene::Scene;
use libc::SIGCONT;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("signal-0-to-parent", |scene| call!(SYS_kill, scene.parent, 0).map(|_| signalled())),
    Attempt::new("signal-parent", |scene| call!(SYS_kill, scene.parent, SIGCONT).map(|_| signalled())),
    Attempt::new("signal-parent-by-tkill", |scene| call!(SYS_tkill, scene.parent, SIGCONT).map(|_| signalled())),
    Attempt::new("signal-parent-by-tgkill", |scene| {
        call!(SYS_tgkill, scene.parent, scene.parent, SIGCONT).map(|_| signalled())
    }),
    Attempt::new("signal-parent-by-queue", |scene| {
        let information = Information::of(SIGCONT);
        call!(SYS_rt_sigqueueinfo, scene.parent, SIGCONT, &raw const information).map(|_| signalled())
    }),
    Attempt::new("signal-parent-by-thread-queue", |scene| {
        let information = Information::of(SIGCONT);
        call!(SYS_rt_tgsigqueueinfo, scene.parent, scene.parent, SIGCONT, &raw const information).map(|_| signalled())
    }),
    Attempt::new("signal-parent-by-pidfd", |scene| {
        call!(SYS_pidfd_send_signal, &pidfd(scene)?, SIGCONT, 0, 0).map(|_| signalled())
    }),
    Attempt::new("signal-0-to-process-1", |_| call!(SYS_kill, 1, 0).map(|_| signalled())),
    Attempt::new("watch-parent-by-pidfd", |scene| pidfd(scene).map(|_| "got a descriptor of it".to_string())),
    Attempt::new("ptrace-parent", trace),
    Attempt::new("ptrace-seize-parent", seize),
    Attempt::new("read-memory-of-parent", read_memory),
    Attempt::new("write-memory-of-parent", write_memory),
    Attempt::new("advise-memory-of-parent", |scene| {
        const MADV_COLD: i32 = 20;
        let part = libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(scene.readable & !0xfff), iov_len: 0 };
        call!(SYS_process_madvise, &pidfd(scene)?, &raw const part, 1, MADV_COLD, 0).map(|_| "advised".to_string())
    }),
    Attempt::new("move-memory-of-parent", |scene| {
        call!(SYS_move_pages, scene.parent, 0, 0, 0, 0, 0).map(|_| "asked".to_string())
    }),
    Attempt::new("compare-with-parent", |scene| {
        const KCMP_VM: i32 = 1;
        call!(SYS_kcmp, scene.parent, own(), KCMP_VM, 0, 0).map(|_| "compared".to_string())
    }),
    Attempt::new("locks-of-parent", |scene| {
        let (mut head, mut length) = (0_usize, 0_usize);
        call!(SYS_get_robust_list, scene.parent, &raw mut head, &raw mut length)
            .map(|_| "got their address".to_string())
    }),
    Attempt::new("limits-of-parent", |scene| {
        let mut limit = [0_u64; 2];
        call!(SYS_prlimit64, scene.parent, libc::RLIMIT_CORE, 0, limit.as_mut_ptr())?;
        call!(SYS_prlimit64, scene.parent, libc::RLIMIT_CORE, limit.as_ptr(), 0).map(|_| set())
    }),
    Attempt::new("processors-of-parent", |scene| {
        let mut processors = [0_u64; 16];
        let length = call!(SYS_sched_getaffinity, scene.parent, size_of_val(&processors), processors.as_mut_ptr())?;
        call!(SYS_sched_setaffinity, scene.parent, length, processors.as_ptr()).map(|_| set())
    }),
    Attempt::new("scheduling-of-parent", |scene| {
        let mut attributes = [0_u64; 7];
        let length = size_of_val(&attributes);
        call!(SYS_sched_getattr, scene.parent, attributes.as_mut_ptr(), length, 0)?;
        call!(SYS_sched_setattr, scene.parent, attributes.as_ptr(), 0).map(|_| set())
    }),
    Attempt::new("priority-of-parent", |scene| {
        // The kernel tells 20 less the value, so that it is never negative.
        let told = call!(SYS_getpriority, libc::PRIO_PROCESS, scene.parent)?;
        let priority = 20 - i64::try_from(told).unwrap_or_default();
        call!(SYS_setpriority, libc::PRIO_PROCESS, scene.parent, priority).map(|_| set())
    }),
    Attempt::new("disk-priority-of-parent", |scene| {
        const WHO_PROCESS: i32 = 1;
        let priority = call!(SYS_ioprio_get, WHO_PROCESS, scene.parent)?;
        call!(SYS_ioprio_set, WHO_PROCESS, scene.parent, priority).map(|_| set())
    }),
    Attempt::new("join-a-namespace-of-parent", |scene| {
        call!(SYS_setns, &pidfd(scene)?, libc::CLONE_NEWUTS).map(|_| "joined".to_string())
    }),
    Attempt::new("join-the-user-namespace-of-parent", |scene| {
        // The same as its own, which the kernel refuses in any case, and with which answer says when.
        beyond_permission(call!(SYS_setns, &pidfd(scene)?, libc::CLONE_NEWUSER), &[libc::EINVAL])
    }),
];

fn signalled() -> String {
    "signalled".to_string()
}

fn set() -> String {
    "set to what it was".to_string()
}

fn own() -> i32 {
    std::process::id().cast_signed()
}

fn pidfd(scene: &Scene) -> Result<Fd, Refusal> {
    call!(SYS_pidfd_open, scene.parent, 0).map(Fd::new)
}

/// What comes with a queued signal, as long as the kernel reads.
#[repr(C)]
struct Information {
    signal: i32,
    errno: i32,
    code: i32,
    rest: [i32; 29],
}

impl Information {
    fn of(signal: i32) -> Self {
        const SI_QUEUE: i32 = -1;
        Self { signal, errno: 0, code: SI_QUEUE, rest: [0; 29] }
    }
}

const ATTACH: i32 = 16;
const DETACH: i32 = 17;
const SEIZE: i32 = 0x4206;
const INTERRUPT: i32 = 0x4207;

fn trace(scene: &Scene) -> Done {
    call!(SYS_ptrace, ATTACH, scene.parent, 0, 0)?;
    let_go(scene.parent)
}

fn seize(scene: &Scene) -> Done {
    call!(SYS_ptrace, SEIZE, scene.parent, 0, 0)?;
    call!(SYS_ptrace, INTERRUPT, scene.parent, 0, 0)?;
    let_go(scene.parent)
}

/// A tracee can be let go once it stands still.
fn let_go(process: i32) -> Done {
    crate::child::wait(process)?;
    call!(SYS_ptrace, DETACH, process, 0, 0).map(|_| "traced".to_string())
}

/// What every program's file begins with.
pub(crate) fn is_elf(bytes: [u8; 4]) -> Done {
    match &bytes {
        b"\x7fELF" => Ok("read where its program begins".to_string()),
        _ => Err(Refusal::no_effect("read something else")),
    }
}

fn part(address: usize, length: usize) -> libc::iovec {
    libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(address), iov_len: length }
}

fn read_memory(scene: &Scene) -> Done {
    let mut bytes = [0_u8; 4];
    let here = part(bytes.as_mut_ptr().expose_provenance(), bytes.len());
    let there = part(scene.readable, bytes.len());
    call!(SYS_process_vm_readv, scene.parent, &raw const here, 1, &raw const there, 1, 0)?;
    is_elf(bytes)
}

/// Writes what is there already.
fn write_memory(scene: &Scene) -> Done {
    let mut byte = 0_u8;
    let here = part((&raw mut byte).expose_provenance(), 1);
    let there = part(scene.writable, 1);
    call!(SYS_process_vm_readv, scene.parent, &raw const here, 1, &raw const there, 1, 0)?;
    call!(SYS_process_vm_writev, scene.parent, &raw const here, 1, &raw const there, 1, 0).map(|_| "wrote".to_string())
}
