//! Getting privileges back, or loosening what was tightened: users, groups, capabilities, limits, core dumps.

use crate::attempt::{Attempt, Done, Refusal};
use crate::call::{call, open, read};
use crate::child::{self, Words};
use crate::machine::{self, Mapping};
use crate::scene::{Scene, text};
use libc::{O_RDONLY, PROT_READ, PROT_WRITE};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("become-another-user", |_| {
        // The saved number only, and back: enough to show the right to it.
        let (own, other) = own_and_other(call!(SYS_getuid)?);
        call!(SYS_setresuid, -1, -1, other)?;
        call!(SYS_setresuid, -1, -1, own).map(|_| format!("could be user {other}"))
    }),
    Attempt::new("become-another-group", |_| {
        let (own, other) = own_and_other(call!(SYS_getgid)?);
        call!(SYS_setresgid, -1, -1, other)?;
        call!(SYS_setresgid, -1, -1, own).map(|_| format!("could be in group {other}"))
    }),
    Attempt::new("set-groups", |_| {
        let mut groups = [0_u32; 64];
        let count = call!(SYS_getgroups, groups.len(), groups.as_mut_ptr())?;
        call!(SYS_setgroups, count, groups.as_ptr()).map(|_| "set them to what they were".to_string())
    }),
    Attempt::new("take-a-capability", administration),
    Attempt::new("keep-a-capability-over-exec", ambient),
    Attempt::new("set-securebits", |_| {
        let bits = call!(SYS_prctl, libc::PR_GET_SECUREBITS)?;
        call!(SYS_prctl, libc::PR_SET_SECUREBITS, bits, 0, 0, 0).map(|_| "set them to what they were".to_string())
    }),
    Attempt::new("allow-new-privileges", |_| {
        call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0).map(|_| "allowed".to_string())
    }),
    Attempt::new("regain-capabilities-by-exec", regain_by_exec),
    Attempt::new("exec-a-setuid-program", setuid),
    Attempt::new("become-dumpable", |_| {
        let before = call!(SYS_prctl, libc::PR_GET_DUMPABLE)?;
        call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)?;
        let now = call!(SYS_prctl, libc::PR_GET_DUMPABLE)?;
        let _ = call!(SYS_prctl, libc::PR_SET_DUMPABLE, before, 0, 0, 0);
        if now == 1 { Ok("can be dumped".to_string()) } else { Err(Refusal::no_effect("it is not")) }
    }),
    Attempt::new("allow-any-tracer", |_| {
        call!(SYS_prctl, libc::PR_SET_PTRACER, -1, 0, 0, 0).map(|_| "allowed".to_string())
    }),
    Attempt::new("read-memory-of-a-neighbour", neighbour),
    Attempt::new("raise-a-hard-limit", |_| {
        let [soft, hard] = limit(libc::RLIMIT_MSGQUEUE)?;
        let more = hard.checked_add(1).filter(|_| hard != u64::MAX);
        let more = more.ok_or(Refusal::no_effect("there is no limit"))?;
        set_limit(libc::RLIMIT_MSGQUEUE, [soft, more])?;
        set_limit(libc::RLIMIT_MSGQUEUE, [soft, hard]).map(|()| "raised it".to_string())
    }),
    Attempt::new("allow-core-dumps", |_| {
        let before = limit(libc::RLIMIT_CORE)?;
        let [_, hard] = before;
        set_limit(libc::RLIMIT_CORE, [4096, hard.max(4096)])?;
        let _ = set_limit(libc::RLIMIT_CORE, before);
        Ok("allowed".to_string())
    }),
    Attempt::new("leave-a-core-dump", core_dump),
    Attempt::new("lock-memory", |_| {
        let page = Mapping::anonymous(PROT_READ | PROT_WRITE)?;
        call!(SYS_mlock, page.start(), machine::PAGE).map(|_| "locked".to_string())
    }),
    Attempt::new("run-before-everybody", |_| {
        const NICE: i32 = -20;
        let told = call!(SYS_getpriority, libc::PRIO_PROCESS, 0)?;
        call!(SYS_setpriority, libc::PRIO_PROCESS, 0, NICE)?;
        let before = 20 - i64::try_from(told).unwrap_or_default();
        call!(SYS_setpriority, libc::PRIO_PROCESS, 0, before).map(|_| "did so".to_string())
    }),
    Attempt::new("run-in-real-time", |_| {
        let (first, usual) = (1_i32, 0_i32);
        call!(SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const first)?;
        call!(SYS_sched_setscheduler, 0, libc::SCHED_OTHER, &raw const usual).map(|_| "did so".to_string())
    }),
    Attempt::new("write-before-everybody", |_| {
        const WHO_PROCESS: i32 = 1;
        const REAL_TIME: i32 = 1 << 13;
        call!(SYS_ioprio_set, WHO_PROCESS, 0, REAL_TIME)?;
        call!(SYS_ioprio_set, WHO_PROCESS, 0, 0).map(|_| "did so".to_string())
    }),
];

/// The user (or group) that owns nothing.
const NOBODY: usize = 65_534;

/// This user, and one that it is not: root, if it is not root.
fn own_and_other(own: usize) -> (usize, usize) {
    (own, if own == 0 { NOBODY } else { 0 })
}

/// What `capget` and `capset` want: a version and a process (0 is this one).
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// Effective, permitted and inheritable capabilities, the lower 32 of each and then the upper ones.
type Capabilities = [u32; 6];

const NONE: Capabilities = [0; 6];

fn capabilities() -> Result<Capabilities, Refusal> {
    let mut told = NONE;
    call!(SYS_capget, HEADER.as_ptr(), told.as_mut_ptr())?;
    Ok(told)
}

