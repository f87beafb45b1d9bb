//! Compiled code for a guest: from the cache, or made now by the compiler program, with progress on a terminal.

use crate::exit::{self, Fault};
use crate::guest::Guest;
use anyhow::{Context, anyhow};
use image::{Cache, CodeError, Entry, Origin, Source};
use indicatif::{ProgressBar, ProgressStyle};
use sandbox::{Allocator, Code, Concurrency, Engine, OwnFile, PoolSize, Settings};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

/// The name of the compiler, which lies beside `cord`.
const COMPILER: &str = "cord-compile";
/// The compiler's exit code for a guest that is at fault.
const GUEST_AT_FAULT: i32 = 126;
/// Most bytes of the compiler's complaint that are kept.
const COMPLAINT_BYTES: u64 = 4096;

/// Why a guest could not be compiled.
#[derive(Debug, thiserror::Error)]
enum CompileError {
    #[error("{0}")]
    Guest(String),
    #[error("the compiler failed: {0}")]
    Compiler(String),
    #[error("cannot start the compiler {path}: {source}; it belongs beside cord", path = .path.display())]
    Start { path: PathBuf, source: io::Error },
    #[error("cannot hand a file to the compiler: {0}")]
    File(#[from] io::Error),
}

/// A guest's code, and the engine that it was made for.
pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) code: Code,
    file: OwnFile,
}

/// Loads the code of `guest`, compiling it if the cache has none that is sound and fits the engine.
///
/// A guest that gets by without concurrency has less to do at every start and every call, so its code is made without.
/// Which do not get by is known once they are compiled: the compiler refuses them, or what it made names WASI 0.3. The latter
/// (components that use 0.2 and 0.3) have code of both kinds in the cache, and pay for loading both at each start: all others
/// have one.
pub(crate) fn load(guest: &File, shown_as: &Path) -> Result<Compiled, Fault> {
    let cache = Cache::open(&cache_dir());
    let source = cache.source(guest).context("cannot read the guest").map_err(Fault::CannotRun)?;
    let maker = Maker { source, shown_as, complained: Once::new() };
    let kinds = [Concurrency::Off, Concurrency::On];
    let found = kinds.into_iter().find_map(|concurrency| Some((maker.find(concurrency)?, concurrency)));
    let (entry, concurrency) = match found {
        Some(found) => found,
        None => match maker.make(Concurrency::Off)? {
            Ok(entry) => (entry, Concurrency::Off),
            Err(_refused) => (maker.must_make(Concurrency::On)?, Concurrency::On),
        },
    };
    let compiled = maker.open(entry, concurrency)?;
    if concurrency == Concurrency::Off && wasi::needs_concurrency(&compiled.code) {
        let entry = maker.find(Concurrency::On).map_or_else(|| maker.must_make(Concurrency::On), Ok)?;
        return maker.open(entry, Concurrency::On);
    }
    Ok(compiled)
}

/// Refuses a folder that a guest may write and that holds compiled code, or lies in what does: what it writes there would be run
/// as this user's code.
pub(crate) fn check_volume(host: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_error| path.to_owned());
    let (cache, volume) = (real(&cache_dir()), real(host));
    anyhow::ensure!(
        !cache.starts_with(&volume) && !volume.starts_with(&cache),
        "the volume {} holds the compile cache {}, where a guest must not write; add :ro, or set XDG_CACHE_HOME to a folder \
         elsewhere",
        host.display(),
        cache.display()
    );
    Ok(())
}

/// Loads the code of `guest` for many instances at once: as many as `max_instances`, or as fit into this machine.
pub(crate) fn load_for_many(guest: &Guest, max_instances: Option<NonZeroU32>) -> Result<(Engine, Code, u32), Fault> {
    jail::open_as_anybody();
    // What the guest needs says how large its pool must be, and is known once it is compiled.
    let Compiled { engine, code, file } = guest.code()?;
    let fitting = sandbox::default_instances(guest.plan().memory_bytes);
    let instances = max_instances.map_or(fitting, NonZeroU32::get);
    let size = PoolSize::for_guest(code.demand(), instances).context("--max-instances").map_err(Fault::Ours)?;
    let settings = Settings { allocator: Allocator::Pool(size), ..engine.settings().clone() };
    let engine = Engine::new(&settings).map_err(Fault::ours)?;
    let code = Code::load(&engine, &file).context("cannot load the code a second time").map_err(Fault::Ours)?;
    Ok((engine, code, instances))
}

