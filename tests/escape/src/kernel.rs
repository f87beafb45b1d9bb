//! The kernel itself: its rarer calls, where its faults are, and what only an administrator may ask for.

use crate::attempt::{Attempt, Done, Refusal, beyond_permission};
use crate::call::{Fd, call, open};
use crate::files::read_secret;
use crate::scene::{Scene, text};
use libc::{AT_FDCWD, EBADF, EFAULT, EINVAL, ENOENT, ENOEXEC, ENOKEY, O_DIRECTORY, O_RDONLY};
use std::ffi::CString;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    // Calls with a history.
    Attempt::new("io-uring", |_| {
        let mut parameters = [0_u64; 15];
        call!(SYS_io_uring_setup, 4, parameters.as_mut_ptr()).map(got)
    }),
    Attempt::new("userfaultfd", |_| {
        const USER_MODE_ONLY: i32 = 1;
        call!(SYS_userfaultfd, libc::O_CLOEXEC | USER_MODE_ONLY).map(got)
    }),
    Attempt::new("bpf", |_| {
        // An array of one number.
        const MAP_CREATE: i32 = 0;
        let attributes: [u32; 8] = [2, 4, 4, 1, 0, 0, 0, 0];
        call!(SYS_bpf, MAP_CREATE, attributes.as_ptr(), size_of_val(&attributes)).map(got)
    }),
    Attempt::new("perf-event", |_| {
        // A clock of this process outside of the kernel.
        let mut attributes = [0_u64; 16];
        let [kind, _, _, _, _, flags, ..] = &mut attributes;
        (*kind, *flags) = (1 | 128 << 32, 1 | 1 << 5 | 1 << 6);
        call!(SYS_perf_event_open, attributes.as_ptr(), 0, -1, -1, 0).map(got)
    }),
    Attempt::new("memory-that-is-secret", |_| call!(SYS_memfd_secret, 0).map(got)),
    Attempt::new("add-a-key", |_| {
        const OF_PROCESS: i32 = -2;
        call!(SYS_add_key, c"user", c"cord-escape", b"x".as_ptr(), 1, OF_PROCESS).map(|_| "added".to_string())
    }),
    Attempt::new("find-keys", |_| {
        const GET_KEYRING: i32 = 0;
        const OF_SESSION: i32 = -3;
        beyond_permission(call!(SYS_keyctl, GET_KEYRING, OF_SESSION, 0, 0, 0), &[ENOKEY])
    }),
    Attempt::new("request-a-key", |_| {
        beyond_permission(call!(SYS_request_key, c"user", c"cord-escape-none", 0, 0), &[ENOKEY])
    }),
    Attempt::new("watch-etc", |_| {
        let watch = call!(SYS_inotify_init1, libc::IN_CLOEXEC).map(Fd::new)?;
        call!(SYS_inotify_add_watch, &watch, c"/etc", libc::IN_CREATE).map(|_| "watches".to_string())
    }),
    Attempt::new("watch-etc-by-fanotify", |_| {
        const REPORT_FID: i32 = 0x200;
        const MARK_ADD: i32 = 1;
        const CREATE: u64 = 0x100;
        let watch = call!(SYS_fanotify_init, REPORT_FID, 0).map(Fd::new)?;
        call!(SYS_fanotify_mark, &watch, MARK_ADD, CREATE, AT_FDCWD, c"/etc").map(|_| "watches".to_string())
    }),
    Attempt::new("handle-of-a-file-outside", |scene| handle(scene).map(|_| "got one".to_string())),
    Attempt::new("open-by-handle", |scene| {
        let mut handle = handle(scene)?;
        let volume = open(&scene.rw("."), O_RDONLY | O_DIRECTORY)?;
        let file = call!(SYS_open_by_handle_at, &volume, handle.as_mut_ptr(), O_RDONLY).map(Fd::new)?;
        read_secret(scene, &file)
    }),
    Attempt::new("shared-memory", |_| {
        let segment = call!(SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600)?;
        call!(SYS_shmctl, segment, libc::IPC_RMID, 0).map(|_| made())
    }),
    Attempt::new("message-queue-of-system-v", |_| {
        let queue = call!(SYS_msgget, libc::IPC_PRIVATE, 0o600)?;
        call!(SYS_msgctl, queue, libc::IPC_RMID, 0).map(|_| made())
    }),
    Attempt::new("semaphore-of-system-v", |_| {
        let semaphore = call!(SYS_semget, libc::IPC_PRIVATE, 1, 0o600)?;
        call!(SYS_semctl, semaphore, 0, libc::IPC_RMID, 0).map(|_| made())
    }),
    Attempt::new("message-queue", |_| {
        let name = own_name();
        let queue = call!(SYS_mq_open, &name, libc::O_CREAT | libc::O_RDWR, 0o600, 0).map(Fd::new)?;
        let _ = call!(SYS_mq_unlink, &name);
        drop(queue);
        Ok(made())
    }),
    Attempt::new("quota", |_| {
        // For all file systems: writes what is known of quotas, and may be asked for by anybody.
        const SYNC: i32 = 0x80_0001 << 8;
        call!(SYS_quotactl, SYNC, 0, 0, 0).map(|_| "asked".to_string())
    }),
    Attempt::new("type-into-the-terminal", |_| {
        let byte = b' ';
        call!(SYS_ioctl, libc::STDIN_FILENO, libc::TIOCSTI, &raw const byte).map(|_| "typed".to_string())
    }),
    Attempt::new("read-the-kernel-log", |_| {
        const READ_ALL: i32 = 3;
        let mut text = [0_u8; 256];
        call!(SYS_syslog, READ_ALL, text.as_mut_ptr(), text.len()).map(|length| format!("read {length} bytes"))
    }),
    // What only an administrator may ask for, in a form that changes nothing.
    Attempt::new("load-a-module", |_| beyond_permission(call!(SYS_init_module, 0, 0, c""), &[ENOEXEC, EFAULT, EINVAL])),
    Attempt::new("load-a-module-from-a-file", |_| {
        beyond_permission(call!(SYS_finit_module, -1, c"", 0), &[EBADF, EINVAL, ENOEXEC])
    }),
    Attempt::new("unload-a-module", |_| {
        beyond_permission(call!(SYS_delete_module, c"no-such-module", libc::O_NONBLOCK), &[ENOENT])
    }),
    Attempt::new("load-another-kernel", |_| {
        const TOO_MANY_PARTS: u32 = u32::MAX;
        beyond_permission(call!(SYS_kexec_load, 0, TOO_MANY_PARTS, 0, 0), &[EINVAL])
    }),
    Attempt::new("restart", |_| beyond_permission(call!(SYS_reboot, 0, 0, 0, 0), &[EINVAL])),
    Attempt::new("swap-to-a-file", |scene| {
        beyond_permission(call!(SYS_swapon, &scene.rw("no-such-file"), 0), &[ENOENT])
    }),
    Attempt::new("account-to-a-file", |scene| beyond_permission(call!(SYS_acct, &scene.rw("no-such-file")), &[ENOENT])),
    Attempt::new("set-host-name", |_| {
        let (name, _) = names()?;
        call!(SYS_sethostname, &name, name.count_bytes()).map(|_| set())
    }),
    Attempt::new("set-domain-name", |_| {
        let (_, domain) = names()?;
        call!(SYS_setdomainname, &domain, domain.count_bytes()).map(|_| set())
    }),
    Attempt::new("set-time-zone-of-the-kernel", |_| {
        let mut zone = [0_i32; 2];
        call!(SYS_gettimeofday, 0, zone.as_mut_ptr())?;
        call!(SYS_settimeofday, 0, zone.as_ptr()).map(|_| set())
    }),
    Attempt::new("adjust-the-clock", adjust_clock),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("ports-of-the-machine", |_| {
        const DIAGNOSTICS: i32 = 0x80;
        call!(SYS_ioperm, DIAGNOSTICS, 1, 1)?;
        call!(SYS_ioperm, DIAGNOSTICS, 1, 0).map(|_| "could use them".to_string())
    }),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("privilege-level-of-the-machine", |_| {
        call!(SYS_iopl, 3)?;
        call!(SYS_iopl, 0).map(|_| "raised".to_string())
    }),
    #[cfg(target_arch = "x86_64")]
    Attempt::new("own-segments", |_| {
        const WRITE: i32 = 0x11;
        // Of no length, not to be written to, not there: an entry that is none.
        let entry: [u32; 4] = [0, 0, 0, 1 << 3 | 1 << 5];
        call!(SYS_modify_ldt, WRITE, entry.as_ptr(), size_of_val(&entry)).map(|_| set())
    }),
];

