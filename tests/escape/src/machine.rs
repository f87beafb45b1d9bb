//! What needs the machine's own language: memory that is written and executed, and calls that the C library does not make.
//!
//! Also the last attempts: calls of the machine's other kinds (32 bits, x32), which the kernel may answer by ending the
//! process.
#![expect(unsafe_code, reason = "executes what it wrote, and makes calls in assembler: native code of an attacker")]

use crate::attempt::{Attempt, Done, Refusal};
use crate::call::call;
use crate::scene::Scene;

#[cfg(target_arch = "x86_64")]
pub(crate) const ATTEMPTS: &[Attempt] =
    &[Attempt::new("call-as-x32", x32), Attempt { may_be_fatal: true, ..Attempt::new("call-as-32-bit", int80) }];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const ATTEMPTS: &[Attempt] = &[];

/// What [`CODE`] answers when it is executed.
const ANSWER: u32 = 42;

/// A function that returns [`ANSWER`].
#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = &[0xb8, 42, 0, 0, 0, 0xc3];
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = &[0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6];

/// A page or more of memory of its own.
pub(crate) struct Mapping {
    start: usize,
    length: usize,
}

impl Mapping {
    /// A page that begins where a call said.
    pub(crate) fn page(start: usize) -> Self {
        Self { start, length: PAGE }
    }

    /// New memory that belongs to no file.
    pub(crate) fn anonymous(protection: i32) -> Result<Self, Refusal> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        call!(SYS_mmap, 0, PAGE, protection, flags, -1, 0).map(Self::page)
    }

    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Puts a function there. The memory must be writable.
    pub(crate) fn write_code(&self) {
        // SAFETY: the page is mapped, this value's own, writable as the caller says, and longer than the code.
        unsafe {
            std::ptr::copy_nonoverlapping(CODE.as_ptr(), std::ptr::with_exposed_provenance_mut(self.start), CODE.len());
        };
    }

    /// Executes it. The memory must be executable, and hold the function.
    pub(crate) fn execute(&self) -> Done {
        flush(self.start);
        let start = std::ptr::with_exposed_provenance::<()>(self.start);
        // SAFETY: what lies there is a whole function of this signature, as the caller says.
        let function = unsafe { std::mem::transmute::<*const (), extern "C" fn() -> u32>(start) };
        match function() {
            ANSWER => Ok("executed what it had written".to_string()),
            other => Err(Refusal::no_effect(format!("the code answered {other}"))),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let _ = call!(SYS_munmap, self.start, self.length);
    }
}

pub(crate) const PAGE: usize = 4096;

/// The code that other attempts write to files.
pub(crate) fn code() -> &'static [u8] {
    CODE
}

/// Makes what was written visible where it is executed.
#[cfg(target_arch = "x86_64")]
fn flush(_start: usize) {}

#[cfg(target_arch = "aarch64")]
fn flush(start: usize) {
    // SAFETY: the code fits in one line of the caches, and the address is mapped.
    unsafe {
        std::arch::asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", "dsb ish", "isb", in(reg) start);
    }
}

/// A byte of this program that nobody may write to, so that writing to it is seen.
static CONSTANT: [u8; 8] = *b"constant";

/// Where a byte lies that cannot be written to.
pub(crate) fn constant() -> usize {
    (&raw const CONSTANT).expose_provenance()
}

/// What that byte is now.
pub(crate) fn constant_now() -> u8 {
    // SAFETY: it is a byte of a static; volatile, because it is not expected to change.
    unsafe { (&raw const CONSTANT).cast::<u8>().read_volatile() }
}

/// Makes a thread with these flags besides a thread's own, which ends at once.
pub(crate) fn thread_with(flags: i32) -> Result<(), Refusal> {
    extern "C" fn end(_: *mut libc::c_void) -> i32 {
        0
    }
    const THREAD: i32 = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    // Never given back: when the thread has left its stack is not to be seen from here.
    let stack: &mut [u128] = Vec::leak(vec![0; 1024]);
    let top = stack.as_mut_ptr_range().end.cast();
    // SAFETY: the stack is the thread's alone from now on, aligned, and large enough for a function that does nothing.
    match unsafe { libc::clone(end, top, THREAD | flags, std::ptr::null_mut()) } {
        -1 => Err(Refusal::Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or_default())),
        _ => Ok(()),
    }
}

/// Makes a process that shares this one's memory until it ends, which it does at once. In assembler, because it runs on
/// this function's own stack.
#[cfg(target_arch = "x86_64")]
pub(crate) fn vfork_and_end() -> Result<i32, Refusal> {
    let mut returned = libc::SYS_vfork;
    // SAFETY: the new process makes one call that ends it, and touches no memory.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 231", // exit_group
            "xor edi, edi",
            "syscall",
            "2:",
            inout("rax") returned,
            out("rcx") _, out("r11") _, out("rdi") _,
        );
    }
    answer(returned)
}

/// The same by the flags of `vfork`.
#[cfg(target_arch = "aarch64")]
pub(crate) fn vfork_and_end() -> Result<i32, Refusal> {
    let mut returned = libc::c_long::from(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD);
    // SAFETY: the new process makes one call that ends it, and touches no memory.
    unsafe {
        std::arch::asm!(
            "mov x8, 220", // clone
            "svc 0",
            "cbnz x0, 2f",
            "mov x8, 94", // exit_group
            "svc 0",
            "2:",
            inout("x0") returned, in("x1") 0, in("x2") 0, in("x3") 0, in("x4") 0, out("x8") _,
        );
    }
    answer(returned)
}

/// Asks by the call of 32-bit programs (`int 0x80`) for this process's number.
#[cfg(target_arch = "x86_64")]
fn int80(_: &Scene) -> Done {
    const GETPID: libc::c_long = 20;
    let mut returned = GETPID;
    // SAFETY: a call without arguments that tells a number.
    unsafe {
        std::arch::asm!(
            "int 0x80", inout("rax") returned,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    };
    told_own_number(answer(returned)?)
}

/// Asks for the same by the call of x32 programs: the 64-bit call with one more bit in its number.
#[cfg(target_arch = "x86_64")]
fn x32(_: &Scene) -> Done {
    const X32: libc::c_long = 0x4000_0000;
    let told = crate::call::ask(X32 | libc::SYS_getpid, &[])?;
    told_own_number(i32::try_from(told).unwrap_or(-1))
}

#[cfg(target_arch = "x86_64")]
fn told_own_number(told: i32) -> Done {
    if told.unsigned_abs() == std::process::id() {
        Ok("the kernel answered".to_string())
    } else {
        Err(Refusal::no_effect(format!("the kernel answered {told}")))
    }
}

/// The kernel tells errors as negative numbers.
fn answer(returned: libc::c_long) -> Result<i32, Refusal> {
    match i32::try_from(returned) {
        Ok(number @ 0..) => Ok(number),
        Ok(negative) => Err(Refusal::Errno(-negative)),
        Err(_) => Err(Refusal::no_effect(format!("the kernel answered {returned}"))),
    }
}
