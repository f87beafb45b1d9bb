//! Builds the guest programs into `target/guests`, each kind only when its sources or its compiler changed.
//!
//! The names: `NAME.wasm` is the WASI 0.2 component of a Rust program; `-p1` stands for a preview 1 module, `-p3` for a
//! WASI 0.3 component, `-c` and `-python` for the language; `.wat` files are copied as they are.

use crate::process::run_quietly;
use crate::setup::{JavaScript, Toolchain, javascript};
use crate::steps::step;
use crate::workspace::{Workspace, cargo_metadata};
use anyhow::{Context, Result};
use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that need nothing but standard input and output, arguments and files, so that preview 1 runs them too, and
/// the packages they are in.
const PREVIEW1: &[(&str, &[&str])] = &[
    ("std-guests", &["env", "exit", "grow", "hello", "spin", "stdin-echo"]),
    ("inetd-guests", &["echo-inetd", "exit-with", "secret", "trap-after"]),
];
/// The WASI 0.3 programs. They are examples of their package, because a 0.3 command is a library that exports `run`.
const WASI_0_3: &[&str] = &[
    "echo-inetd",
    "fetch",
    "hostile",
    "http-hello",
    "http-site",
    "lookup",
    "sockets",
    "tcp-cat",
    "tcp-dial",
    "tcp-echo",
    "udp-ask",
    "udp-echo",
];
/// The C programs: source, target, output.
const C_PROGRAMS: &[(&str, &str, &str)] = &[
    ("banner.c", "wasm32-wasip2", "banner-c.wasm"),
    ("echo.c", "wasm32-wasip2", "echo-c.wasm"),
    ("echo-inetd.c", "wasm32-wasip1", "echo-inetd-c-p1.wasm"),
    ("files.c", "wasm32-wasip1", "files-c-p1.wasm"),
    ("files.c", "wasm32-wasip2", "files-c.wasm"),
    ("hello.c", "wasm32-wasip1", "hello-c-p1.wasm"),
    ("listen-fds.c", "wasm32-wasip1", "listen-fds-c-p1.wasm"),
];
/// The packages of programs that make preview 1's calls by themselves, and the programs.
const PREVIEW1_PACKAGES: &[(&str, &[&str])] =
    &[("p1-guests", &["p1-sockets", "p1-hostile", "listen-std"]), ("wasmedge-guests", &["wasmedge", "wasmedge-old"])];
/// The Go programs, all for preview 1.
const GO_PROGRAMS: &[&str] = &["dial", "listen"];
/// The Python programs, made of `NAME_app.py`, and the world each is for.
const PYTHON_PROGRAMS: &[(&str, &str)] =
    &[("banner", "command"), ("echo", "command"), ("upper", "command"), ("http", "proxy")];

/// Builds all guest programs and tells the folder they are in.
pub(crate) fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = workspace.target.join("guests");
    fs::create_dir_all(&folder)?;
    // Two builds at once wait for each other.
    let lock = File::create(folder.join(".lock"))?;
    lock.lock()?;
    let build = Build { workspace, toolchain, sources: workspace.root.join("guests"), folder };
    let rust = &toolchain.rust.identity;
    let rust_sources =
        ["Cargo.toml", "Cargo.lock", "std", "raw", "hello-p3", "p3", "p1", "wasmedge", "parts", "inetd", "http"];
    build.kind("Rust", &rust_sources, rust, Build::rust)?;
    build.kind("C", &["c"], &toolchain.c.identity, Build::c)?;
    build.kind("Python", &["Cargo.lock", "python"], &toolchain.python.identity, Build::python)?;
    build.kind("Go", &["go"], &toolchain.go.identity, Build::go)?;
    build.kind("text", &["wat"], "", Build::text)?;
    Ok(build.folder)
}

/// Builds the JavaScript guest, which benchmarks alone have a use for.
pub(crate) fn build_javascript(workspace: &Workspace, toolchain: &Toolchain, builder: &JavaScript) -> Result<()> {
    let build =
        Build { workspace, toolchain, sources: workspace.root.join("guests"), folder: workspace.target.join("guests") };
    build.kind("JavaScript", &["Cargo.lock", "javascript"], &builder.identity, |build| build.javascript(builder))
}

