//! Processes and programs: new ones by every call that makes one.

use crate::attempt::{Attempt, Done};
use crate::call::{Fd, call, open, read, write};
use crate::child::{self, become_shell};
use crate::machine;
use crate::scene::Scene;
use libc::{AT_EMPTY_PATH, AT_FDCWD, O_RDONLY, SIGCHLD};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("fork", |_| child::within(|| Ok(())).map(|()| made())),
    Attempt::new("vfork", |_| machine::vfork_and_end().and_then(ended)),
    Attempt::new("clone3", clone3),
    Attempt::new("clone-a-sibling", |_| {
        // The parent gets a child that it never made, and is told when it ends.
        match call!(SYS_clone, libc::CLONE_PARENT, 0, 0, 0, 0)? {
            0 => loop {
                let _ = call!(SYS_exit_group, 0);
            },
            _ => Ok(made()),
        }
    }),
    Attempt::new("exec-a-shell", |_| become_shell(|words, none| call!(SYS_execve, c"/bin/sh", words, none))),
    Attempt::new("execveat-a-shell", |_| {
        become_shell(|words, none| call!(SYS_execveat, AT_FDCWD, c"/bin/sh", words, none, 0))
    }),
    Attempt::new("exec-from-rw", |scene| {
        become_shell(|words, none| call!(SYS_execve, &scene.rw("program"), words, none))
    }),
    Attempt::new("exec-from-memory", from_memory),
    Attempt::new("ptrace-me", |_| {
        const TRACEME: i32 = 0;
        // In a process of its own, if possible: a tracer would hold this one at every signal.
        child::within_if_possible(|| call!(SYS_ptrace, TRACEME, 0, 0, 0).map(|_| ())).map(|()| "traced".to_string())
    }),
    Attempt::new("become-a-tracer-of-a-process-of-its-own", trace_child),
];

fn made() -> String {
    "made a process".to_string()
}

fn ended(process: i32) -> Done {
    child::wait(process).map(|_| made())
}

fn clone3(_: &Scene) -> Done {
    // Flags, pidfd, child_tid, parent_tid, and then the signal at its end.
    let arguments = [0, 0, 0, 0, u64::from(SIGCHLD.unsigned_abs()), 0, 0, 0];
    match call!(SYS_clone3, arguments.as_ptr(), size_of_val(&arguments))? {
        0 => loop {
            let _ = call!(SYS_exit_group, 0);
        },
        process => ended(i32::try_from(process).unwrap_or_default()),
    }
}

/// A program that lies in no folder: the copy of a shell in a file of memory.
fn from_memory(scene: &Scene) -> Done {
    let file = call!(SYS_memfd_create, c"program", libc::MFD_CLOEXEC).map(Fd::new)?;
    let program = open(&scene.rw("program"), O_RDONLY)?;
    let mut buffer = vec![0; 64 * 1024];
    while let length @ 1.. = read(program.number(), &mut buffer)? {
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let written @ 1.. = write(file.number(), rest)? {
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    become_shell(|words, none| call!(SYS_execveat, &file, c"", words, none, AT_EMPTY_PATH))
}

/// A tracer can make its tracee do calls that no filter sees, on kernels before 4.8.
fn trace_child(_: &Scene) -> Done {
    const SEIZE: i32 = 0x4206;
    let (hold, held) = crate::call::pair(libc::SOCK_STREAM)?;
    let process = child::start(|| read(held.number(), &mut [0]).map(|_| ()))?;
    let traced = call!(SYS_ptrace, SEIZE, process, 0, 0);
    let _ = write(hold.number(), b"x");
    child::wait(process)?;
    traced.map(|_| "traced".to_string())
}
