//! The project's own commands: what `cargo xtask NAME` does.
//!
//! Every command sets up what it needs by itself and is quick when all is there, so that a fresh machine with Rust and
//! a C compiler needs nothing else typed. This file knows the commands; each has a module of its own. Nobody but cargo's
//! alias calls this program, and no crate of the project depends on it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program speaks to whoever typed it")]

mod bench;
mod checks;
mod demo;
mod environment;
mod fuzz;
mod guests;
mod instructions;
mod process;
mod programs;
mod setup;
mod sshd;
mod steps;
mod tidy;
mod workspace;

use anyhow::{Result, bail};
use environment::Environment;
use std::process::ExitCode;
use workspace::Workspace;

const HELP: &str = "\
cargo xtask COMMAND [ARGS]...

    demo          the first run: an unmodified program reads the banner of a real sshd, with a grant and without
    test [ARGS]   all tests; ARGS go to the test runner (cargo nextest, else cargo test)
    shipped [ARGS]
                  the same tests on `cord` and `cord-compile` as they are shipped: in the release profile
    ci            what the build server runs: format, clippy, docs, tidy, tests, instruction counts, fuzzing;
                  warnings are errors
    bench [--peers] [--parts] [--quick | --report] [ROW]...
                  measures the rows of docs/performance.md, or those named, on what is shipped, and writes down what
                  came of it; --peers sets up what is compared with first, --quick is a rehearsal that writes nothing,
                  --report writes tables and plots anew, --parts runs Criterion's benchmarks instead
    instructions [--update]
                  counts by valgrind how many instructions a start, a connection and a request take, and fails where
                  it is 3 % off what bench/instructions.json says; or writes the counts there
    fuzz [SECONDS] [TARGET]...
                  each fuzz target, or those named, for 30 seconds or as many as said; needs a C++ compiler
    tidy          the rules of the source tree that are tests: module docs, names, unsafe, the crate table,
                  licences
    release       `cord` and `cord-compile` as they are shipped, into target/programs/release
    build         the programs `cord` and `cord-compile`, and the guest programs
    guests        the guest programs alone, into target/guests
    setup         the guest toolchain alone
    peers         the programs that benchmarks compare with alone; wasmtime is built, which takes ten minutes and more

Each command sets up what it needs first. The guest toolchain lives in one folder, and deleting that removes it:
$CORD_GUEST_TOOLCHAIN, else $XDG_CACHE_HOME/cordboard/guest-toolchain, else ~/.cache/cordboard/guest-toolchain.

CORD_GUEST_RUST=rustup|debian   where Rust's standard library for guests comes from; without it: what is there,
                                else rustup, else Debian's packages
WASI_SDK_PATH=FOLDER            a wasi-sdk to compile the C guests with, instead of Debian's clang
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", arguments),
    };
    if matches!(command, "help" | "--help" | "-h") || rest.first().is_some_and(|word| word == "--help") {
        println!("{HELP}");
        return Ok(());
    }
    let takes_arguments = matches!(command, "test" | "shipped" | "bench" | "fuzz" | "instructions")
        || (command == "demo" && rest == [demo::INSIDE]);
    if !rest.is_empty() && !takes_arguments {
        bail!("`{command}` takes no arguments (see `cargo xtask help`)");
    }
    let environment = Environment::read();
    let workspace = Workspace::find()?;
    match command {
        "setup" => setup::toolchain(&environment).map(drop),
        "peers" => {
            let peers = setup::peers(&environment, &setup::toolchain(&environment)?)?;
            println!("PATH={}\nLD_LIBRARY_PATH={}", peers.path, peers.libraries);
            Ok(())
        }
        "guests" => guests::build(&workspace, &setup::toolchain(&environment)?).map(drop),
        "release" => programs::build_release(&workspace).map(drop),
        "build" => {
            programs::build(&workspace)?;
            guests::build(&workspace, &setup::toolchain(&environment)?).map(drop)
        }
        "test" => checks::test(&workspace, &environment, rest),
        "shipped" => checks::shipped(&workspace, &environment, rest),
        "ci" => checks::ci(&workspace, &environment),
        "demo" => demo::run(&workspace, &environment, rest),
        "bench" => bench::run(&workspace, &environment, rest),
        "instructions" => instructions::run(&workspace, &environment, rest),
        "fuzz" => fuzz::run(&workspace, &environment, rest),
        "tidy" => tidy::run(&workspace),
        other => bail!("no command `{other}` (see `cargo xtask help`)"),
    }
}
