//! The same walk through the network of one guest, here and where the kernel's own sockets are behind it.

use cord_tests::cord::Cord;
use cord_tests::process::{Outcome, Running};
use cord_tests::programs;
use std::process::{Command, Stdio};

const EVERYTHING: &[&str] = &["-c", "*:*", "-c", "udp://*:*"];

fn under_cord(flags: &[&str], guest: &str, arguments: &[&str]) -> Outcome {
    let outcome = Cord::run_guest(flags, guest, arguments).run();
    outcome.expect_silent_success();
    outcome
}

fn under_wasmtime(wasmtime: &std::path::Path, guest: &str, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(wasmtime);
    command.args(["run", "-S", "inherit-network", "-S", "allow-ip-name-lookup"]).arg(programs::guest(guest));
    let outcome = Running::start(command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped())).wait();
    outcome.expect_code(0);
    outcome
}

/// Prints the lines that differ, which is easier to read than two long texts.
#[track_caller]
fn expect_same(what: &str, ours: &str, theirs: &str, other: &str) {
    let differing: Vec<String> = ours
        .lines()
        .zip(theirs.lines())
        .filter(|(ours, theirs)| ours != theirs)
        .map(|(ours, theirs)| format!("  cord:     {ours}\n  {other}{theirs}"))
        .collect();
    assert!(differing.is_empty(), "{what}:\n{}", differing.join("\n"));
    assert_eq!(ours.lines().count(), theirs.lines().count(), "{what}: {ours}\n{theirs}");
}

/// What every call answers, written down once and read by a person.
const EXPECTED: &str = include_str!("net_tour.txt");

#[test]
fn the_walk_is_as_written_down() {
    let ours = under_cord(EVERYTHING, "net-tour.wasm", &[]);
    expect_same("net-tour", &ours.text(), EXPECTED, "written:  ");
}

#[test]
fn the_walk_is_the_same_under_wasmtime() {
    let Some(wasmtime) = wasmtime() else { return };
    for part in ["tcp", "udp", "names", "calls"] {
        let ours = under_cord(EVERYTHING, "net-tour.wasm", &[part]);
        let theirs = under_wasmtime(&wasmtime, "net-tour.wasm", &[part]);
        expect_same(part, &ours.text(), &theirs.text(), "wasmtime: ");
    }
}

#[test]
fn every_check_of_the_interface_holds_under_wasmtime_too() {
    let Some(wasmtime) = wasmtime() else { return };
    for part in ["options", "bind", "listen", "join", "udp-granted", "exchange"] {
        let ours = under_cord(EVERYTHING, "sockets.wasm", &[part]);
        let theirs = under_wasmtime(&wasmtime, "sockets.wasm", &[part]);
        expect_same(part, &ours.text(), &theirs.text(), "wasmtime: ");
    }
}

/// What is compared with, if it is installed. That it is not is said where the test's output is read.
#[expect(clippy::print_stderr, reason = "who reads the test's output should know that nothing was compared")]
fn wasmtime() -> Option<std::path::PathBuf> {
    let found = programs::wasmtime();
    if found.is_none() {
        eprintln!("LEFT OUT: no wasmtime on the search path or in CORD_WASMTIME, so nothing was compared");
    }
    found
}
