//! Runs the benchmarks on programs as they are shipped.

use crate::checks::{Variables, cargo, show_and_run};
use crate::environment::Environment;
use crate::workspace::Workspace;
use crate::{guests, programs, setup};
use anyhow::Result;
use std::process::Command;

/// Installs the peers first.
const PEERS: &str = "--peers";
/// Runs Criterion's benchmarks of single parts instead.
const PARTS: &str = "--parts";

/// Sets up, builds as it is shipped, and measures. `arguments` go to `cord-bench`, or with `--parts` to Criterion.
pub(crate) fn run(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    let toolchain = setup::toolchain(environment)?;
    let guests = guests::build(workspace, &toolchain)?;
    let is_given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let rest = arguments.iter().filter(|argument| !matches!(argument.as_str(), PEERS | PARTS));
    if is_given(PARTS) {
        let mut parts = cargo(workspace, &["bench", "--package", "cord-bench", "--"]);
        return show_and_run(parts.args(rest));
    }
    // The compiler for daily work makes the same code, and is not what is measured but in one row, which says so.
    let programs = programs::build_release_cord(workspace)?;
    let bench = programs::build_bench(workspace)?;
    let peers = if is_given(PEERS) { Some(setup::peers(environment, &toolchain)?) } else { None };
    if is_given(PEERS) {
        match setup::javascript_builder(environment)? {
            Ok(builder) => guests::build_javascript(workspace, &toolchain, &builder)?,
            Err(why) => println!("no JavaScript guest: {why}"),
        }
    }
    let mut command = Command::new(bench);
    command.args(rest).current_dir(&workspace.root);
    // The engine's backtraces cost what nobody who ships has set.
    command.env_remove("RUST_BACKTRACE");
    Variables::new(&toolchain, programs, guests).give(&mut command);
    if let Some(peers) = peers {
        command.env("PATH", peers.path).env("CORD_PEER_LIBRARIES", peers.libraries);
    }
    show_and_run(&mut command)
}
