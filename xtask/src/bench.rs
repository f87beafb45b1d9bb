//! Runs the benchmarks on programs as they are shipped.

use crate::checks::{Variables, cargo, show_and_run};
use crate::environment::Environment;
use crate::workspace::Workspace;
use crate::{guests, programs, setup};
use anyhow::Result;

/// Sets up, builds in the release profile, and runs every benchmark. `arguments` go to them.
pub(crate) fn run(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    let toolchain = setup::toolchain(environment)?;
    let guests = guests::build(workspace, &toolchain)?;
    let programs = programs::build_release(workspace)?;
    let mut benches = cargo(workspace, &["bench", "--package", "cord-benches"]);
    if !arguments.is_empty() {
        benches.arg("--").args(arguments);
    }
    Variables::new(&toolchain, programs, guests).give(&mut benches);
    show_and_run(&mut benches)
}
