//! Sets up everything that guests are made of and tests need: once, in one folder, and quick when all is there.
//!
//! Each part says by a file in the folder that it is complete; a part without that file is made anew. Two set-ups at
//! once wait for each other. What the system has already is used; else Debian's packages are unpacked into the folder
//! (never installed), so that an ordinary user can do it and deleting the folder undoes it. The one exception is
//! rustup's own target, which rustup keeps where it keeps all of them.
//!
//! What only benchmarks and counts need is set up when it is first asked for, in the same folder.

mod c;
mod debian;
mod go;
pub(crate) mod javascript;
mod peers;
mod python;
mod rust;
mod tools;
mod valgrind;

pub(crate) use c::CCompiler;
pub(crate) use go::GoCompiler;
pub(crate) use javascript::JavaScript;
pub(crate) use peers::Peers;
pub(crate) use python::Python;
pub(crate) use rust::RustCompiler;
pub(crate) use valgrind::Valgrind;

use crate::environment::Environment;
use anyhow::{Context, Result};
use debian::Debian;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// All that was set up.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// Makes Rust guests.
    pub(crate) rust: RustCompiler,
    /// Makes C guests.
    pub(crate) c: CCompiler,
    /// Makes Python guests.
    pub(crate) python: Python,
    /// Makes Go guests.
    pub(crate) go: GoCompiler,
    /// A real OpenSSH server that takes the options of `sshd`, for root and for others.
    pub(crate) sshd: PathBuf,
    /// The search path for programs, with the tools that the system lacks at its end.
    pub(crate) path: String,
    /// Where the output of quiet commands is kept.
    pub(crate) logs: PathBuf,
}

/// Finds the toolchain, or makes what of it is missing.
pub(crate) fn toolchain(environment: &Environment) -> Result<Toolchain> {
    let folder = &environment.toolchain;
    parts(environment).with_context(|| format!("cannot set up the guest toolchain in {}", folder.display()))
}

/// Finds the programs that benchmarks compare `cord` with, or makes what of them is missing, which takes many minutes.
pub(crate) fn peers(environment: &Environment, toolchain: &Toolchain) -> Result<Peers> {
    let debian = folder(environment)?;
    let peers = peers::unpack(environment, toolchain, &debian).context("cannot unpack the peers")?;
    // Others need not wait for what takes so long.
    drop(debian);
    peers::build(environment).context("cannot build the peers")?;
    Ok(peers)
}

/// Finds or makes the builder of the JavaScript guest; or says what the system lacks.
pub(crate) fn javascript_builder(environment: &Environment) -> Result<Result<JavaScript, String>> {
    javascript::set_up(environment, &folder(environment)?).context("cannot set up the builder of the JavaScript guest")
}

/// Finds valgrind, or unpacks it.
pub(crate) fn valgrind(environment: &Environment) -> Result<Valgrind> {
    valgrind::set_up(environment, &folder(environment)?).context("cannot set up valgrind")
}

/// The toolchain's folder, ours alone until this is dropped.
fn folder(environment: &Environment) -> Result<Debian> {
    let folder = &environment.toolchain;
    Ok(Debian::new(folder, lock(folder, "lock")?))
}

/// Waits until nobody else holds a lock in a folder.
fn lock(folder: &Path, name: &str) -> Result<File> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join(name))?;
    lock.lock()?;
    Ok(lock)
}

fn parts(environment: &Environment) -> Result<Toolchain> {
    let debian = folder(environment)?;
    let rust = rust::set_up(environment, &debian)?;
    let c = c::set_up(environment, &debian, &rust)?;
    let python = python::set_up(environment, &debian)?;
    let go = go::set_up(environment, &debian, &python)?;
    let sshd = tools::set_up_sshd(&debian)?;
    let tools = tools::set_up_tools(environment, &debian)?;
    let path = format!("{}:{}", environment.path, tools.display());
    Ok(Toolchain { rust, c, python, go, sshd, path, logs: debian.logs() })
}

/// Whether the part that this file stands for is there, made in this very way.
fn is_complete(stamp: &Path, identity: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == identity)
}

/// Says that a part is there. The last thing done for it.
fn complete(stamp: &Path, identity: &str) -> Result<()> {
    fs::write(stamp, identity).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Writes a small program that runs another one.
fn write_script(path: &Path, body: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, format!("#!/bin/sh\n{body}")).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
