//! Closes what whoever started this process left open.
//!
//! Everything that Rust's library and our crates open is closed on exec, so it was not there when the process started; what
//! came through the exec is not marked so. That tells the two apart at any time.
#![expect(unsafe_code, reason = "closes descriptors that nobody in this process owns")]

use rustix::io::{FdFlags, fcntl_getfd};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// The first descriptor that is not a standard one.
const FIRST: RawFd = 3;

pub(crate) fn close_inherited() -> io::Result<()> {
    let mut inherited = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        if number < FIRST {
            continue;
        }
        // SAFETY: asked for is a descriptor that is open. It was a moment ago, there is but one thread, and one that is
        // gone (the folder's own) is an error below and not used further.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl_getfd(descriptor).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            inherited.push(number);
        }
    }
    for number in inherited {
        // SAFETY: asked for is a descriptor that nobody uses again. It came through the exec, so no value here owns it.
        unsafe { rustix::io::close(number) };
    }
    Ok(())
}
