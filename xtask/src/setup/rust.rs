//! Rust's standard library for guests: what is there, else rustup's, else built from Debian's source.
//!
//! The last way makes a compiler of its own in our folder: Debian's rustc and the source of its standard library are
//! always of one version, while a rustup toolchain comes without source. Linkers are rustup's in every case.

use super::debian::{Debian, WASI_LIBC};
use super::{complete, is_complete};
use crate::environment::Environment;
use crate::process::{output_of, run_quietly, run_while_it_moves};
use crate::steps::step;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The targets guests are built for: WASI preview 1 modules and WASI 0.2 components.
const TARGETS: [&str; 2] = ["wasm32-wasip1", "wasm32-wasip2"];
const PACKAGES: &[&str] = &["rustc-web", "rust-web-src"];
/// A rustup that cannot reach its server must not hold up the set-up for longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Rust compiler with the standard library for guests.
#[derive(Debug)]
pub(crate) struct RustCompiler {
    /// The compiler for guests, if it is not the ordinary one.
    pub(crate) rustc: Option<PathBuf>,
    /// The search path for programs, with `wasm-component-ld` and `wasm-ld` in front.
    pub(crate) path: String,
    /// Changes when everything built with it must be built anew.
    pub(crate) identity: String,
}

/// The compiler that builds this project.
struct Host {
    sysroot: PathBuf,
    triple: String,
    version: String,
}

/// Finds or makes the compiler for Rust guests.
pub(super) fn set_up(environment: &Environment, debian: &Debian) -> Result<RustCompiler> {
    let host = Host::ask()?;
    let path = host.path_with_linkers(environment)?;
    let use_host = match environment.guest_rust.as_deref() {
        Some("debian") => false,
        Some("rustup") => {
            if !host.has_targets() {
                add_by_rustup(debian)?;
            }
            ensure!(host.has_targets(), "rustup added its targets, but the compiler in use is not rustup's");
            true
        }
        None => host.has_targets() || (!is_built(debian) && offer_rustup(environment, debian) && host.has_targets()),
        Some(other) => bail!("CORD_GUEST_RUST is `rustup` or `debian`, not `{other}`"),
    };
    if use_host {
        return Ok(RustCompiler { rustc: None, path, identity: host.version });
    }
    let rustc = build_from_debian(debian, &path)?;
    let version = output_of(Command::new(&rustc).arg("-vV"))?;
    Ok(RustCompiler { rustc: Some(rustc), path, identity: format!("Debian {version}") })
}

impl Host {
    fn ask() -> Result<Self> {
        let version = output_of(Command::new("rustc").arg("-vV"))?;
        let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
        let triple = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
        Ok(Self { sysroot: PathBuf::from(sysroot), triple: triple.to_string(), version: version.clone() })
    }

    fn has_targets(&self) -> bool {
        let library = |target| self.sysroot.join("lib/rustlib").join(target).join("lib/self-contained/libc.a");
        TARGETS.iter().all(|target| library(target).exists())
    }

    fn path_with_linkers(&self, environment: &Environment) -> Result<String> {
        let tools = self.sysroot.join("lib/rustlib").join(&self.triple).join("bin");
        let there = tools.join("wasm-component-ld").exists() && tools.join("gcc-ld/wasm-ld").exists();
        ensure!(there, "this Rust has no wasm-component-ld and wasm-ld: install Rust by rustup (https://rustup.rs)");
        let tools = tools.display();
        Ok(format!("{tools}:{tools}/gcc-ld:{}", environment.path))
    }
}

/// Tries rustup, where there is one. Failing is no fault: the other way is longer, but leads there as well.
fn offer_rustup(environment: &Environment, debian: &Debian) -> bool {
    if environment.find_program("rustup").is_none() {
        return false;
    }
    match add_by_rustup(debian) {
        Ok(()) => true,
        Err(error) => {
            let said = format!("{error:#}");
            eprintln!("  rustup cannot ({}): taking Debian's packages", said.lines().last().unwrap_or_default());
            false
        }
    }
}

fn add_by_rustup(debian: &Debian) -> Result<()> {
    let downloads = output_of(Command::new("rustup").args(["show", "home"]))?;
    let downloads = Path::new(&downloads).join("downloads");
    let mut command = Command::new("rustup");
    command.args(["target", "add"]).args(TARGETS).env("RUSTUP_MAX_RETRIES", "1");
    step("add rustup's targets for guests", || {
        run_while_it_moves(&mut command, &debian.log("rustup"), &downloads, PATIENCE)
    })
}

fn is_built(debian: &Debian) -> bool {
    is_complete(&debian.path("rust.complete"), &PACKAGES.join(" "))
}

/// A compiler in our folder, whose standard library is built from source.
fn build_from_debian(debian: &Debian, search_path: &str) -> Result<PathBuf> {
    if is_built(debian) {
        return Ok(debian.path("bin/rustc"));
    }
    debian.ensure("rust", PACKAGES)?;
    debian.ensure("wasi-libc", &[WASI_LIBC])?;
    let rustc = debian.write_wrapper("rustc", &debian.unpacked("usr/bin/rustc"))?;
    let sysroot = PathBuf::from(output_of(Command::new(&rustc).args(["--print", "sysroot"]))?);
    ensure!(
        sysroot.canonicalize()? == debian.unpacked("usr").canonicalize()?,
        "Debian's rustc is installed on this system and hides ours: set CORD_GUEST_RUST=rustup or remove rustc-web"
    );
    step("build Rust's standard library for guests", || build_std(debian, &rustc, search_path))?;
    // Half a gigabyte that nobody reads again.
    fs::remove_dir_all(debian.unpacked("usr/src"))?;
    complete(&debian.path("rust.complete"), &PACKAGES.join(" "))?;
    Ok(rustc)
}

/// Builds an empty crate together with its standard library, and keeps the library.
fn build_std(debian: &Debian, rustc: &Path, search_path: &str) -> Result<()> {
    let scratch = debian.path("std-build");
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(scratch.join("Cargo.toml"), manifest)?;

    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--lib", "--release", "-Zbuild-std=std,panic_abort"]).current_dir(&scratch);
    for target in TARGETS {
        let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.replace('-', "_").to_uppercase());
        let libc = debian.unpacked("usr/lib").join(target);
        cargo.args(["--target", target]).env(flags, format!("-Lnative={}", libc.display()));
    }
    // Building the standard library is for the unstable compiler only, unless one says to know what one does.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc).env("CARGO_TARGET_DIR", scratch.join("target"));
    cargo.env_remove("RUSTFLAGS").env_remove("RUSTC_WRAPPER");
    cargo.env("PATH", search_path);
    run_quietly(&mut cargo, &debian.log("rust-std"))?;

    for target in TARGETS {
        keep_std(debian, &scratch.join("target").join(target).join("release/deps"), target)?;
    }
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

/// Puts what was built where the compiler looks for it.
fn keep_std(debian: &Debian, built: &Path, target: &str) -> Result<()> {
    let library = debian.unpacked("usr/lib/rustlib").join(target).join("lib");
    fs::create_dir_all(library.join("self-contained"))?;
    for entry in fs::read_dir(built)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_library = name.ends_with(".rlib") || name.ends_with(".rmeta");
        if is_library && !name.starts_with("libempty-") {
            fs::copy(entry.path(), library.join(name))?;
        }
    }
    for name in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        let from = debian.unpacked("usr/lib").join(target).join(name);
        fs::copy(&from, library.join("self-contained").join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
