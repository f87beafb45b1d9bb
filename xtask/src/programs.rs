//! Builds the programs `cord` and `cord-compile`, and for tests `cord-hostile`.
//!
//! Always in a cargo invocation each: in one, cargo would unify features and link the compiler into the runner, or the
//! tests' attacker into `cord`.

use crate::process::run;
use crate::workspace::{Workspace, host};
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

/// How programs are built.
#[derive(Clone, Copy, Debug)]
enum Build {
    /// In the profile of daily work.
    Daily,
    /// In the profile of what is shipped, and linked as that.
    Shipped,
}

/// What is shipped has no libraries to find and no addresses to fill in when it starts, which halves the time of a small
/// run.
const STATIC: &[&str] = &["-Ctarget-feature=+crt-static", "-Crelocation-model=static"];
/// Without these a static program sorts all its tables for unwinding when it first takes a backtrace, which lasts twenty
/// times as long as a small run; the sorted table that the linker makes is found anyway. The engine takes backtraces in its
/// ordinary course where `RUST_BACKTRACE` is set.
const UNSORTED: &[&str] = &[
    "-Clink-arg=-Wl,--wrap=__register_frame_info,--defsym=__wrap___register_frame_info=0",
    "-Clink-arg=-Wl,--wrap=__deregister_frame_info,--defsym=__wrap___deregister_frame_info=0",
];
/// A static program cannot ask which calls its C library has. The kernel's own has been there longer than the jail's.
const RANDOM: &str = "--cfg=getrandom_backend=\"linux_getrandom\"";

/// Builds both programs for daily work.
pub(crate) fn build(workspace: &Workspace) -> Result<Programs> {
    build_both(workspace, "debug", Build::Daily, Build::Daily)
}

/// Builds both programs as they are shipped.
pub(crate) fn build_release(workspace: &Workspace) -> Result<Programs> {
    build_both(workspace, "release", Build::Shipped, Build::Shipped)
}

/// Builds `cord` as it is shipped, and the compiler for daily work: it makes the same code, and takes minutes less.
pub(crate) fn build_release_cord(workspace: &Workspace) -> Result<Programs> {
    build_both(workspace, "release-cord", Build::Shipped, Build::Daily)
}

/// Builds the `cord` that becomes an attacker where its guest would start. It finds the compiler beside itself, too.
pub(crate) fn build_hostile(workspace: &Workspace) -> Result<PathBuf> {
    build_one(workspace, "debug", Build::Daily, "cli", "cord-hostile", &["--features", "escape-harness"])
}

/// Builds the benchmarks with their native peers, linked as what they measure. They lie side by side.
pub(crate) fn build_bench(workspace: &Workspace) -> Result<PathBuf> {
    for program in ["native", "native-http"] {
        build_one(workspace, "bench", Build::Shipped, "cord-bench", program, &[])?;
    }
    build_one(workspace, "bench", Build::Shipped, "cord-bench", "cord-bench", &[])
}

/// Builds both, and keeps them side by side in a folder of that name.
fn build_both(workspace: &Workspace, kept: &str, cord: Build, compile: Build) -> Result<Programs> {
    Ok(Programs {
        cord: build_one(workspace, kept, cord, "cli", "cord", &[])?,
        compile: build_one(workspace, kept, compile, "compiler", "cord-compile", &[])?,
    })
}

fn build_one(
    workspace: &Workspace,
    kept: &str,
    build: Build,
    package: &str,
    program: &str,
    flags: &[&str],
) -> Result<PathBuf> {
    let kept = workspace.target.join("programs").join(kept);
    fs::create_dir_all(&kept)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--package", package, "--bin", program]).args(flags).current_dir(&workspace.root);
    let mut folder = workspace.target.clone();
    match build {
        Build::Daily => folder.push("debug"),
        Build::Shipped => {
            // With a target named, programs that only the build runs are compiled without the flags.
            let host = host()?;
            cargo.args(["--release", "--target", &host]);
            if host.ends_with("-linux-gnu") {
                let flags = [STATIC, &[RANDOM]].concat();
                cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
                // For the program alone, so that all else need not be compiled anew when one of them changes.
                cargo.arg("--").args(UNSORTED);
            }
            folder.extend([&host, "release"]);
        }
    }
    run(&mut cargo)?;
    keep(&folder.join(program), &kept.join(program))
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
