//! The tests and the other checks, the same for a developer and for the build server.

use crate::environment::Environment;
use crate::process::{run, words};
use crate::programs::{self, Programs};
use crate::setup::{self, Toolchain};
use crate::steps::now;
use crate::workspace::Workspace;
use crate::{fuzz, guests, instructions, tidy};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// Every crate but the compiler, which is never built together with the others (see [`programs`]).
const WITHOUT_COMPILER: &[&str] = &["--workspace", "--exclude", "compiler"];
const COMPILER: &[&str] = &["--package", "compiler"];

/// The crates whose tests want no other features of the engine's dependencies than `cord` as built has: what was compiled
/// for it, minutes of work, serves them too.
const WITH_CORDS_FEATURES: &[&str] =
    &["--workspace", "--exclude", "compiler", "--exclude", "edge", "--exclude", "http-server"];
/// The edges and the front door are tested on a clock that tests can set, which `cord` does not have.
const EDGE: &[&str] = &["--package", "edge", "--package", "http-server"];

/// The test that means something else when it is run on what is shipped.
const OF_WHAT_IS_SHIPPED: &str = "only_the_hostile_program_holds_the_harness";

/// Sets up, builds, and runs every test. `arguments` go to the test runner.
pub(crate) fn test(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    let tests = Tests::set_up(workspace, environment, programs::build)?;
    for packages in [WITH_CORDS_FEATURES, COMPILER, EDGE] {
        tests.run(packages, arguments)?;
    }
    // A choice of tests is a choice among these, and the documentation's are not.
    if arguments.is_empty() {
        for packages in [WITH_CORDS_FEATURES, EDGE] {
            show_and_run(cargo(workspace, &["test", "--quiet", "--doc"]).args(packages))?;
        }
    }
    Ok(())
}

/// Sets up, builds, and runs the tests on the programs as they are shipped. `arguments` go to the test runner.
pub(crate) fn shipped(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    Tests::set_up(workspace, environment, programs::build_release)?.run(WITH_CORDS_FEATURES, arguments)
}

/// All that tests need, and who runs them.
struct Tests<'a> {
    workspace: &'a Workspace,
    runner: &'static [&'static str],
    variables: Variables,
    hostile: PathBuf,
}

impl<'a> Tests<'a> {
    fn set_up(
        workspace: &'a Workspace,
        environment: &Environment,
        programs: fn(&Workspace) -> Result<Programs>,
    ) -> Result<Self> {
        let toolchain = setup::toolchain(environment)?;
        let guests = guests::build(workspace, &toolchain)?;
        let programs = programs(workspace)?;
        let hostile = programs::build_hostile(workspace)?;
        let runner: &[&str] = match environment.find_program("cargo-nextest") {
            Some(_) => &["nextest", "run", "--no-tests=pass"],
            None => &["test", "--tests"],
        };
        Ok(Self { workspace, runner, variables: Variables::new(&toolchain, programs, guests), hostile })
    }

    fn run(&self, packages: &[&str], arguments: &[String]) -> Result<()> {
        let mut tests = cargo(self.workspace, self.runner);
        tests.args(packages).args(arguments);
        self.variables.give(&mut tests);
        show_and_run(tests.env("CORD_HOSTILE_BIN", &self.hostile))
    }
}

/// Everything that must hold before a change is taken. Warnings are errors here, and only here.
pub(crate) fn ci(workspace: &Workspace, environment: &Environment) -> Result<()> {
    let started = now();
    show_and_run(&mut cargo(workspace, &["fmt", "--all", "--check"]))?;
    // Workspaces of their own, which the first does not see.
    for manifest in [workspace.guests_manifest(), workspace.fuzz_manifest()] {
        if manifest.exists() {
            show_and_run(cargo(workspace, &["fmt", "--all", "--check", "--manifest-path"]).arg(manifest))?;
        }
    }
    tidy::run(workspace)?;
    for packages in [WITHOUT_COMPILER, COMPILER] {
        let mut clippy = cargo(workspace, &["clippy", "--quiet", "--all-targets"]);
        show_and_run(clippy.args(packages).args(["--", "-D", "warnings"]))?;
        let mut doc = cargo(workspace, &["doc", "--quiet", "--no-deps"]);
        show_and_run(doc.args(packages).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    test(workspace, environment, &[])?;
    let of_what_is_shipped = Tests::set_up(workspace, environment, programs::build_release_cord)?;
    of_what_is_shipped.run(WITH_CORDS_FEATURES, &[OF_WHAT_IS_SHIPPED.to_owned()])?;
    instructions::run(workspace, environment, &[])?;
    fuzz::targets(workspace, environment, fuzz::AMONG_CHECKS, &[])?;
    eprintln!("all checks passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// What tests of whole programs are told.
pub(crate) struct Variables {
    programs: Programs,
    guests: PathBuf,
    sshd: PathBuf,
    python: PathBuf,
    path: String,
}

impl Variables {
    /// The variables for these programs.
    pub(crate) fn new(toolchain: &Toolchain, programs: Programs, guests: PathBuf) -> Self {
        let (sshd, python) = (toolchain.sshd.clone(), toolchain.python.interpreter.clone());
        Self { programs, guests, sshd, python, path: toolchain.path.clone() }
    }

    /// Tells them to a command.
    pub(crate) fn give(&self, command: &mut Command) {
        command.env("CORD_BIN", &self.programs.cord).env("CORD_COMPILE_BIN", &self.programs.compile);
        command.env("CORD_GUESTS", &self.guests).env("CORD_SSHD", &self.sshd).env("CORD_PYTHON", &self.python);
        command.env("PATH", &self.path);
    }
}

/// A cargo command in the workspace.
pub(crate) fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(&workspace.root);
    command
}

/// Says what is run, runs it, and says how long it took.
pub(crate) fn show_and_run(command: &mut Command) -> Result<()> {
    let (started, shown) = (now(), words(command));
    eprintln!("$ {shown}");
    run(command).context("a check failed")?;
    eprintln!("  {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
