//! Where the programs under test are: what `cargo xtask test` says, else where cargo puts them.

use crate::cord::Cord;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The program `cord`.
#[must_use]
pub fn cord() -> PathBuf {
    existing("CORD_BIN", || target().join("debug/cord"))
}

/// The program `cord-compile`, which `cord` finds beside itself.
#[must_use]
pub fn compiler() -> PathBuf {
    present(cord().with_file_name("cord-compile"))
}

/// The program `cord-hostile`: `cord` with the escape harness, which only tests build.
#[must_use]
pub fn hostile() -> PathBuf {
    existing("CORD_HOSTILE_BIN", || cord().with_file_name("cord-hostile"))
}

/// Whether a program's file holds this text.
#[must_use]
pub fn holds(program: &Path, text: &[u8]) -> bool {
    let bytes = fs::read(program).unwrap();
    bytes.windows(text.len()).any(|window| window == text)
}

/// The guest of this name, `hello.wasm` for example.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    present(guests().join(name))
}

/// A real OpenSSH server.
#[must_use]
pub fn sshd() -> PathBuf {
    existing("CORD_SSHD", || PathBuf::from("/usr/sbin/sshd"))
}

/// An ordinary Python for clients, as anybody would write them.
#[must_use]
pub fn python() -> PathBuf {
    environment("CORD_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// `wasmtime`, if there is one to compare with: `CORD_WASMTIME`, else the one on the search path.
#[must_use]
pub fn wasmtime() -> Option<PathBuf> {
    let named = environment("CORD_WASMTIME").filter(|path| !path.is_empty()).map(|path| present(PathBuf::from(path)));
    named.or_else(|| {
        let path = environment("PATH")?;
        path.split(':').map(|folder| Path::new(folder).join("wasmtime")).find(|program| program.is_file())
    })
}

/// Whether tests that can be longer should be: `CORD_LONG_TESTS`.
#[must_use]
pub fn long_tests() -> bool {
    environment("CORD_LONG_TESTS").is_some_and(|value| !value.is_empty())
}

/// The compile cache that tests share which are not about the cache.
#[must_use]
pub fn shared_cache() -> PathBuf {
    guests().with_file_name("test-cache")
}

/// Where a table lies that a test has made for people to read.
#[must_use]
pub fn table(name: &str) -> PathBuf {
    guests().with_file_name(name)
}

/// Has a large guest compiled into the shared cache once, where otherwise several tests would do so at the same time.
pub fn warm(name: &str) {
    fs::create_dir_all(shared_cache()).unwrap();
    let lock = File::create(shared_cache().join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    // What it does without a grant does not matter here.
    let _ = Cord::run_guest(&[], name, &[]).run();
}

fn guests() -> PathBuf {
    existing("CORD_GUESTS", || target().join("guests"))
}

fn existing(variable: &str, default: impl FnOnce() -> PathBuf) -> PathBuf {
    present(environment(variable).map_or_else(default, PathBuf::from))
}

fn present(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds and names it", path.display());
    path
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target")
}

#[expect(clippy::disallowed_methods, reason = "the one place where these tests read the environment")]
fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}