/// Finds and makes the code of one guest.
struct Maker<'a> {
    source: Source<'a>,
    shown_as: &'a Path,
    /// That code cannot be kept is said once, however much is made.
    complained: Once,
}

impl Maker<'_> {
    fn find(&self, concurrency: Concurrency) -> Option<Entry> {
        self.source.find(&settings(concurrency).code_key())
    }

    /// Compiles the guest, or tells what the compiler had against it.
    fn make(&self, concurrency: Concurrency) -> Result<Result<Entry, String>, Fault> {
        let settings = settings(concurrency);
        let compile = |source: &File, code: &File| compile(&settings.to_string(), source, code, self.shown_as);
        let entry = match self.source.fill(&settings.code_key(), compile) {
            Ok(entry) => entry,
            Err(CodeError::Compile(CompileError::Guest(complaint))) => return Ok(Err(complaint)),
            Err(error @ CodeError::Source(_)) => return Err(Fault::cannot_run(error)),
            Err(error) => return Err(Fault::ours(error)),
        };
        if let Origin::Private { why } = &entry.origin {
            self.complained.call_once(|| {
                exit::say(format_args!("compiled code cannot be kept and is made anew each time: {why}"));
            });
        }
        Ok(Ok(entry))
    }

    fn must_make(&self, concurrency: Concurrency) -> Result<Entry, Fault> {
        self.make(concurrency)?
            .map_err(|complaint| Fault::CannotRun(anyhow!("cannot run {}: {complaint}", self.shown_as.display())))
    }

    fn open(&self, entry: Entry, concurrency: Concurrency) -> Result<Compiled, Fault> {
        let engine = Engine::new(&settings(concurrency)).map_err(Fault::ours)?;
        let own = |entry: Entry| OwnFile::check(entry.file).context("compiled code is not ours").map_err(Fault::Ours);
        let file = own(entry)?;
        if let Ok(code) = Code::load(&engine, &file) {
            return Ok(Compiled { engine, code, file });
        }
        // An entry of another build of this version: make it anew, once.
        let file = own(self.must_make(concurrency)?)?;
        let code = Code::load(&engine, &file).context("cannot load the code just compiled").map_err(Fault::Ours)?;
        Ok(Compiled { engine, code, file })
    }
}

fn settings(concurrency: Concurrency) -> Settings {
    Settings { concurrency, ..Settings::default() }
}

/// `$XDG_CACHE_HOME/cordboard/code`, by the rules of the XDG Base Directory Specification.
#[expect(clippy::disallowed_methods, reason = "the front door: where the cache lies is this program's configuration")]
fn cache_dir() -> PathBuf {
    let absolute = |name: &str| std::env::var(name).ok().map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    // Without a home there is a folder of this user alone; the cache checks whose it is.
    base.unwrap_or_else(|| std::env::temp_dir().join(format!("cordboard-{}", rustix::process::getuid().as_raw())))
        .join("cordboard/code")
}

fn compile(settings: &str, source: &File, code: &File, shown_as: &Path) -> Result<(), CompileError> {
    let path = std::env::current_exe()?.with_file_name(COMPILER);
    let progress = progress(shown_as);
    let mut child = Command::new(&path)
        .arg(settings)
        .env_clear()
        .stdin(Stdio::from(source.try_clone()?))
        .stdout(Stdio::from(code.try_clone()?))
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| CompileError::Start { path, source })?;
    let mut complaint = String::new();
    if let Some(stderr) = child.stderr.take() {
        // Not UTF-8 is a broken compiler, which the exit code says as well.
        let _ = stderr.take(COMPLAINT_BYTES).read_to_string(&mut complaint);
    }
    let status = child.wait()?;
    progress.finish_and_clear();
    match (status.success(), status.code()) {
        (true, _) => Ok(()),
        (false, Some(GUEST_AT_FAULT)) => Err(CompileError::Guest(complaint.trim().to_owned())),
        (false, _) if complaint.trim().is_empty() => Err(CompileError::Compiler(status.to_string())),
        (false, _) => Err(CompileError::Compiler(complaint.trim().to_owned())),
    }
}

fn progress(shown_as: &Path) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let name = shown_as.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let style = ProgressStyle::with_template("{spinner} compiling {msg} (once) {elapsed}");
    let bar = ProgressBar::new_spinner().with_message(name);
    bar.set_style(style.unwrap_or_else(|_template| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
