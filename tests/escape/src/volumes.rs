//! Volumes: out of a writable one, and any change in a read-only one.

use crate::attempt::{Attempt, Done, Refusal};
use crate::call::{Fd, call, create, open, open_at, status};
use crate::files::{append, made, opened_for_writing, read_secret};
use crate::scene::{Scene, text};
use libc::{AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY, S_IFCHR, S_IFIFO};
use std::ffi::CStr;

/// The files that a test puts into each of the three folders of a scene. Each attempt that changes one has its own.
///
/// Besides, `rw/program` is a copy of `/bin/sh`, `rw/out` and `outside/out` are symbolic links to
/// `outside/secret`, and there is an empty folder
/// `folder` in each.
pub const PREPARED: &[&str] = &["file", "truncate", "cut", "unlink", "rename", "exchange", "link", "taken", "mode"];

pub(crate) const ATTEMPTS: &[Attempt] = &[
    // Out of the writable one.
    Attempt::new("follow-a-symlink-out", |scene| read_secret(scene, &open(&scene.rw("out"), O_RDONLY)?)),
    Attempt::new("make-and-follow-a-symlink-out", own_symlink),
    Attempt::new("dots-out-of-a-volume", |scene| read_secret(scene, &open(&scene.rw("../outside/secret"), O_RDONLY)?)),
    Attempt::new("dots-out-of-an-open-folder", dots_from_descriptor),
    Attempt::new("rename-rw-to-outside", |scene| rename(&scene.rw("rename"), &scene.outside("renamed"))),
    Attempt::new("link-rw-to-outside", |scene| link(&scene.rw("link"), &scene.outside("linked"))),
    Attempt::new("rename-outside-to-rw", |scene| rename(&scene.outside("rename"), &scene.rw("renamed-from-outside"))),
    Attempt::new("link-outside-to-rw", link_in),
    Attempt::new("rename-rw-to-ro", |scene| rename(&scene.rw("taken"), &scene.ro("renamed-from-rw"))),
    Attempt::new("link-rw-to-ro", |scene| link(&scene.rw("link"), &scene.ro("linked-from-rw"))),
    Attempt::new("rename-ro-to-rw", |scene| rename(&scene.ro("taken"), &scene.rw("renamed-from-ro"))),
    Attempt::new("link-ro-to-rw-and-write", link_and_write),
    Attempt::new("make-a-device-in-rw", |scene| mknod(&scene.rw("null"), S_IFCHR | 0o666, libc::makedev(1, 3))),
    Attempt::new("leave-a-device-by-renaming-in-rw", |scene| {
        // What overlay file systems take for "removed": a device of no number.
        let (from, to) = (scene.rw("exchange"), scene.rw("exchanged"));
        call!(SYS_renameat2, AT_FDCWD, &from, AT_FDCWD, &to, libc::RENAME_WHITEOUT).map(|_| made())
    }),
    Attempt::new("chmod-setuid-in-rw", |scene| chmod(&scene.rw("mode"), 0o4755)),
    Attempt::new("create-setuid-program-in-rw", setuid_program),
    // In the read-only one.
    Attempt::new("ro-open-for-writing", |scene| append(&scene.ro("file"))),
    Attempt::new("ro-open-truncating", open_truncating),
    Attempt::new("ro-truncate", |scene| call!(SYS_truncate, &scene.ro("cut"), 1).map(|_| "truncated".to_string())),
    Attempt::new("ro-create", |scene| create(&scene.ro("created")).map(|_| made())),
    Attempt::new("ro-unnamed-file", |scene| open(&scene.ro("."), O_TMPFILE | O_RDWR).map(|_| made())),
    Attempt::new("ro-mkdir", |scene| call!(SYS_mkdirat, AT_FDCWD, &scene.ro("made"), 0o700).map(|_| made())),
    Attempt::new("ro-rmdir", |scene| unlink(&scene.ro("folder"), libc::AT_REMOVEDIR)),
    Attempt::new("ro-unlink", |scene| unlink(&scene.ro("unlink"), 0)),
    Attempt::new("ro-rename", |scene| rename(&scene.ro("rename"), &scene.ro("renamed"))),
    Attempt::new("ro-exchange", exchange),
    Attempt::new("ro-link", |scene| link(&scene.ro("link"), &scene.ro("linked"))),
    Attempt::new("ro-symlink", |scene| call!(SYS_symlinkat, c"/", AT_FDCWD, &scene.ro("symlink")).map(|_| made())),
    Attempt::new("ro-make-a-fifo", |scene| mknod(&scene.ro("fifo"), S_IFIFO | 0o600, 0)),
    Attempt::new("ro-chmod", |scene| chmod(&scene.ro("mode"), 0o666)),
    Attempt::new("ro-chmod-by-descriptor", |scene| {
        let file = open(&scene.ro("mode"), O_RDONLY)?;
        call!(SYS_fchmod, &file, 0o644).map(|_| "changed".to_string())
    }),
    Attempt::new("ro-chown", |scene| {
        let group = call!(SYS_getgid)?;
        call!(SYS_fchownat, AT_FDCWD, &scene.ro("file"), -1, group, 0).map(|_| "changed".to_string())
    }),
    Attempt::new("ro-set-attribute", |scene| {
        let value = b"set";
        call!(SYS_setxattr, &scene.ro("file"), c"user.cord", value.as_ptr(), value.len(), 0).map(|_| "set".to_string())
    }),
    Attempt::new("ro-set-flags", set_flags),
    Attempt::new("ro-lock", |scene| {
        let file = open(&scene.ro("file"), O_RDONLY)?;
        call!(SYS_flock, &file, libc::LOCK_EX | libc::LOCK_NB).map(|_| "locked".to_string())
    }),
    Attempt::new("ro-reopen-by-proc", reopen),
];

