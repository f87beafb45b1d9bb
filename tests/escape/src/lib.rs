//! What native code tries that owns a jailed runner: the attempts, and how each tells that it succeeded.
//!
//! This is the attacker of `docs/security.md`, not a part of the product. `cord-hostile`, a `cord` built with the feature
//! `escape-harness`, calls [`run_if_asked`] where the guest would start: in the runner, after the jail was entered. The test
//! that starts it (`tests/all/escape.rs`) prepares the scene, reads the lines and decides what they must be.
//!
//! An attempt is a function that does the thing itself, by the kernel's own call where the C library would be in the way.
//! It says `escaped` only if it has seen the effect: bytes read, a file changed, a program's output. What would harm the
//! machine when no jail is there (restart, mounts, modules, the clock) is asked for in a form that the kernel refuses or
//! that changes nothing, *after* it has looked at the permission: such an answer counts as `escaped`, too. What an attempt
//! changed in its own process it puts back, so that the order of attempts does not matter.
//!
//! Never here: what is to be expected. That depends on the user and on the layers that hold.

mod attempt;
mod call;
mod child;
mod descriptors;
mod errno;
mod files;
mod gaps;
mod kernel;
mod machine;
mod memory;
mod namespaces;
mod parent;
mod privileges;
mod processes;
mod scene;
mod sockets;
mod volumes;

pub use gaps::GAPS;
pub use volumes::PREPARED;

use attempt::{Attempt, Verdict};
use scene::Scene;

/// The variable that holds the scene, and makes a program that has the harness become the attacker.
pub const ASKED: &str = "CORD_ESCAPE";

/// Stands in every program that holds the harness, and in no other.
pub const MARKER: &str = "this program holds the escape harness of Cordboard and is not to be shipped";

/// The attempts, in groups. Those of [`machine`] come last: the kernel may answer them by ending the process.
const GROUPS: &[&[Attempt]] = &[
    files::ATTEMPTS,
    volumes::ATTEMPTS,
    descriptors::ATTEMPTS,
    sockets::ATTEMPTS,
    processes::ATTEMPTS,
    parent::ATTEMPTS,
    memory::ATTEMPTS,
    namespaces::ATTEMPTS,
    privileges::ATTEMPTS,
    kernel::ATTEMPTS,
    gaps::ATTEMPTS,
    machine::ATTEMPTS,
];

/// If the variable [`ASKED`] is set, makes every attempt and prints a line for each: its name, `refused`, `escaped`, `gap`
/// or `asked` (the parent sees the effect, not this process), and a detail, with tabs between. The exit code to end with:
/// 0 if all were made, 2 if the scene could not be understood.
#[must_use]
pub fn run_if_asked() -> Option<u8> {
    let scene = std::env::var_os(ASKED)?;
    say(&format!("# {MARKER}\n"));
    let scene = match scene.into_string().ok().as_deref().and_then(Scene::parse) {
        Some(scene) => scene,
        None => {
            say("# the scene is incomplete\n");
            return Some(2);
        }
    };
    for attempt in GROUPS.iter().copied().flatten() {
        // The kernel's answer may be the end of this process, and then this is the last line.
        if attempt.may_be_fatal {
            say(&format!("{}\ttrying\t\n", attempt.name));
        }
        let Verdict { word, detail } = attempt.make(&scene);
        say(&format!("{}\t{word}\t{detail}\n", attempt.name));
    }
    Some(0)
}

/// Writes to standard output without any buffer between.
fn say(line: &str) {
    let mut rest = line.as_bytes();
    while let Ok(written @ 1..) = call::write(libc::STDOUT_FILENO, rest) {
        rest = rest.get(written..).unwrap_or_default();
    }
}
