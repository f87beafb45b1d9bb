//! `cord-bench`: measures every row of the table of speed, ours beside its peers in the same run, and writes down what came
//! of it. `cargo xtask bench` builds what it needs and starts it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program that measures looks at the clock, connects, and speaks to whoever started it"
)]

mod board;
mod contest;
mod far;
mod load;
mod machine;
mod peer;
mod plots;
mod report;
mod results;
mod rows;
mod runner;
mod setting;

use anyhow::{Context as _, Result, bail};
use machine::Machine;
use results::{Results, RowResult};
use rows::ROWS;
use setting::Setting;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask bench [--peers] [--parts] [--quick | --report] [ROW]...

Measures the rows named, or all of them, and writes bench/results.json, bench/plots/*.svg, and the tables in README.md and
docs/performance.md. Where those are of another machine, rows that are named are only shown; all rows together replace them.

    --peers   first installs what is compared with and can be got: wasmtime, crun, runc, bubblewrap, podman
    --parts   runs Criterion's benchmarks of single parts instead
    --quick   two rounds of each, and writes nothing: to see that all works
    --report  measures nothing, and writes tables and plots anew
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cord-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    if let [flag, role, rest @ ..] = arguments
        && flag == "--role"
    {
        return match role.as_str() {
            "bare-run" => runner::play(rest),
            "idle-clients" => rows::density::play(rest),
            role => board::play(role, rest),
        };
    }
    let is_given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let ids: Vec<&str> = ROWS.iter().map(|(id, _)| *id).collect();
    if is_given("--help") {
        println!("{HELP}\nRows: {}", ids.join(", "));
        return Ok(());
    }
    let names: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    for argument in arguments {
        if !ids.contains(&argument.as_str()) && !matches!(argument.as_str(), "--quick" | "--report") {
            bail!("no row or flag {argument} (rows: {})", ids.join(", "));
        }
    }
    let file = Path::new("bench/results.json");
    let kept = Results::read(file)?;
    if is_given("--report") {
        return report::write(&kept.context("nothing was measured yet")?);
    }
    let (setting, machine, commit) = (Setting::find(is_given("--quick"))?, Machine::here(), machine::commit());
    println!("On {}, {commit}.", machine.describe());
    let is_from_here = kept.as_ref().is_none_or(|kept| kept.machine == machine);
    // Rows of two machines in one table would say nothing.
    let writes = !is_given("--quick") && (is_from_here || names.is_empty());
    if !writes {
        println!("{} stays as it is{}", file.display(), if is_from_here { "" } else { ": it is of another machine" });
    }
    let mut results = kept.filter(|_| is_from_here).unwrap_or_else(|| Results::on(machine));
    results.note_peers(setting.peers());
    let mut failed = Vec::new();
    for (id, measure) in ROWS {
        if !names.is_empty() && !names.iter().any(|name| name == id) {
            continue;
        }
        match measure(&setting) {
            Ok(row) => {
                println!("\n{}", report::text(&row));
                results.put(RowResult { commit: commit.clone(), ..row }, &ids);
                if writes {
                    results.write(file)?;
                }
            }
            Err(error) => {
                eprintln!("cord-bench: {id}: {error:#}");
                failed.push(*id);
            }
        }
    }
    if writes {
        report::write(&results)?;
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}