struct Build<'a> {
    workspace: &'a Workspace,
    toolchain: &'a Toolchain,
    sources: PathBuf,
    folder: PathBuf,
}

impl Build<'_> {
    /// Builds one kind of guests, unless what is there was made from the same.
    fn kind(&self, kind: &str, sources: &[&str], compiler: &str, make: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        // The recipe is a source as well.
        hasher.write(include_bytes!("guests.rs"));
        hasher.write(compiler.as_bytes());
        for source in sources {
            hash(&self.sources.join(source), &mut hasher)?;
        }
        let wanted = format!("{:016x}", hasher.finish());
        let stamp = self.folder.join(format!(".{kind}"));
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        // A build that is cut short must not look complete.
        let _ = fs::remove_file(&stamp);
        step(&format!("build the {kind} guests"), || make(self))?;
        fs::write(&stamp, wanted)?;
        Ok(())
    }

    fn rust(&self) -> Result<()> {
        let target = self.workspace.target.join("guests-build");
        // Cargo does not notice when the standard library was made anew.
        let _ = fs::remove_dir_all(&target);
        let mut flags = vec!["--workspace"];
        flags.extend(PREVIEW1_PACKAGES.iter().flat_map(|(package, _)| ["--exclude", package]));
        let components = self.cargo(&target, "wasm32-wasip2", &flags)?;
        for entry in fs::read_dir(&components)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                self.keep(&path, &output_name(&path)?)?;
            }
        }
        for (package, programs) in PREVIEW1 {
            let mut flags = vec!["--package", package];
            flags.extend(programs.iter().flat_map(|name| ["--bin", name]));
            let modules = self.cargo(&target, "wasm32-wasip1", &flags)?;
            for name in *programs {
                self.keep(&modules.join(format!("{name}.wasm")), &format!("{name}-p1.wasm"))?;
            }
        }
        for (package, programs) in PREVIEW1_PACKAGES {
            let modules = self.cargo(&target, "wasm32-wasip1", &["--package", package])?;
            for name in *programs {
                self.keep(
                    &modules.join(format!("{name}.wasm")),
                    &format!("{}-p1.wasm", name.trim_start_matches("p1-")),
                )?;
            }
        }
        let examples =
            self.cargo(&target, "wasm32-wasip2", &["--package", "p3-guests", "--examples"])?.join("examples");
        for name in WASI_0_3 {
            self.keep(&examples.join(format!("{}.wasm", name.replace('-', "_"))), &format!("{name}-p3.wasm"))?;
        }
        fs::remove_dir_all(&target)?;
        Ok(())
    }

    /// Builds for one target and tells where the programs lie.
    fn cargo(&self, folder: &Path, target: &str, flags: &[&str]) -> Result<PathBuf> {
        let rust = &self.toolchain.rust;
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked", "--target", target, "--manifest-path"]);
        cargo.arg(self.workspace.guests_manifest()).args(flags);
        cargo.env("CARGO_TARGET_DIR", folder).env("PATH", &rust.path);
        // What is set for the main build is not meant for guests.
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
            cargo.env_remove(variable);
        }
        if let Some(rustc) = &rust.rustc {
            cargo.env("RUSTC", rustc);
        }
        run_quietly(&mut cargo, &self.log(target))?;
        Ok(folder.join(target).join("release"))
    }

    fn c(&self) -> Result<()> {
        for (source, target, output) in C_PROGRAMS {
            let source = self.sources.join("c").join(source);
            let mut compile = self.toolchain.c.compile(target, &source, &self.folder.join(output));
            if *target == "wasm32-wasip1" {
                // A process has no number there; wasi-libc has one to tell.
                compile.args(["-D_WASI_EMULATED_GETPID", "-lwasi-emulated-getpid"]);
            }
            run_quietly(&mut compile, &self.log(output))?;
        }
        Ok(())
    }

    fn go(&self) -> Result<()> {
        for name in GO_PROGRAMS {
            let output = format!("{name}-go-p1.wasm");
            let mut compile = self.toolchain.go.compile(&self.sources.join("go"), name, &self.folder.join(&output));
            run_quietly(&mut compile, &self.log(&output))?;
        }
        Ok(())
    }

    fn python(&self) -> Result<()> {
        // A copy, because Python leaves its own files beside what it reads.
        let scratch = self.workspace.target.join("guests-python");
        let wit = scratch.join("wit");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&wit)?;
        copy_folder(&self.sources.join("python"), &scratch)?;
        fs::rename(scratch.join("world.wit"), wit.join("world.wit"))?;
        copy_folder(&self.wasi_wit()?.0, &wit.join("deps"))?;
        for (name, world) in PYTHON_PROGRAMS {
            let output = self.folder.join(format!("{name}-python.wasm"));
            let app = format!("{name}_app");
            let mut componentize = self.toolchain.python.componentize(&scratch, &wit, world, &app, &output);
            run_quietly(&mut componentize, &self.log(&format!("{name}-python")))?;
        }
        fs::remove_dir_all(&scratch)?;
        Ok(())
    }

    fn javascript(&self, builder: &JavaScript) -> Result<()> {
        let wit = self.workspace.target.join("guests-javascript");
        let _ = fs::remove_dir_all(&wit);
        let (interfaces, version) = self.wasi_wit()?;
        fs::create_dir_all(wit.join("deps"))?;
        for text in fs::read_dir(interfaces)? {
            let text = text?;
            // Of the engine's version: the same text but for the number.
            let other = fs::read_to_string(text.path())?.replace(&version, javascript::WASI);
            fs::write(wit.join("deps").join(text.file_name()), other)?;
        }
        let sources = self.sources.join("javascript");
        fs::copy(sources.join("world.wit"), wit.join("world.wit"))?;
        let output = self.folder.join("http-javascript.wasm");
        let mut componentize = builder.componentize(&sources.join("http.js"), &wit, "proxy", &output);
        run_quietly(&mut componentize, &self.log("http-javascript"))?;
        fs::remove_dir_all(&wit)?;
        Ok(())
    }

    /// The interfaces of WASI 0.2 as text, and their version: a part of the crate `wasip2`, which Rust guests use. Some use an
    /// older one, with the same text.
    fn wasi_wit(&self) -> Result<(PathBuf, String)> {
        let metadata = cargo_metadata(&self.workspace.guests_manifest(), &["--locked"])?;
        let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
        let wasip2 = packages.iter().find(|package| package["name"] == "wasip2").context("no guest uses wasip2")?;
        let manifest = wasip2["manifest_path"].as_str().context("wasip2 has no path")?;
        let version = wasip2["version"].as_str().and_then(|version| Some(version.split_once("+wasi-")?.1));
        let version = version.context("wasip2 does not tell its version of WASI")?;
        Ok((Path::new(manifest).with_file_name("wit").join("deps"), version.to_owned()))
    }

    fn text(&self) -> Result<()> {
        copy_folder(&self.sources.join("wat"), &self.folder)
    }

    fn keep(&self, built: &Path, name: &str) -> Result<()> {
        fs::copy(built, self.folder.join(name)).with_context(|| format!("cannot copy {}", built.display()))?;
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.toolchain.logs.join(format!("guests-{name}.log"))
    }
}

/// Cargo writes a library's name with underscores, a program's as it is.
fn output_name(path: &Path) -> Result<String> {
    let name = path.file_name().context("a program has a name")?.to_string_lossy();
    Ok(name.replace('_', "-"))
}

/// Adds the names and contents of a file or a whole folder.
fn hash(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    hasher.write(path.to_string_lossy().as_bytes());
    if !path.is_dir() {
        hasher.write(&fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().filter(|entry| !entry.ends_with("target")).try_for_each(|entry| hash(entry, hasher))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