fn got(number: usize) -> String {
    drop(Fd::new(number));
    "got a descriptor".to_string()
}

fn made() -> String {
    "made".to_string()
}

fn set() -> String {
    "set to what it was".to_string()
}

fn own_name() -> CString {
    text(&format!("cord-escape-{}", std::process::id()))
}

/// How the kernel knows a file whatever its path: a length, a kind, and 128 bytes.
fn handle(scene: &Scene) -> Result<[u32; 34], Refusal> {
    let (mut handle, mut mount) = ([0_u32; 34], 0_i32);
    handle[0] = 128;
    call!(SYS_name_to_handle_at, AT_FDCWD, &scene.outside("secret"), handle.as_mut_ptr(), &raw mut mount, 0)?;
    Ok(handle)
}

/// The host's name and the domain's, as the kernel has them: six texts of 65 bytes.
fn names() -> Result<(CString, CString), Refusal> {
    const LENGTH: usize = 65;
    let mut all = [0_u8; 6 * LENGTH];
    call!(SYS_uname, all.as_mut_ptr())?;
    let nth = |number: usize| {
        let bytes = all.chunks(LENGTH).nth(number).unwrap_or_default();
        text(&String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()))
    };
    Ok((nth(1), nth(5)))
}

/// Sets how long a tick is to what it is.
fn adjust_clock(_: &Scene) -> Done {
    const TICK: u32 = 0x4000;
    let mut times = [0_u64; 26];
    call!(SYS_clock_adjtime, libc::CLOCK_REALTIME, times.as_mut_ptr())?;
    times[0] = u64::from(TICK);
    call!(SYS_clock_adjtime, libc::CLOCK_REALTIME, times.as_mut_ptr()).map(|_| set())
}
