//! Namespaces and mounts: worlds in which a process could have what it lacks in this one.

use crate::attempt::{Attempt, Done, beyond_permission};
use crate::call::{Fd, call, open};
use crate::child;
use crate::machine;
use crate::scene::Scene;
use libc::{
    AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS,
    O_DIRECTORY, O_RDONLY, SIGCHLD,
};

const CLONE_NEWTIME: i32 = 0x80;

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("unshare-users", |_| unshare(CLONE_NEWUSER)),
    Attempt::new("unshare-mounts", |_| unshare(CLONE_NEWNS)),
    Attempt::new("unshare-network", |_| unshare(CLONE_NEWNET)),
    Attempt::new("unshare-processes", |_| unshare(CLONE_NEWPID)),
    Attempt::new("unshare-ipc", |_| unshare(CLONE_NEWIPC)),
    Attempt::new("unshare-host-name", |_| unshare(CLONE_NEWUTS)),
    Attempt::new("unshare-control-groups", |_| unshare(CLONE_NEWCGROUP)),
    Attempt::new("unshare-time", |_| unshare(CLONE_NEWTIME)),
    Attempt::new("clone-with-new-users", |_| match call!(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)? {
        0 => loop {
            let _ = call!(SYS_exit_group, 0);
        },
        process => child::wait(i32::try_from(process).unwrap_or_default()).map(|_| entered()),
    }),
    Attempt::new("mount-with-new-users", |scene| {
        let folder = scene.rw("folder");
        child::within(|| {
            call!(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS)?;
            call!(SYS_mount, c"none", &folder, c"tmpfs", 0, 0).map(|_| ())
        })
        .map(|()| "mounted".to_string())
    }),
    Attempt::new("raw-socket-with-new-users", |_| {
        child::within(|| {
            call!(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNET)?;
            call!(SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0).map(|_| ())
        })
        .map(|()| "made".to_string())
    }),
    // The kernel looks for the file system after it has looked at the permission.
    Attempt::new("mount", |scene| {
        beyond_permission(call!(SYS_mount, c"none", &scene.rw("folder"), c"no-such-kind", 0, 0), &[libc::ENODEV])
    }),
    Attempt::new("open-a-file-system", |_| call!(SYS_fsopen, c"tmpfs", 1).map(Fd::new).map(|_| "opened".to_string())),
    Attempt::new("copy-the-tree", |_| {
        const OPEN_TREE_CLONE: i32 = 1;
        call!(SYS_open_tree, AT_FDCWD, c"/", OPEN_TREE_CLONE).map(Fd::new).map(|_| "copied".to_string())
    }),
    Attempt::new("copy-the-tree-of-a-volume", |scene| {
        const OPEN_TREE_CLONE: i32 = 1;
        call!(SYS_open_tree, AT_FDCWD, &scene.ro("."), OPEN_TREE_CLONE).map(Fd::new).map(|_| "copied".to_string())
    }),
    // It is none that is mounted.
    Attempt::new("umount", |scene| beyond_permission(call!(SYS_umount2, &scene.rw("folder"), 0), &[libc::EINVAL])),
    // It is none either, and the same as the new one.
    Attempt::new("pivot-root", |scene| {
        let folder = scene.rw("folder");
        beyond_permission(call!(SYS_pivot_root, &folder, &folder), &[libc::EINVAL, libc::EBUSY])
    }),
    // Where it is.
    Attempt::new("chroot", |_| call!(SYS_chroot, c"/").map(|_| "did so".to_string())),
    Attempt::new("chroot-with-new-users", chroot),
    Attempt::new("chdir", |_| {
        child::within_if_possible(|| call!(SYS_chdir, c"/").map(|_| ())).map(|()| "went there".to_string())
    }),
    // Last of these: who has a second thread can enter no new users.
    Attempt::new("thread-with-a-new-network", |_| machine::thread_with(CLONE_NEWNET).map(|()| entered())),
];

fn entered() -> String {
    "entered a new one".to_string()
}

fn unshare(kind: i32) -> Done {
    child::within_if_possible(|| call!(SYS_unshare, kind).map(|_| ())).map(|()| entered())
}

/// A process whose root is a volume, in which an absolute path leads where it should not.
fn chroot(scene: &Scene) -> Done {
    let folder = scene.rw(".");
    child::within(|| {
        call!(SYS_unshare, CLONE_NEWUSER)?;
        call!(SYS_chroot, &folder)?;
        open(c"/folder", O_RDONLY | O_DIRECTORY).map(|_| ())
    })
    .map(|()| "did so".to_string())
}
