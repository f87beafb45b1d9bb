//! Where the guests and the compiler are, and how a guest becomes a program.

use std::collections::HashMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use sandbox::{Allocator, Code, Concurrency, Engine, OwnFile, PoolSize, Settings};
use tempfile::NamedTempFile;
use wasi::{HttpProgram, LinkError};

/// A guest in a pool of its own.
pub(crate) struct Served {
    pub(crate) program: HttpProgram,
}

impl Served {
    /// The guest of this name, with room for so many instances.
    pub(crate) fn new(guest: &str, instances: u32) -> Served {
        Served { program: link(guest, instances).unwrap() }
    }
}

/// Joins the guest of this name with its interfaces.
pub(crate) fn link(guest: &str, instances: u32) -> Result<HttpProgram, LinkError> {
    let (path, settings) = compiled(guest);
    let file = OwnFile::check(File::open(path).unwrap()).unwrap();
    let probe = Code::load(&Engine::new(&settings).unwrap(), &file).unwrap();
    let size = PoolSize::for_guest(probe.demand(), instances).unwrap();
    let engine = Engine::new(&Settings { allocator: Allocator::Pool(size), ..settings }).unwrap();
    let code = Code::load(&engine, &file).unwrap();
    HttpProgram::new(&engine, &code)
}

/// The compiled code of a guest, without concurrency if the compiler takes it so. It is compiled by settings without a pool.
fn compiled(guest: &str) -> (PathBuf, Settings) {
    static COMPILED: Mutex<Option<HashMap<String, (NamedTempFile, Settings)>>> = Mutex::new(None);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let (file, settings) = compiled.get_or_insert_default().entry(guest.to_owned()).or_insert_with(|| {
        let code = NamedTempFile::new().unwrap();
        code.as_file().set_permissions(Permissions::from_mode(0o600)).unwrap();
        let compiler = place("CORD_COMPILE_BIN", "target/debug/cord-compile");
        let is_taken = |settings: &Settings| {
            let source = File::open(place("CORD_GUESTS", "target/guests").join(guest)).unwrap();
            let mut command = Command::new(&compiler);
            command.arg(settings.to_string()).stdin(source).stdout(code.reopen().unwrap());
            command.status().unwrap().success()
        };
        let kinds = [Concurrency::Off, Concurrency::On];
        let mut kinds = kinds.into_iter().map(|concurrency| Settings { concurrency, ..Settings::default() });
        let settings = kinds.find(is_taken).expect(guest);
        (code, settings)
    });
    (file.path().to_owned(), settings.clone())
}

#[expect(clippy::disallowed_methods, reason = "the one place where these tests read the environment")]
fn place(variable: &str, default: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = std::env::var(variable).map_or_else(|_unset| root.join(default), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds and names it", path.display());
    path
}
