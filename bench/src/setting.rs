//! What every row is given: where the programs, the guests and the peers are, and how long it may take.

use anyhow::{Context, Result, bail, ensure};
use sandbox::{Code, Engine, OwnFile, Settings};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Where everything is.
pub(crate) struct Setting {
    pub(crate) cord: PathBuf,
    compiler: PathBuf,
    guests: PathBuf,
    path: String,
    /// Where peers that were unpacked have their libraries.
    libraries: Option<String>,
    /// Of this process, to be run again in another role.
    own: PathBuf,
    scratch: TempDir,
    is_quick: bool,
}

impl Setting {
    /// As `cargo xtask bench` says it, by environment variables.
    ///
    /// Our programs are copied, as whoever installs them does, and as the peers were: what a linker has written a moment ago
    /// lies in the page cache in small pieces, and takes a third longer to start.
    pub(crate) fn find(is_quick: bool) -> Result<Self> {
        let named =
            |name: &str| std::env::var(name).with_context(|| format!("{name} is not set; run cargo xtask bench"));
        let scratch = tempfile::tempdir()?;
        let install = |program: &Path| {
            let copy = scratch.path().join(program.file_name().context("a program has a name")?);
            fs::copy(program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
            anyhow::Ok(copy)
        };
        let own = std::env::current_exe()?;
        for native in ["native", "native-http"] {
            install(&own.with_file_name(native))?;
        }
        Ok(Self {
            cord: install(named("CORD_BIN")?.as_ref())?,
            compiler: install(named("CORD_COMPILE_BIN")?.as_ref())?,
            guests: named("CORD_GUESTS")?.into(),
            path: named("PATH")?,
            libraries: named("CORD_PEER_LIBRARIES").ok(),
            own: install(&own)?,
            scratch,
            is_quick,
        })
    }

    /// So many rounds, or few when all is only to be seen to work.
    pub(crate) fn rounds(&self, rounds: usize) -> usize {
        if self.is_quick { rounds.min(2) } else { rounds }
    }

    /// The guest of this name.
    pub(crate) fn guest(&self, name: &str) -> PathBuf {
        self.guests.join(name)
    }

    /// The program of this name on the search path, which begins with the peers; or why there is none.
    pub(crate) fn installed(&self, name: &str) -> Result<PathBuf, String> {
        let mut folders = self.path.split(':').map(Path::new);
        let found = folders.find_map(|folder| Some(folder.join(name)).filter(|program| program.is_file()));
        found.ok_or_else(|| format!("{name}: not installed"))
    }

    /// What the programs of others that are there call themselves.
    pub(crate) fn peers(&self) -> Vec<String> {
        let ask = |(name, flag): (&str, &str)| {
            let output = self.peer(&self.installed(name).ok()?).arg(flag).stdin(Stdio::null()).output().ok()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = said.lines().find(|line| line.contains(|letter: char| letter.is_ascii_digit()))?;
            // Each begins with its name in another way.
            Some(if line.starts_with(name) { line.trim().to_owned() } else { format!("{name}: {}", line.trim()) })
        };
        let version = "--version";
        let all = ["wasmtime", "wasmer", "bwrap", "crun", "runc", "podman"].map(|name| (name, version));
        all.into_iter().chain([("socat", "-V"), ("wrk", "-v")]).filter_map(ask).collect()
    }

    /// A command that starts a peer.
    pub(crate) fn peer(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(self.libraries.as_ref().map(|libraries| ("LD_LIBRARY_PATH", libraries)));
        command
    }

    /// A program that was built together with this one.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.own.with_file_name(name)
    }

    /// This program in another role.
    pub(crate) fn role(&self, role: &str) -> Command {
        let mut command = Command::new(&self.own);
        command.args(["--role", role]);
        command
    }

    /// A folder for files that are of no use later.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Compiles a guest of this name as `cord` would, and tells the file.
    pub(crate) fn compile(&self, guest: &str, settings: &Settings) -> Result<PathBuf> {
        let code = self.scratch.path().join(format!("{guest}.{}", settings.code_key()));
        if code.exists() {
            return Ok(code);
        }
        self.compile_to(&self.guest(guest), settings, &code)?;
        Ok(code)
    }

    /// Compiles a guest as `cord` would.
    pub(crate) fn compile_to(&self, guest: &Path, settings: &Settings, code: &Path) -> Result<()> {
        let _ = fs::remove_file(code);
        let output = OpenOptions::new().write(true).create_new(true).mode(0o600).open(code)?;
        let input = File::open(guest).with_context(|| format!("cannot open {}", guest.display()))?;
        let mut compiler = Command::new(&self.compiler);
        let status = compiler.arg(settings.to_string()).stdin(input).stdout(output).status()?;
        ensure!(status.success(), "cannot compile {}", guest.display());
        Ok(())
    }

    /// The code of a guest, for this engine.
    pub(crate) fn load(&self, guest: &str, engine: &Engine) -> Result<Code> {
        load(&self.compile(guest, engine.settings())?, engine)
    }
}

/// Compiled code from a file that this process made.
pub(crate) fn load(file: &Path, engine: &Engine) -> Result<Code> {
    Ok(Code::load(engine, &OwnFile::check(File::open(file)?)?)?)
}

/// Runs a command to its end, unheard.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("{} failed: {status}", words(command));
    }
    Ok(())
}

/// Runs a command to its end and tells what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let shown = words(command);
    ensure!(output.status.success(), "{shown} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A command as it would be typed, with the bare names of programs and guests.
pub(crate) fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut shown = Vec::new();
    for word in words {
        let word = word.to_string_lossy();
        let is_file = word.starts_with('/') && Path::new(&*word).is_file();
        let bare = if is_file { word.rsplit('/').next().unwrap_or(&word) } else { &word };
        shown.push(bare.to_owned());
    }
    shown.join(" ")
}