fn set_capabilities(wanted: &Capabilities) -> Result<(), Refusal> {
    call!(SYS_capset, HEADER.as_ptr(), wanted.as_ptr()).map(|_| ())
}

/// The one capability that is nearly all of root.
fn administration(_: &Scene) -> Done {
    const ADMINISTRATION: u32 = 1 << 21;
    let before = capabilities()?;
    let mut wanted = before;
    wanted.iter_mut().take(2).for_each(|set| *set |= ADMINISTRATION);
    set_capabilities(&wanted)?;
    let [now, ..] = capabilities()?;
    let _ = set_capabilities(&before);
    match now & ADMINISTRATION {
        0 => Err(Refusal::no_effect(format!("{now:x}"))),
        _ => Ok("may administrate the system".to_string()),
    }
}

/// A capability that a program started from here would have, whoever it runs as.
fn ambient(_: &Scene) -> Done {
    const OVERRIDE: u32 = 1;
    let before = capabilities()?;
    let mut wanted = before;
    wanted[2] |= 1 << OVERRIDE;
    set_capabilities(&wanted)?;
    let raised = call!(SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, OVERRIDE, 0, 0);
    let _ = call!(SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_LOWER, OVERRIDE, 0, 0);
    let _ = set_capabilities(&before);
    raised.map(|_| "would keep it".to_string())
}

/// A process of user 0 without capabilities gets them back when it starts a program, unless that is forbidden.
fn regain_by_exec(_: &Scene) -> Done {
    const TELL: &str =
        "while read -r name value; do [ \"$name\" = CapEff: ] && echo \"$value\"; done </proc/self/status";
    let tell = text(TELL);
    let exec = |words: Words, none: Words| call!(SYS_execve, c"/bin/sh", words, none);
    let (process, told) = child::output(&[c"sh", c"-c", &tell], || set_capabilities(&NONE), exec)?;
    child::outcome(process).or_else(|refusal| if told.is_empty() { Err(refusal) } else { Ok(()) })?;
    match u64::from_str_radix(&told, 16) {
        Ok(0) => Err(Refusal::no_effect("had none")),
        Ok(_) => Ok(format!("had {told}")),
        Err(_) => Err(Refusal::no_effect("was not told")),
    }
}

/// A process of an ordinary user that starts a program of root's with the mark setuid.
fn setuid(scene: &Scene) -> Done {
    let program = scene.setuid();
    let exec = |words: Words, none: Words| call!(SYS_execve, &program, words, none);
    let ordinary = || match call!(SYS_getuid)? {
        0 => call!(SYS_setresuid, NOBODY, NOBODY, NOBODY).map(|_| ()),
        _ => Ok(()),
    };
    let (process, _) = child::output(&[&program, c"--version"], ordinary, exec)?;
    // Ended and not waited for, it still tells who it was.
    let mut information = [0_u64; 16];
    let how = libc::WEXITED | libc::WNOWAIT;
    call!(SYS_waitid, libc::P_PID, process, information.as_mut_ptr(), how, 0)?;
    let status = status(process);
    child::outcome(process).or_else(|refusal| match refusal {
        // What the program makes of its arguments does not matter here.
        Refusal::Errno(_) if status.is_ok() => Ok(()),
        refusal => Err(refusal),
    })?;
    let status = status?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    // The real one comes first, and the effective one next.
    match users.split_whitespace().nth(1).unwrap_or("nobody") {
        "0" => Ok("was root".to_string()),
        other => Err(Refusal::no_effect(format!("was {other}"))),
    }
}

fn status(process: i32) -> Result<String, Refusal> {
    let file = open(&text(&format!("/proc/{process}/status")), O_RDONLY)?;
    let mut buffer = [0; 4096];
    let length = read(file.number(), &mut buffer)?;
    Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
}

/// Two processes of this user without capabilities, as two runners are: the one reads the other's memory.
fn neighbour(_: &Scene) -> Done {
    child::within(|| {
        set_capabilities(&NONE)?;
        let memory = text(&format!("/proc/{}/mem", std::process::id()));
        child::within(|| {
            let memory = open(&memory, O_RDONLY)?;
            let mut byte = 0_u8;
            call!(SYS_pread64, &memory, &raw mut byte, 1, machine::constant())?;
            if byte == machine::constant_now() { Ok(()) } else { Err(Refusal::no_effect("")) }
        })
    })
    .map(|()| "read it".to_string())
}

fn limit(resource: libc::__rlimit_resource_t) -> Result<[u64; 2], Refusal> {
    let mut limit = [0_u64; 2];
    call!(SYS_prlimit64, 0, resource, 0, limit.as_mut_ptr())?;
    Ok(limit)
}

fn set_limit(resource: libc::__rlimit_resource_t, limit: [u64; 2]) -> Result<(), Refusal> {
    call!(SYS_prlimit64, 0, resource, limit.as_ptr(), 0).map(|_| ())
}

/// What a process had in memory, on a disk.
fn core_dump(_: &Scene) -> Done {
    const DUMPED: i32 = 0x80;
    let process = child::start(|| {
        let [_, hard] = limit(libc::RLIMIT_CORE)?;
        set_limit(libc::RLIMIT_CORE, [hard, hard])?;
        // The one signal with a core that nothing here handles.
        call!(SYS_kill, std::process::id(), libc::SIGQUIT).map(|_| ())
    })?;
    let status = child::wait(process)?;
    match status & DUMPED {
        0 => Err(Refusal::no_effect(format!("ended with {status:#x}, and left none"))),
        _ => Ok("left one".to_string()),
    }
}
