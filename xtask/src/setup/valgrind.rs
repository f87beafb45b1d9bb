//! Valgrind, which counts instructions: the system's, else Debian's, unpacked.

use super::debian::Debian;
use crate::environment::Environment;
use crate::process::output_of;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// A valgrind that runs.
#[derive(Debug)]
pub(crate) struct Valgrind {
    program: PathBuf,
    /// Where it finds its tools, if not where it was built for.
    tools: Option<PathBuf>,
    /// What it says it is.
    pub(crate) version: String,
}

/// Finds or unpacks it.
pub(super) fn set_up(environment: &Environment, debian: &Debian) -> Result<Valgrind> {
    let (program, tools) = match environment.find_program("valgrind") {
        Some(program) => (program, None),
        None => {
            debian.ensure("valgrind", &["valgrind"])?;
            // Beside it is a script that looks for the libraries' debugging information, which we do not want.
            (debian.unpacked("usr/bin/valgrind.bin"), Some(debian.unpacked("usr/libexec/valgrind")))
        }
    };
    let mut valgrind = Valgrind { program, tools, version: String::new() };
    valgrind.version = output_of(valgrind.command().arg("--version"))?;
    Ok(valgrind)
}

impl Valgrind {
    /// A command line of valgrind, without any variable of the environment but its own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear();
        if let Some(tools) = &self.tools {
            command.env("VALGRIND_LIB", tools);
        }
        command
    }
}
