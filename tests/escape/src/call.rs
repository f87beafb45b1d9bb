//! Asks the kernel, past the C library.
//!
//! The one place from which calls go out. Their arguments are numbers, or addresses of values that live until the call
//! returns, because they are borrowed by the expression that makes the call; each attempt gives a buffer of the size that
//! the kernel writes for it.
#![expect(unsafe_code, reason = "system calls by number: this is native code of an attacker")]

use crate::attempt::Refusal;
use libc::{AT_FDCWD, O_CLOEXEC};
use std::ffi::{CStr, CString};

/// What can stand as an argument of a call.
pub(crate) trait Word {
    fn word(self) -> usize;
}

macro_rules! numbers {
    ($($number:ty)*) => {
        $(impl Word for $number {
            #[expect(clippy::allow_attributes, reason = "some of these casts change nothing")]
            #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "the kernel takes the bits")]
            fn word(self) -> usize {
                self as isize as usize
            }
        })*
    };
}

numbers! { i32 u32 i64 u64 usize }

impl<T> Word for *const T {
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

impl<T> Word for *mut T {
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

impl Word for &CStr {
    fn word(self) -> usize {
        self.as_ptr().expose_provenance()
    }
}

impl Word for &CString {
    fn word(self) -> usize {
        self.as_ptr().expose_provenance()
    }
}

impl Word for &Fd {
    fn word(self) -> usize {
        self.0.word()
    }
}

/// Makes one call: its number's name in `libc`, then its arguments.
macro_rules! call {
    ($number:ident $(, $argument:expr)* $(,)?) => {
        $crate::call::ask(libc::$number, &[$($crate::call::Word::word($argument)),*])
    };
}
pub(crate) use call;

/// Asks the kernel. Arguments that are not given are 0.
pub(crate) fn ask(number: libc::c_long, given: &[usize]) -> Result<usize, Refusal> {
    let mut words = [0; 6];
    words.iter_mut().zip(given).for_each(|(word, given)| *word = *given);
    let [a, b, c, d, e, f] = words;
    // SAFETY: what an address leads to lives during the call and is as large as the call wants; see the module's text.
    let returned = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    // Every error is -1; whatever else is negative is an address, or a number that belongs to a call.
    if returned == -1 {
        return Err(Refusal::Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or_default()));
    }
    Ok(returned.cast_unsigned() as usize)
}

/// A descriptor of an attempt's own, closed with it.
#[derive(Debug)]
pub(crate) struct Fd(i32);

impl Fd {
    /// The descriptor that a call returned.
    pub(crate) fn new(returned: usize) -> Self {
        Self(i32::try_from(returned).unwrap_or(-1))
    }

    pub(crate) fn number(&self) -> i32 {
        self.0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        let _ = call!(SYS_close, self.0);
    }
}

/// Opens a path.
pub(crate) fn open(path: &CStr, flags: i32) -> Result<Fd, Refusal> {
    open_at(AT_FDCWD, path, flags)
}

/// Opens a path that begins at a folder.
pub(crate) fn open_at(folder: i32, path: &CStr, flags: i32) -> Result<Fd, Refusal> {
    call!(SYS_openat, folder, path, flags | O_CLOEXEC, 0o600).map(Fd::new)
}

/// Makes a file that is not there yet, open for writing.
pub(crate) fn create(path: &CStr) -> Result<Fd, Refusal> {
    open(path, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR)
}

pub(crate) fn read(descriptor: i32, buffer: &mut [u8]) -> Result<usize, Refusal> {
    call!(SYS_read, descriptor, buffer.as_mut_ptr(), buffer.len())
}

pub(crate) fn write(descriptor: i32, bytes: &[u8]) -> Result<usize, Refusal> {
    call!(SYS_write, descriptor, bytes.as_ptr(), bytes.len())
}

/// A pair of connected Unix sockets.
pub(crate) fn pair(kind: i32) -> Result<(Fd, Fd), Refusal> {
    let mut numbers = [-1_i32; 2];
    call!(SYS_socketpair, libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, numbers.as_mut_ptr())?;
    let [first, second] = numbers;
    Ok((Fd(first), Fd(second)))
}

/// A pipe: the end to read from, and the end to write to.
pub(crate) fn pipe() -> Result<(Fd, Fd), Refusal> {
    let mut numbers = [-1_i32; 2];
    call!(SYS_pipe2, numbers.as_mut_ptr(), O_CLOEXEC)?;
    let [out, into] = numbers;
    Ok((Fd(out), Fd(into)))
}

/// What the kernel tells of an open file.
pub(crate) fn status(file: i32) -> Result<libc::stat, Refusal> {
    // SAFETY: all zeroes are a value of this structure of numbers.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    call!(SYS_fstat, file, &raw mut status)?;
    Ok(status)
}
