//! Builds the programs `cord` and `cord-compile`.
//!
//! Always in two cargo invocations: in one, cargo would unify features and link the compiler into the runner.

use crate::process::run;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs as built, side by side in one folder.
#[derive(Debug)]
pub(crate) struct Programs {
    /// `cord`.
    pub(crate) cord: PathBuf,
    /// `cord-compile`, which `cord` finds beside itself.
    pub(crate) compile: PathBuf,
}

/// Builds both programs for daily work.
pub(crate) fn build(workspace: &Workspace) -> Result<Programs> {
    build_profile(workspace, "dev", "debug")
}

/// Builds both programs as they are shipped.
pub(crate) fn build_release(workspace: &Workspace) -> Result<Programs> {
    build_profile(workspace, "release", "release")
}

fn build_profile(workspace: &Workspace, profile: &str, folder: &str) -> Result<Programs> {
    let kept = workspace.target.join("programs").join(folder);
    fs::create_dir_all(&kept)?;
    let built = |package: &str, program: &str| -> Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--profile", profile, "--package", package]).current_dir(&workspace.root);
        run(&mut cargo)?;
        keep(&workspace.target.join(folder).join(program), &kept.join(program))
    };
    Ok(Programs { cord: built("cli", "cord")?, compile: built("compiler", "cord-compile")? })
}

/// Copies a program away, because cargo overwrites it with one of other features when it builds the tests.
fn keep(from: &Path, to: &Path) -> Result<PathBuf> {
    let context = || format!("cannot copy {}", from.display());
    let times = |path: &Path| path.metadata().and_then(|metadata| Ok((metadata.len(), metadata.modified()?)));
    let source = times(from).with_context(context)?;
    if times(to).is_ok_and(|kept| kept.0 == source.0 && kept.1 >= source.1) {
        return Ok(to.to_path_buf());
    }
    // Not written over: somebody may be running the old one.
    let _ = fs::remove_file(to);
    fs::copy(from, to).with_context(context)?;
    Ok(to.to_path_buf())
}
