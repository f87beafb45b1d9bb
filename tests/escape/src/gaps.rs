//! What no layer of the jail holds back. Each is made all the same, so that a kernel that does is noticed.

use crate::attempt::{Attempt, Kind};
use crate::call::call;
use libc::{AT_FDCWD, AT_SYMLINK_NOFOLLOW};

/// The names of these attempts, and why nothing holds them back. `docs/security.md` tells what follows from it.
pub const GAPS: &[(&str, &str)] = &[
    ("status-of-a-file-outside", "Landlock does not know stat, and a volume's guest needs it"),
    ("access-to-a-file-outside", "Landlock does not know access, and a volume's guest needs it"),
    ("target-of-a-link-outside", "Landlock does not know readlink, and a volume's guest needs it"),
    ("times-of-a-file-outside", "Landlock does not know times, and the guest of a writable volume may set them"),
    ("times-of-a-file-in-ro", "the same: seccomp refuses it only to a process without any writable volume"),
];

pub(crate) const ATTEMPTS: &[Attempt] = &[
    gap(Attempt::new("status-of-a-file-outside", |scene| {
        // As much as the kernel may write.
        let mut status = [0_u64; 32];
        let path = scene.outside("secret");
        call!(SYS_newfstatat, AT_FDCWD, &path, status.as_mut_ptr(), 0).map(|_| "told".to_string())
    })),
    gap(Attempt::new("access-to-a-file-outside", |scene| {
        call!(SYS_faccessat, AT_FDCWD, &scene.outside("secret"), libc::W_OK).map(|_| "told".to_string())
    })),
    gap(Attempt::new("target-of-a-link-outside", |scene| {
        let mut target = [0_u8; 256];
        let path = scene.outside("out");
        call!(SYS_readlinkat, AT_FDCWD, &path, target.as_mut_ptr(), target.len()).map(|_| "told".to_string())
    })),
    gap(Attempt::new("times-of-a-file-outside", |scene| {
        let now: usize = 0;
        call!(SYS_utimensat, AT_FDCWD, &scene.outside("file"), now, AT_SYMLINK_NOFOLLOW).map(|_| "set".to_string())
    })),
    gap(Attempt::new("times-of-a-file-in-ro", |scene| {
        let now: usize = 0;
        call!(SYS_utimensat, AT_FDCWD, &scene.ro("file"), now, AT_SYMLINK_NOFOLLOW).map(|_| "set".to_string())
    })),
];

const fn gap(attempt: Attempt) -> Attempt {
    Attempt { kind: Kind::Gap, ..attempt }
}
