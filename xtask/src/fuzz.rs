//! Feeds the fuzz targets for a while, each from its committed seeds, and tells which input broke one.
//!
//! What is found on the way lies in `target/fuzz`, so that the tree stays as it is: `corpus/TARGET` grows from run to run
//! and `findings/TARGET` has every input that broke the target. The compiler's flags for coverage are those that
//! `cargo fuzz` gives, but for the address sanitizer: our code is safe Rust, and without it a stable compiler will do.

use crate::checks::show_and_run;
use crate::environment::Environment;
use crate::process::words;
use crate::steps::step;
use crate::workspace::{Workspace, cargo_metadata, host};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long each target runs unless somebody says otherwise.
const USUAL: Duration = Duration::from_secs(30);
/// How long each runs among the other checks, where it proves that the seeds pass and that nothing is found at once.
pub(crate) const AMONG_CHECKS: Duration = Duration::from_secs(10);

/// An input that takes longer is a finding.
const INPUT_SECONDS: u32 = 20;
/// More memory than this is a finding.
const MEMORY_MIB: u32 = 1024;

/// What makes the compiler count the edges that an input takes, and see what it is compared with.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // More units would hide the tables of all but one from the linker.
    "-Ccodegen-units=1",
];

/// `[SECONDS] [TARGET]...`
pub(crate) fn run(workspace: &Workspace, environment: &Environment, arguments: &[String]) -> Result<()> {
    let (time, names) = match arguments.split_first() {
        Some((first, rest)) if first.bytes().all(|byte| byte.is_ascii_digit()) => {
            (Duration::from_secs(first.parse().context("SECONDS is too large")?), rest)
        }
        _ => (USUAL, arguments),
    };
    targets(workspace, environment, time, names)
}

/// Builds and runs the targets named, or all.
pub(crate) fn targets(
    workspace: &Workspace,
    environment: &Environment,
    time: Duration,
    names: &[String],
) -> Result<()> {
    let all = known_targets(&workspace.fuzz_manifest())?;
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("no fuzz target `{unknown}`; there are {}", all.join(", "));
    }
    // The fuzzer itself is C++, compiled by cargo.
    ensure!(
        environment.find_program("c++").is_some(),
        "no C++ compiler: the fuzzer needs `c++` (Debian: apt-get install g++)"
    );
    let folder = workspace.target.join("fuzz");
    let programs = build(workspace, &folder)?;
    for name in if names.is_empty() { &all } else { names } {
        let place = Place {
            program: programs.join(name),
            seeds: workspace.root.join("fuzz/seeds").join(name),
            corpus: folder.join("corpus").join(name),
            findings: folder.join("findings").join(name),
            log: folder.join(format!("{name}.log")),
        };
        let seen = step(&format!("fuzz {name}"), || place.feed(time))?;
        eprintln!("    {seen}");
    }
    Ok(())
}

fn known_targets(manifest: &Path) -> Result<Vec<String>> {
    let metadata = cargo_metadata(manifest, &["--no-deps"])?;
    let targets = metadata["packages"][0]["targets"].as_array().context("cargo metadata is not as expected")?;
    let programs = targets.iter().filter(|target| target["kind"][0] == "bin");
    Ok(programs.filter_map(|target| Some(target["name"].as_str()?.to_string())).collect())
}

/// Builds all targets and tells where they are.
fn build(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let host = host()?;
    let mut cargo = Command::new("cargo");
    // With a target named, programs that only the build runs are compiled without the flags.
    cargo.args(["build", "--quiet", "--release", "--locked", "--bins", "--target", &host, "--target-dir"]).arg(folder);
    cargo.arg("--manifest-path").arg(workspace.fuzz_manifest()).current_dir(&workspace.root);
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", COVERAGE.join(" "));
    show_and_run(&mut cargo)?;
    Ok(folder.join(host).join("release"))
}

/// One target and its files.
struct Place {
    program: PathBuf,
    seeds: PathBuf,
    corpus: PathBuf,
    findings: PathBuf,
    log: PathBuf,
}

