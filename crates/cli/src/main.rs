//! `cord`: takes the command line, opens what it names, and hands over to the crate that does the work.

mod broker;
mod cat;
mod code;
mod confine;
mod connect;
mod descriptors;
mod door;
mod exit;
mod guest;
mod hints;
mod inspect;
mod log;
mod logging;
mod open_fds;
mod parts;
mod per_connection;
mod requests;
mod run;
mod serve;
mod workers;

#[cfg(all(feature = "escape-harness", not(debug_assertions)))]
compile_error!("the escape harness is for tests: no program that is shipped may hold it");

use exit::Fault;
use manifest::{Command, Typed};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let typed = match Typed::parse_line(std::env::args_os()) {
        Ok(typed) => typed,
        Err(usage) => return exit::usage(&usage),
    };
    match dispatch(typed.command) {
        Ok(code) => code,
        Err(fault @ Fault::Told) => fault.code(),
        Err(fault) => {
            exit::say(format_args!("{fault}"));
            fault.code()
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Fault> {
    match command {
        Command::Run(flags) => run::run(flags),
        Command::Serve(flags) => serve::serve(flags),
        Command::Broker(flags) => broker::serve(&flags),
        Command::Switchboard(flags) => parts::switchboard(&flags),
        Command::Ingress(flags) => parts::ingress(&flags),
        Command::Egress(flags) => parts::egress(&flags),
        Command::Resolver(flags) => parts::resolver(&flags),
        Command::Cat(flags) => cat::cat(&flags),
        Command::Ls(flags) => inspect::list(&flags),
        Command::Watch(flags) => inspect::watch(&flags),
        Command::Doctor(flags) => confine::doctor(&flags),
    }
}

/// Writes one line to standard output. A closed pipe (`cord ls | head -1`) is the reader's wish, not a fault.
fn print_line(line: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    match out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::ours(anyhow::Error::new(error).context("cannot write to standard output")))
        }
        _ => Ok(()),
    }
}
