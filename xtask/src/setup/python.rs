//! The builder of Python guests: componentize-py, which brings its own Python for guests.
//!
//! On the host it needs a Python of 3.10 or later with pip: the system's, else Debian's, unpacked.

use super::debian::Debian;
use super::{complete, is_complete};
use crate::environment::Environment;
use crate::process::{output_of, run_quietly};
use crate::steps::step;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BUILDER: &str = "componentize-py==0.25.1";
const PACKAGES: &[&str] = &["python3", "python3-pip"];
const USABLE: &str = "import sys, pip; sys.exit(sys.version_info < (3, 10))";

/// A builder of Python guests.
#[derive(Debug)]
pub(crate) struct Python {
    /// The host's Python, which some clients in the tests are written for too.
    pub(crate) interpreter: PathBuf,
    packages: PathBuf,
    /// Changes when everything built with it must be built anew.
    pub(crate) identity: String,
}

/// Finds or makes the builder of Python guests.
pub(super) fn set_up(environment: &Environment, debian: &Debian) -> Result<Python> {
    let packages = debian.path("python");
    let stamp = debian.path("python.complete");
    let chosen = debian.path("python.interpreter");
    let identity = BUILDER.to_string();
    let interpreter = fs::read_to_string(&chosen).map(PathBuf::from).unwrap_or_default();
    if is_complete(&stamp, &identity) && interpreter.exists() {
        return Ok(Python { interpreter, packages, identity });
    }
    let interpreter = interpreter_with_pip(environment, debian)?;
    let python = Python { interpreter, packages, identity };
    step("fetch componentize-py for Python guests", || {
        run_quietly(&mut python.install(BUILDER, &python.packages), &debian.log("pip"))
    })?;
    complete(&chosen, &python.interpreter.display().to_string())?;
    complete(&stamp, &python.identity)?;
    Ok(python)
}

fn interpreter_with_pip(environment: &Environment, debian: &Debian) -> Result<PathBuf> {
    for name in ["python3", "python"] {
        if let Some(interpreter) = environment.find_program(name)
            && output_of(Command::new(&interpreter).args(["-c", USABLE])).is_ok()
        {
            return Ok(interpreter);
        }
    }
    debian.ensure("python", PACKAGES)?;
    debian.write_wrapper("python3", &debian.unpacked("usr/bin/python3"))
}

impl Python {
    /// The command that unpacks a Python package into a folder of its own.
    pub(super) fn install(&self, package: &str, folder: &Path) -> Command {
        let mut pip = Command::new(&self.interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--target"]).arg(folder).arg(package);
        pip
    }

    /// The command that builds the component of a module in `sources`, which must be writable.
    pub(crate) fn componentize(&self, sources: &Path, wit: &Path, world: &str, module: &str, output: &Path) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())", "--quiet"]);
        command.arg("--wit-path").arg(wit).args(["--world", world, "componentize", module, "--output"]).arg(output);
        command.current_dir(sources).env("PYTHONPATH", &self.packages);
        command
    }
}
