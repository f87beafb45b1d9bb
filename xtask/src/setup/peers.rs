//! The programs that benchmarks compare `cord` with, as far as package registries have them.
//!
//! The system's are used as they are. Else they come into the toolchain's folder: Debian's unpacked, wasmtime's built once
//! by cargo. What is started for every measurement is a link to the program itself, because a script before it would be
//! measured, too; so whoever starts it says where its libraries are.

use super::debian::Debian;
use super::{Toolchain, complete, is_complete, lock, write_script};
use crate::environment::Environment;
use crate::process::{output_of, run_quietly};
use crate::steps::step;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of the engine that `cord` has, too.
const WASMTIME: &str = "48.0.8";
/// What of it runs and serves guests as fast as it does with all of its features, and its cache. It has many more, which
/// take minutes to build.
const WASMTIME_FEATURES: &str = "run,serve,compile,cache,cranelift,parallel-compilation,pooling-allocator,component-model,\
                                 component-model-async";

/// What is started for every measurement: the program, the package it is in, and where in that.
const MEASURED: [(&str, &str, &str); 3] =
    [("bwrap", "bubblewrap", "usr/bin/bwrap"), ("crun", "crun", "usr/bin/crun"), ("runc", "runc", "usr/sbin/runc")];

/// The peers that could be set up.
#[derive(Debug)]
pub(crate) struct Peers {
    /// The search path for programs, with the peers that the system lacks at its beginning.
    pub(crate) path: String,
    /// The value of `LD_LIBRARY_PATH` that peers are to be started with.
    pub(crate) libraries: String,
}

/// Finds or unpacks all but wasmtime.
pub(super) fn unpack(environment: &Environment, toolchain: &Toolchain, debian: &Debian) -> Result<Peers> {
    let folder = links(environment)?;
    for (name, package, program) in MEASURED {
        if environment.find_program(name).is_none() {
            debian.ensure(package, &[package])?;
            link(&debian.unpacked(program), &folder.join(name))?;
        }
    }
    if environment.find_program("podman").is_none() {
        debian.ensure("podman", &["podman"])?;
        link(&write_podman(environment, debian)?, &folder.join("podman"))?;
    }
    // In front, because the system's wasmtime may be of another version.
    let path = format!("{}:{}", folder.display(), toolchain.path);
    Ok(Peers { path, libraries: debian.libraries() })
}

/// Builds wasmtime, unless it is there.
pub(super) fn build(environment: &Environment) -> Result<()> {
    if is_wanted_wasmtime(environment) {
        return Ok(());
    }
    let _lock = lock(&environment.toolchain, "wasmtime.lock")?;
    link(&install_wasmtime(&environment.toolchain)?, &links(environment)?.join("wasmtime"))
}

/// The folder of links to the peers that the system lacks.
fn links(environment: &Environment) -> Result<PathBuf> {
    let folder = environment.toolchain.join("peers");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Makes a link, in the place of one that leads elsewhere.
fn link(program: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|found| found == program) {
        return Ok(());
    }
    let _ = fs::remove_file(link);
    symlink(program, link).with_context(|| format!("cannot write {}", link.display()))
}

/// Writes a program that is an unpacked podman with all that an installation would have configured.
///
/// Its containers are on this machine's network or none, and not held to limits that whoever calls it may not set.
fn write_podman(environment: &Environment, debian: &Debian) -> Result<PathBuf> {
    let folder = debian.path("podman");
    fs::create_dir_all(&folder)?;
    let program = |name: &str, unpacked: &str| {
        environment.find_program(name).unwrap_or_else(|| debian.unpacked(unpacked)).display().to_string()
    };
    // Podman starts these with an environment of its own choice, so they find no libraries by themselves.
    let mut runtime = environment.find_program("crun");
    if runtime.is_none() {
        runtime = Some(debian.write_wrapper("crun-of-podman", &debian.unpacked("usr/bin/crun"))?);
    }
    let configuration = format!(
        "[containers]\ndefault_ulimits = []\nnetns = \"none\"\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"crun\"\n\
         conmon_path = [\"{}\"]\nconmon_env_vars = [\"PATH={}\", \"LD_LIBRARY_PATH={}\"]\n\
         [engine.runtimes]\ncrun = [\"{}\"]\nrunc = [\"{}\"]\n",
        program("conmon", "usr/bin/conmon"),
        environment.path,
        debian.libraries(),
        runtime.unwrap_or_default().display(),
        program("runc", "usr/sbin/runc"),
    );
    let storage =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/storage\"\nrunroot = \"{0}/run\"\n", folder.display());
    fs::write(folder.join("containers.conf"), configuration)?;
    fs::write(folder.join("storage.conf"), storage)?;
    let wrapper = debian.path("bin/podman");
    let body = format!(
        "{}export CONTAINERS_CONF='{1}/containers.conf' CONTAINERS_STORAGE_CONF='{1}/storage.conf'\nexec '{2}' \"$@\"\n",
        debian.library_path(),
        folder.display(),
        debian.unpacked("usr/bin/podman").display()
    );
    write_script(&wrapper, &body)?;
    Ok(wrapper)
}

/// Whether the system has the version to compare with.
fn is_wanted_wasmtime(environment: &Environment) -> bool {
    let Some(program) = environment.find_program("wasmtime") else {
        return false;
    };
    let told = output_of(Command::new(program).arg("--version")).unwrap_or_default();
    told.split_whitespace().nth(1) == Some(WASMTIME)
}

/// Builds wasmtime, unless it was built in this very way.
fn install_wasmtime(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("wasmtime");
    let stamp = folder.join("wasmtime.complete");
    let identity = format!("{WASMTIME} {WASMTIME_FEATURES}");
    if !is_complete(&stamp, &identity) {
        // Kept until it is complete, so that a build that was cut short goes on where it was.
        let build = folder.join("wasmtime-build");
        step("build wasmtime to compare with (takes ten minutes and more)", || {
            let mut cargo = Command::new("cargo");
            cargo.args(["install", "--locked", "--force", "--no-default-features", "--features", WASMTIME_FEATURES]);
            cargo.arg("--root").arg(&root).arg(format!("wasmtime-cli@{WASMTIME}"));
            // What is set for our own builds is not meant for it.
            for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
                cargo.env_remove(variable);
            }
            cargo.env("CARGO_TARGET_DIR", &build).current_dir(folder);
            run_quietly(&mut cargo, &folder.join("logs/wasmtime.log"))
        })?;
        fs::remove_dir_all(&build)?;
        complete(&stamp, &identity)?;
    }
    Ok(root.join("bin/wasmtime"))
}
