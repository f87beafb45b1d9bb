//! Descriptors: using those that were not given, and giving away those that were.

use crate::attempt::{Attempt, Done, Kind, Refusal};
use crate::call::{Fd, call, open_at, pair, status, write};
use crate::files::{read_secret, read_secret_at};
use crate::scene::Scene;
use libc::{F_GETFL, F_SETFL, F_SETOWN, O_ASYNC, O_NONBLOCK, O_RDONLY};

pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt::new("read-a-leaked-descriptor", |scene| read_secret_at(scene, scene.leaked)),
    Attempt::new("open-from-a-leaked-folder", |scene| {
        read_secret(scene, &open_at(scene.leaked_folder, c"secret", O_RDONLY)?)
    }),
    Attempt::new("leave-by-a-leaked-folder", |scene| {
        call!(SYS_fchdir, scene.leaked_folder).map(|_| "went there".to_string())
    }),
    Attempt::new("write-to-a-file-that-is-open", writable_file),
    Attempt::new("send-a-descriptor", send_descriptor),
    Attempt::new("send-a-descriptor-by-sendmmsg", send_descriptor_by_sendmmsg),
    Attempt::new("take-a-descriptor-of-parent", |scene| {
        let parent = call!(SYS_pidfd_open, scene.parent, 0).map(Fd::new)?;
        call!(SYS_pidfd_getfd, &parent, 1, 0).map(|number| format!("got {:?}", Fd::new(number)))
    }),
    Attempt { kind: Kind::SeenByParent, ..Attempt::new("signal-parent-by-a-socket", signal_by_socket) },
];

/// A file that this process holds open for writing, whatever it is: no guest has opened any yet.
fn writable_file(_: &Scene) -> Done {
    let regular = |descriptor: i32| {
        let flags = call!(SYS_fcntl, descriptor, F_GETFL)?;
        let status = status(descriptor)?;
        let writable = i32::try_from(flags).unwrap_or_default() & libc::O_ACCMODE != O_RDONLY;
        // Without a name it is memory.
        Ok::<_, Refusal>(writable && status.st_mode & libc::S_IFMT == libc::S_IFREG && status.st_nlink > 0)
    };
    match (3..1024).find(|descriptor| regular(*descriptor) == Ok(true)) {
        Some(descriptor) => Ok(format!("descriptor {descriptor} is a file, and open for writing")),
        None => Err(Refusal::no_effect("there is none")),
    }
}

/// Room for the header of one descriptor, laid out as the kernel wants it.
#[repr(C, align(8))]
struct Rights {
    length: usize,
    level: i32,
    kind: i32,
    descriptor: i32,
    /// The kernel wants the whole to be of words.
    rest: i32,
}

/// Sends a message of one byte that carries a descriptor, as `send` sends it.
fn with_message(descriptor: i32, send: impl FnOnce(libc::msghdr) -> Result<usize, Refusal>) -> Result<usize, Refusal> {
    let length = size_of::<usize>() + 3 * size_of::<i32>();
    let mut rights = Rights { length, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, descriptor, rest: 0 };
    let mut byte = b'x';
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    send(libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: (&raw mut rights).cast(),
        msg_controllen: size_of::<Rights>(),
        msg_flags: 0,
    })
}

fn send_descriptor(_: &Scene) -> Done {
    let (from, to) = pair(libc::SOCK_STREAM)?;
    with_message(from.number(), |message| call!(SYS_sendmsg, &from, &raw const message, libc::MSG_NOSIGNAL))?;
    arrived(&to)
}

fn send_descriptor_by_sendmmsg(_: &Scene) -> Done {
    let (from, to) = pair(libc::SOCK_STREAM)?;
    with_message(from.number(), |message| {
        let mut many = libc::mmsghdr { msg_hdr: message, msg_len: 0 };
        call!(SYS_sendmmsg, &from, &raw mut many, 1, libc::MSG_NOSIGNAL)
    })?;
    arrived(&to)
}

/// Whether a message that carries a descriptor is there.
fn arrived(to: &Fd) -> Done {
    let (mut byte, mut control) = (0_u8, [0_usize; 8]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let mut message = libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: &raw mut part,
        msg_iovlen: 1,
        msg_control: control.as_mut_ptr().cast(),
        msg_controllen: size_of_val(&control),
        msg_flags: 0,
    };
    call!(SYS_recvmsg, to, &raw mut message, libc::MSG_CMSG_CLOEXEC)?;
    // The number of the new descriptor follows a length and two numbers.
    match (message.msg_controllen, control) {
        (length, [_, _, descriptor, ..]) if length >= size_of::<Rights>() - size_of::<i32>() => {
            drop(Fd::new(descriptor & 0xffff_ffff));
            Ok("it arrived".to_string())
        }
        _ => Err(Refusal::no_effect("it did not arrive")),
    }
}

/// Makes the kernel send the parent a signal when something can be read.
fn signal_by_socket(scene: &Scene) -> Done {
    const F_SETSIG: i32 = 10;
    let (one, other) = pair(libc::SOCK_STREAM)?;
    call!(SYS_fcntl, &one, F_SETOWN, scene.parent)?;
    call!(SYS_fcntl, &one, F_SETSIG, libc::SIGUSR2)?;
    call!(SYS_fcntl, &one, F_SETFL, O_ASYNC | O_NONBLOCK)?;
    write(other.number(), b"x").map(|_| "the kernel was told to signal it".to_string())
}
