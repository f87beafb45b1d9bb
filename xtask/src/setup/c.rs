//! A C compiler for guests: a wasi-sdk the user names, else Debian's clang with Debian's wasi-libc.

use super::debian::{Debian, WASI_LIBC};
use super::{RustCompiler, complete, is_complete};
use crate::environment::Environment;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGES: &[&str] = &["clang-19", "libclang-rt-19-dev-wasm32"];
const CLANG_RESOURCES: &str = "usr/lib/llvm-19/lib/clang/19";

/// A compiler of C guests.
#[derive(Debug)]
pub(crate) struct CCompiler {
    clang: PathBuf,
    sysroot: PathBuf,
    /// Clang's own headers and runtime, where they are not beside it.
    resources: Option<PathBuf>,
    /// The search path with the linkers.
    path: String,
    /// Changes when everything built with it must be built anew.
    pub(crate) identity: String,
}

/// Finds or makes the compiler for C guests.
pub(super) fn set_up(environment: &Environment, debian: &Debian, rust: &RustCompiler) -> Result<CCompiler> {
    let path = rust.path.clone();
    if let Some(sdk) = &environment.wasi_sdk {
        let clang = sdk.join("bin/clang");
        ensure!(clang.exists(), "WASI_SDK_PATH is {}, and there is no bin/clang in it", sdk.display());
        let identity = sdk.display().to_string();
        return Ok(CCompiler { clang, sysroot: sdk.join("share/wasi-sysroot"), resources: None, path, identity });
    }
    let identity = PACKAGES.join(" ");
    let stamp = debian.path("c.complete");
    let resources = debian.path("clang-resources");
    if !is_complete(&stamp, &identity) {
        debian.ensure("c", PACKAGES).context("or name a wasi-sdk with WASI_SDK_PATH")?;
        debian.ensure("wasi-libc", &[WASI_LIBC])?;
        debian.write_wrapper("clang", &debian.unpacked("usr/lib/llvm-19/bin/clang"))?;
        lay_out_resources(debian, &resources)?;
        complete(&stamp, &identity)?;
    }
    let clang = debian.path("bin/clang");
    Ok(CCompiler { clang, sysroot: debian.unpacked("usr"), resources: Some(resources), path, identity })
}

/// Debian ships clang's runtime under the system name `wasi` only, while clang looks for it under each target's.
fn lay_out_resources(debian: &Debian, resources: &Path) -> Result<()> {
    let shipped = debian.unpacked(CLANG_RESOURCES);
    let runtime = shipped.join("lib/wasi/libclang_rt.builtins-wasm32.a");
    for target in ["wasm32-unknown-wasip1", "wasm32-unknown-wasip2"] {
        let folder = resources.join("lib").join(target);
        fs::create_dir_all(&folder)?;
        fs::copy(&runtime, folder.join("libclang_rt.builtins.a"))
            .with_context(|| format!("cannot copy {}", runtime.display()))?;
    }
    let headers = resources.join("include");
    // Left from a set-up that was cut short.
    let _ = fs::remove_file(&headers);
    std::os::unix::fs::symlink(shipped.join("include"), headers)?;
    Ok(())
}

impl CCompiler {
    /// The command that compiles one source file to a program for `target`.
    pub(crate) fn compile(&self, target: &str, source: &Path, output: &Path) -> Command {
        let mut clang = Command::new(&self.clang);
        clang.arg(format!("--target={target}"));
        clang.arg(format!("--sysroot={}", self.sysroot.display()));
        clang.arg("-isystem").arg(self.sysroot.join("include").join(target));
        if let Some(resources) = &self.resources {
            clang.arg("-resource-dir").arg(resources);
        }
        // Debian's clang asks for a linker with a version in its name. Components have a linker of their own.
        if target == "wasm32-wasip1" {
            clang.arg("-fuse-ld=lld");
        }
        clang.args(["-O2", "-s", "-Wall", "-Wextra", "-Werror"]).arg(source).arg("-o").arg(output);
        clang.env("PATH", &self.path);
        clang
    }
}
