//! Files that were never given: those of the system, of other processes, and beside the volumes.

use crate::attempt::{Attempt, Done, Refusal};
use crate::call::{call, create, open, open_at, read};
use crate::machine;
use crate::scene::Scene;
use libc::{AT_FDCWD, O_APPEND, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR, O_WRONLY};
use std::ffi::CStr;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("read-etc-passwd", |_| read_some(c"/etc/passwd")),
    Attempt::new("read-etc-shadow", |_| read_some(c"/etc/shadow")),
    Attempt::new("read-etc-passwd-by-a-path-descriptor", by_path_descriptor),
    Attempt::new("read-etc-passwd-by-openat2", by_openat2),
    Attempt::new("read-environment-of-process-1", |_| read_some(c"/proc/1/environ")),
    Attempt::new("read-environment-of-parent", |scene| read_some(&scene.of_parent("environ"))),
    Attempt::new("read-own-memory-file", own_memory),
    Attempt::new("read-memory-file-of-parent", memory_of_parent),
    Attempt::new("list-root", |_| list(c"/")),
    Attempt::new("list-processes", |_| list(c"/proc")),
    Attempt::new("read-outside", |scene| read_secret(scene, &open(&scene.outside("secret"), O_RDONLY)?)),
    Attempt::new("append-outside", |scene| append(&scene.outside("file"))),
    Attempt::new("create-outside", |scene| create(&scene.outside("created")).map(|_| made())),
    Attempt::new("create-in-tmp", in_tmp),
    Attempt::new("mkdir-outside", |scene| call!(SYS_mkdirat, AT_FDCWD, &scene.outside("made"), 0o700).map(|_| made())),
    Attempt::new("unlink-outside", |scene| {
        call!(SYS_unlinkat, AT_FDCWD, &scene.outside("unlink"), 0).map(|_| "removed".to_string())
    }),
    Attempt::new("truncate-outside", |scene| {
        call!(SYS_truncate, &scene.outside("truncate"), 1).map(|_| "truncated".to_string())
    }),
    Attempt::new("symlink-outside", |scene| {
        call!(SYS_symlinkat, c"/", AT_FDCWD, &scene.outside("symlink")).map(|_| made())
    }),
    Attempt::new("chmod-outside", |scene| {
        call!(SYS_fchmodat, AT_FDCWD, &scene.outside("file"), 0o666).map(|_| "changed".to_string())
    }),
    Attempt::new("write-who-handles-core-dumps", |_| opened_for_writing(c"/proc/sys/kernel/core_pattern")),
    Attempt::new("write-to-the-kernel-log", |_| opened_for_writing(c"/dev/kmsg")),
    Attempt::new("open-the-terminal-multiplexer", |_| open(c"/dev/ptmx", O_RDWR).map(|_| "opened".to_string())),
];

/// Reads from a path until something was read.
fn read_some(path: &CStr) -> Done {
    let file = open(path, O_RDONLY)?;
    let mut buffer = [0; 512];
    match read(file.number(), &mut buffer)? {
        0 => Err(Refusal::no_effect("read nothing")),
        length => Ok(format!("read {length} bytes")),
    }
}

/// Reads the file that no volume holds, by whatever descriptor.
pub(crate) fn read_secret(scene: &Scene, file: &crate::call::Fd) -> Done {
    read_secret_at(scene, file.number())
}

pub(crate) fn read_secret_at(scene: &Scene, descriptor: i32) -> Done {
    let mut buffer = [0; 512];
    let length = call!(SYS_pread64, descriptor, buffer.as_mut_ptr(), buffer.len(), 0)?;
    match buffer.get(..length) == Some(scene.secret.as_bytes()) {
        true => Ok("read the secret".to_string()),
        false => Err(Refusal::no_effect("read something else")),
    }
}

pub(crate) fn append(path: &CStr) -> Done {
    let file = open(path, O_WRONLY | O_APPEND)?;
    crate::call::write(file.number(), b"x").map(|_| "wrote".to_string())
}

pub(crate) fn made() -> String {
    "made it".to_string()
}

pub(crate) fn opened_for_writing(path: &CStr) -> Done {
    open(path, O_WRONLY).map(|_| "opened for writing".to_string())
}

pub(crate) fn list(path: &CStr) -> Done {
    let folder = open(path, O_RDONLY | O_DIRECTORY)?;
    let mut entries = [0_u8; 4096];
    match call!(SYS_getdents64, &folder, entries.as_mut_ptr(), entries.len())? {
        0 => Err(Refusal::no_effect("nothing in it")),
        _ => Ok("listed".to_string()),
    }
}

fn by_path_descriptor(_: &Scene) -> Done {
    let root = open(c"/", O_PATH | O_DIRECTORY)?;
    let passwd = open_at(root.number(), c"etc/passwd", O_RDONLY)?;
    let mut buffer = [0; 16];
    read(passwd.number(), &mut buffer).map(|length| format!("read {length} bytes"))
}

fn by_openat2(_: &Scene) -> Done {
    let how: [u64; 3] = [0, 0, 0];
    let passwd =
        call!(SYS_openat2, AT_FDCWD, c"/etc/passwd", how.as_ptr(), size_of_val(&how)).map(crate::call::Fd::new)?;
    let mut buffer = [0; 16];
    read(passwd.number(), &mut buffer).map(|length| format!("read {length} bytes"))
}

fn own_memory(_: &Scene) -> Done {
    let memory = open(c"/proc/self/mem", O_RDONLY)?;
    let mut byte = 0_u8;
    call!(SYS_pread64, &memory, &raw mut byte, 1, machine::constant())?;
    if byte == machine::constant_now() {
        Ok("read a byte of its own".to_string())
    } else {
        Err(Refusal::no_effect("read something else"))
    }
}

fn memory_of_parent(scene: &Scene) -> Done {
    let memory = open(&scene.of_parent("mem"), O_RDONLY)?;
    let mut bytes = [0_u8; 4];
    call!(SYS_pread64, &memory, bytes.as_mut_ptr(), bytes.len(), scene.readable)?;
    crate::parent::is_elf(bytes)
}

/// A file in a folder that every process may write to.
fn in_tmp(_: &Scene) -> Done {
    let path = crate::scene::text(&format!("/tmp/cord-escape-{}", std::process::id()));
    drop(create(&path)?);
    let _ = call!(SYS_unlinkat, AT_FDCWD, &path, 0);
    Ok(made())
}
