//! Builds and runs one `cord` command line.

use crate::process::{Outcome, Running};
use crate::programs;
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// A `cord` command line that is not running yet. Standard input is empty unless told otherwise.
#[derive(Debug)]
pub struct Cord {
    /// What is run before `cord` and runs it: a namespace, for example.
    wrapper: Vec<OsString>,
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<OsString>,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
}

impl Cord {
    /// `cord` with these arguments, and the compile cache that tests share.
    pub fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let new = Self {
            wrapper: Vec::new(),
            program: programs::cord().into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            stdin: Stdio::null(),
            stdout: Stdio::piped(),
            stderr: Stdio::piped(),
        };
        new.cache(&programs::shared_cache()).arguments(arguments)
    }

    /// `cord run` with flags, a guest of ours, and its arguments.
    #[must_use]
    pub fn run_guest(flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        Self::new(["run"]).arguments(flags).arguments([programs::guest(guest)]).arguments(arguments)
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Uses another compile cache.
    #[must_use]
    pub fn cache(self, folder: &Path) -> Self {
        self.env("XDG_CACHE_HOME", folder)
    }

    /// Uses another copy of the program.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = path.into();
        self
    }

    /// Lets whoever runs the tests look into its processes. None but root may look into one that is jailed, so anybody else
    /// gets the tests' own program, without the layer that forbids it.
    #[must_use]
    pub fn watched(self) -> Self {
        if geteuid().is_root() {
            return self;
        }
        self.program(&programs::hostile()).env("CORD_JAIL_WITHOUT", "dumpable")
    }

    /// Runs in this folder.
    #[must_use]
    pub fn current_dir(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Puts words before the command line that make another program run it.
    #[must_use]
    pub fn wrapped<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.wrapper.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Makes standard input a pipe.
    #[must_use]
    pub fn piped_stdin(mut self) -> Self {
        self.stdin = Stdio::piped();
        self
    }

    /// Makes standard input a file.
    #[must_use]
    pub fn stdin_from(self, path: &Path) -> Self {
        self.stdin(File::open(path).unwrap())
    }

    /// Makes standard input this.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = stdin.into();
        self
    }

    /// Lets standard output go elsewhere.
    #[must_use]
    pub fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Lets standard error go elsewhere.
    #[must_use]
    pub fn stderr_to(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = stderr.into();
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Running {
        let mut words = self.wrapper.into_iter().chain([self.program]).chain(self.arguments);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).envs(self.environment).stdin(self.stdin).stdout(self.stdout).stderr(self.stderr);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        Running::start_as_set(&mut command)
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(self) -> Outcome {
        self.start().wait()
    }
}