impl Place {
    /// Runs the target for `time` and says what it saw.
    fn feed(&self, time: Duration) -> Result<Seen> {
        fs::create_dir_all(&self.corpus)?;
        fs::create_dir_all(&self.findings)?;
        let mut fuzzer = Command::new(&self.program);
        // New inputs are written to the first folder only.
        fuzzer.arg(&self.corpus).arg(&self.seeds);
        fuzzer.arg(format!("-artifact_prefix={}/", self.findings.display()));
        // Zero would be without end.
        fuzzer.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        fuzzer.args([format!("-timeout={INPUT_SECONDS}"), format!("-rss_limit_mb={MEMORY_MIB}")]);
        fuzzer.arg("-print_final_stats=1");
        let log = File::create(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        fuzzer.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let status = fuzzer.status().with_context(|| format!("cannot run {}", self.program.display()))?;
        let said = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if !status.success() {
            bail!("{}\n(all of it: {}; again: {})", finding(&said), self.log.display(), words(&fuzzer));
        }
        seen(&said).with_context(|| format!("without coverage it is no fuzzing (see {})", self.log.display()))
    }
}

/// What a target told at its end.
#[derive(Debug, PartialEq)]
struct Seen {
    inputs: u64,
    first_coverage: u64,
    coverage: u64,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} inputs, cov: {} at first, {} at last", self.inputs, self.first_coverage, self.coverage)
    }
}

/// Reads the fuzzer's log.
///
/// # Errors
/// If no coverage was measured: then the compiler's flags did nothing, and the inputs were mere noise.
fn seen(log: &str) -> Result<Seen> {
    let inputs = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let inputs = inputs.and_then(|count| count.trim().parse().ok()).context("the fuzzer did not count its inputs")?;
    let coverage: Vec<u64> = log.lines().filter_map(coverage).collect();
    let (Some(&first_coverage), Some(&coverage)) = (coverage.first(), coverage.last()) else {
        bail!("the fuzzer printed no `cov:`");
    };
    ensure!(coverage > 0, "`cov:` stayed at 0");
    Ok(Seen { inputs, first_coverage, coverage })
}

fn coverage(line: &str) -> Option<u64> {
    line.split_once(" cov: ")?.1.split_whitespace().next()?.parse().ok()
}

/// What broke the target: its own words, and the file that has the input.
fn finding(log: &str) -> String {
    let is_told = |line: &&str| {
        line.contains("panicked at") || line.contains("Test unit written to") || line.starts_with("SUMMARY:")
    };
    let mut told = Vec::new();
    let mut lines = log.lines();
    while let Some(line) = lines.next() {
        if is_told(&line) {
            told.push(line);
            // The message of a panic is in the line after it.
            told.extend(line.contains("panicked at").then(|| lines.next()).flatten());
        }
    }
    if told.is_empty() {
        told.extend(log.lines().last());
    }
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: Loaded 1 modules (9 inline 8-bit counters)\n#2\tINITED cov: 7 ft: 8 corp: 1/1b\n\
                       #9\tNEW    cov: 9 ft: 12 corp: 2/3b\nstat::number_of_executed_units: 1234\n";

    #[test]
    fn the_log_tells_how_much_was_seen() {
        assert_eq!(seen(LOG).unwrap(), Seen { inputs: 1234, first_coverage: 7, coverage: 9 });
    }

    #[test]
    fn a_run_without_feedback_fails() {
        let blind = "#2\tINITED exec/s: 0\nstat::number_of_executed_units: 1234\n";
        assert_eq!(seen(blind).unwrap_err().to_string(), "the fuzzer printed no `cov:`");
        let zeros = LOG.replace("cov: 7", "cov: 0").replace("cov: 9", "cov: 0");
        assert_eq!(seen(&zeros).unwrap_err().to_string(), "`cov:` stayed at 0");
        assert_eq!(seen("").unwrap_err().to_string(), "the fuzzer did not count its inputs");
    }

    #[test]
    fn a_finding_is_the_panic_and_the_file_with_the_input() {
        let log = "#2 cov: 7\nthread '<unnamed>' panicked at a.rs:1:2:\nno handle is lost\nnote: run\n\
                   artifact_prefix='f/'; Test unit written to f/crash-1\nBase64: AA==\n";
        let told = "thread '<unnamed>' panicked at a.rs:1:2:\nno handle is lost\n\
                    artifact_prefix='f/'; Test unit written to f/crash-1";
        assert_eq!(finding(log), told);
        assert_eq!(finding("cannot open\n"), "cannot open");
    }
}
