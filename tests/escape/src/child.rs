//! Processes that an attempt makes: to be one, or so that what it does to itself ends with them.

use crate::attempt::{Done, Refusal};
use crate::call::{call, pipe, read};
use std::ffi::CStr;

/// What a process ends with that saw no effect; error numbers are all smaller.
const NO_EFFECT: i32 = 255;

/// Makes a process that does `work` and ends. Its number.
pub(crate) fn start(work: impl FnOnce() -> Result<(), Refusal>) -> Result<i32, Refusal> {
    // A process, not a thread: nothing is shared. This one has no other thread, so the copy is whole.
    let made = call!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)?;
    if made != 0 {
        return Ok(i32::try_from(made).unwrap_or_default());
    }
    let code = match work() {
        Ok(()) => 0,
        Err(Refusal::Errno(number)) => number,
        Err(Refusal::NoEffect(_)) => NO_EFFECT,
    };
    loop {
        let _ = call!(SYS_exit_group, code);
    }
}

/// Waits until a process has ended. How, as the kernel tells.
pub(crate) fn wait(process: i32) -> Result<i32, Refusal> {
    let mut status = 0_i32;
    call!(SYS_wait4, process, &raw mut status, libc::__WALL, 0)?;
    Ok(status)
}

/// What came of a process made by [`start`].
pub(crate) fn outcome(process: i32) -> Result<(), Refusal> {
    let status = wait(process)?;
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => Ok(()),
        (true, NO_EFFECT) => Err(Refusal::no_effect("no effect")),
        (true, errno) => Err(Refusal::Errno(errno)),
        (false, _) => Err(Refusal::no_effect(format!("ended by signal {}", libc::WTERMSIG(status)))),
    }
}

/// Does `work` in a process of its own.
pub(crate) fn within(work: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    outcome(start(work)?)
}

/// Does `work` in a process of its own, if there can be one; else here, where its effect stays.
pub(crate) fn within_if_possible(work: impl Fn() -> Result<(), Refusal>) -> Result<(), Refusal> {
    match start(&work) {
        Ok(process) => outcome(process),
        Err(_) => work(),
    }
}

/// Where the arguments or the environment of a program begin.
pub(crate) type Words = *const *const libc::c_char;

/// Makes a process that does `first`, then becomes a program with these arguments, and tells what that printed.
pub(crate) fn output(
    arguments: &[&CStr],
    first: impl FnOnce() -> Result<(), Refusal>,
    exec: impl FnOnce(Words, Words) -> Result<usize, Refusal>,
) -> Result<(i32, String), Refusal> {
    let words: Vec<_> = arguments.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    let none = [std::ptr::null()];
    let (out, into) = pipe()?;
    let process = start(|| {
        first()?;
        call!(SYS_dup3, &into, 1, 0)?;
        call!(SYS_dup3, &into, 2, 0)?;
        exec(words.as_ptr(), none.as_ptr()).map(|_| ())
    })?;
    drop(into);
    let (mut text, mut buffer) = (Vec::new(), [0; 256]);
    while let length @ 1.. = read(out.number(), &mut buffer)? {
        text.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    Ok((process, String::from_utf8_lossy(&text).trim().to_string()))
}

/// Becomes a program, in two steps.
///
/// First here, with an address of arguments that is none: the kernel opens the file before it looks at them, and answers
/// `EFAULT` only if everything before was permitted. Then in a process of its own, if there can be one, and for the effect:
/// the program is a shell, and prints a word.
pub(crate) fn become_shell(exec: impl Fn(Words, Words) -> Result<usize, Refusal>) -> Done {
    let nowhere = std::ptr::without_provenance(1);
    match exec(nowhere, std::ptr::null()) {
        Err(Refusal::Errno(libc::EFAULT)) => {}
        Err(refusal) => return Err(refusal),
        Ok(_) => return Err(Refusal::no_effect("it went on as before")),
    }
    let ran = output(&[c"sh", c"-c", c"echo it ran"], || Ok(()), exec);
    match ran {
        Ok((process, printed)) if printed == "it ran" => wait(process).map(|_| printed),
        Ok((process, _)) => outcome(process).and(Err(Refusal::no_effect("it printed nothing"))),
        Err(_) => Ok("permitted, and then EFAULT; there can be no process to do it in".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::open;

    #[test]
    fn what_comes_of_a_process_is_told_here() {
        assert_eq!(within(|| Ok(())), Ok(()));
        let missing = || open(c"/none", libc::O_RDONLY).map(|_| ());
        assert_eq!(within(missing), Err(Refusal::Errno(libc::ENOENT)));
        assert_eq!(within(|| Err(Refusal::no_effect("x"))), Err(Refusal::no_effect("no effect")));
    }
}
