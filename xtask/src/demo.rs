//! The first run: an unmodified program reaches a real OpenSSH server through the switchboard, and only where granted.

use crate::environment::Environment;
use crate::process::words;
use crate::setup::{self, Toolchain};
use crate::sshd::{Sshd, listens, may_listen};
use crate::workspace::Workspace;
use crate::{guests, programs};
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 22);

/// The argument of the demonstration when it starts itself in a network of its own.
pub(crate) const INSIDE: &str = "--inside";

/// Sets up, builds, and shows the program with a grant and without.
pub(crate) fn run(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    let toolchain = setup::toolchain(environment)?;
    let guests = guests::build(workspace, &toolchain)?;
    eprintln!("  build cord and cord-compile (the first time takes minutes)");
    let programs = programs::build(workspace)?;
    let server = if listens(SERVER) {
        println!("\nSomebody listens on {SERVER} already: that server is used.");
        None
    } else if may_listen(SERVER) {
        println!("\nStarting an OpenSSH server on {SERVER}, for as long as this takes.");
        Some(Sshd::start(&toolchain, SERVER)?)
    } else {
        ensure!(arguments.is_empty(), "even in a network of our own nobody may listen on {SERVER}");
        return in_a_network_of_our_own(&toolchain);
    };
    let guest = guests.join("banner.wasm");
    println!("\nWith a grant for {SERVER}:\n");
    let mut granted = cord(&programs.cord, workspace);
    // A server that is not ours waits for a login longer than anybody wants to watch.
    if server.is_none() {
        granted.args(["--timeout", "5s"]);
    }
    granted.args(["-c", "127.0.0.1:22"]).arg(shown(&guest, workspace)).arg("127.0.0.1");
    let code = show(&mut granted)?;
    if server.is_some() {
        ensure!(code == Some(0), "the program failed although it was granted what it asked for");
    }
    println!("\nWithout one:\n");
    let mut refused = cord(&programs.cord, workspace);
    refused.arg(shown(&guest, workspace)).arg("127.0.0.1");
    let code = show(&mut refused)?;
    ensure!(code != Some(0), "the program connected although nothing was granted");
    println!("\nThe program is guests/std/src/bin/banner.rs: plain std::net, not a word about Cordboard.");
    Ok(())
}

/// Port 22 is for root, so everything is done again where this user may: in a user and network namespace.
fn in_a_network_of_our_own(toolchain: &Toolchain) -> Result<()> {
    println!("\nOnly root may serve port 22 here: going on in a network of our own (unshare --user --net).");
    let program = std::env::current_exe().context("this program has no path")?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-current-user", "--keep-caps", "--net", "sh", "-c"]);
    unshare.arg(format!("ip link set lo up && exec \"$0\" demo {INSIDE}")).arg(program);
    let status = unshare.env("PATH", &toolchain.path).status().context("cannot run unshare")?;
    ensure!(status.success(), "it failed there; else run the demo as root, or start an sshd on {SERVER}");
    Ok(())
}

fn cord(program: &Path, workspace: &Workspace) -> Command {
    let mut command = Command::new(program);
    command.arg("run").current_dir(&workspace.root);
    command
}

/// A path as one would type it in the workspace.
fn shown<'a>(path: &'a Path, workspace: &Workspace) -> &'a Path {
    path.strip_prefix(&workspace.root).unwrap_or(path)
}

/// Shows a command line, runs it, and says how it ended.
fn show(command: &mut Command) -> Result<Option<i32>> {
    let line = words(command);
    let typed = line.split_once(' ').map_or("", |(_, arguments)| arguments);
    println!("$ cord {typed}");
    let status = command.status().context("cannot run cord")?;
    println!("({status})");
    Ok(status.code())
}