fn rename(from: &CStr, to: &CStr) -> Done {
    call!(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0).map(|_| "renamed".to_string())
}

fn link(from: &CStr, to: &CStr) -> Done {
    call!(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0).map(|_| "linked".to_string())
}

fn unlink(path: &CStr, flags: i32) -> Done {
    call!(SYS_unlinkat, AT_FDCWD, path, flags).map(|_| "removed".to_string())
}

fn chmod(path: &CStr, mode: u32) -> Done {
    call!(SYS_fchmodat, AT_FDCWD, path, mode).map(|_| "changed".to_string())
}

fn mknod(path: &CStr, mode: u32, device: u64) -> Done {
    call!(SYS_mknodat, AT_FDCWD, path, mode, device).map(|_| made())
}

fn own_symlink(scene: &Scene) -> Done {
    let path = scene.rw("own-out");
    call!(SYS_symlinkat, &scene.outside("secret"), AT_FDCWD, &path)?;
    read_secret(scene, &open(&path, O_RDONLY)?)
}

fn dots_from_descriptor(scene: &Scene) -> Done {
    let volume = open(&scene.rw("."), O_RDONLY | O_DIRECTORY)?;
    read_secret(scene, &open_at(volume.number(), c"../outside/secret", O_RDONLY)?)
}

fn link_in(scene: &Scene) -> Done {
    let path = scene.rw("linked-from-outside");
    link(&scene.outside("secret"), &path)?;
    read_secret(scene, &open(&path, O_RDONLY)?)
}

fn link_and_write(scene: &Scene) -> Done {
    let path = scene.rw("linked-from-ro");
    link(&scene.ro("link"), &path)?;
    append(&path)
}

fn exchange(scene: &Scene) -> Done {
    let (one, other) = (scene.ro("file"), scene.ro("exchange"));
    call!(SYS_renameat2, AT_FDCWD, &one, AT_FDCWD, &other, libc::RENAME_EXCHANGE).map(|_| "exchanged".to_string())
}

/// A program that whoever starts it runs as this user. The kernel takes the mark off when the file is written to, so the
/// content goes in by a mapping, for which the file must have a length first.
fn setuid_program(scene: &Scene) -> Done {
    let path = scene.rw("setuid");
    let file = call!(SYS_openat, AT_FDCWD, &path, O_CREAT | O_EXCL | O_RDWR, 0o4755).map(Fd::new)?;
    call!(SYS_ftruncate, &file, 4096)?;
    let libc::stat { st_mode: mode, st_size: length, .. } = status(file.number())?;
    if mode & libc::S_ISUID != 0 && length > 0 {
        Ok("made a setuid file with a length".to_string())
    } else {
        Err(Refusal::no_effect(format!("mode {mode:o}, {length} bytes")))
    }
}

fn open_truncating(scene: &Scene) -> Done {
    let file = open(&scene.ro("truncate"), O_RDONLY | O_TRUNC)?;
    match status(file.number())?.st_size {
        0 => Ok("emptied".to_string()),
        length => Err(Refusal::no_effect(format!("still {length} bytes"))),
    }
}

/// The flags of ext4 and its like: a file that cannot be changed any more, or is not saved.
fn set_flags(scene: &Scene) -> Done {
    const GET: u32 = 0x8008_6601;
    const SET: u32 = 0x4008_6602;
    const NOT_SAVED: i32 = 0x40;
    let file = open(&scene.ro("file"), O_RDONLY)?;
    let mut flags = 0_i32;
    call!(SYS_ioctl, &file, GET, &raw mut flags)?;
    flags ^= NOT_SAVED;
    call!(SYS_ioctl, &file, SET, &raw mut flags).map(|_| "set".to_string())
}

/// A descriptor that can only be read by, opened anew by its name in `/proc`.
fn reopen(scene: &Scene) -> Done {
    let file = open(&scene.ro("file"), O_RDONLY)?;
    let own = text(&format!("/proc/self/fd/{}", file.number()));
    opened_for_writing(&own).and_then(|_| {
        let file = open(&own, O_WRONLY)?;
        call!(SYS_pwrite64, &file, b"x".as_ptr(), 1, 0).map(|_| "wrote".to_string())
    })
}
