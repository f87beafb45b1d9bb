//! Runs other programs: their output kept for when they fail, their time bounded where they may hang.

use crate::steps::now;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// So much of a log is shown when its command failed.
const LOG_LINES_SHOWN: usize = 30;
const POLL: Duration = Duration::from_millis(100);

/// Runs a command that shows its own output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", name(command)))?;
    if !status.success() {
        bail!("{} {}", words(command), describe(status));
    }
    Ok(())
}

/// Runs a command whose output nobody wants to see, unless it fails: then the end of it is part of the error.
pub(crate) fn run_quietly(command: &mut Command, log: &Path) -> Result<()> {
    let status = with_log(command, log)?.wait()?;
    finish(command, log, status)
}

/// As [`run_quietly`], for a command that may hang: it is ended when for `patience` neither its log nor the folder
/// `watched` grew.
pub(crate) fn run_while_it_moves(command: &mut Command, log: &Path, watched: &Path, patience: Duration) -> Result<()> {
    let mut child = with_log(command, log)?;
    let mut seen = 0;
    let mut moved = now();
    loop {
        if let Some(status) = child.try_wait()? {
            return finish(command, log, status);
        }
        let size = size_of(log) + size_of(watched);
        if size != seen {
            (seen, moved) = (size, now());
        } else if moved.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("{} did nothing for {} s", words(command), patience.as_secs());
        }
        sleep(POLL);
    }
}

/// What a command prints, without the last line end.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", name(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} {}: {}", words(command), describe(output.status), said.trim());
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("{} printed no text", name(command)))?;
    Ok(text.trim_end().to_string())
}

fn with_log(command: &mut Command, log: &Path) -> Result<Child> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.spawn().with_context(|| format!("cannot run {}", name(command)))
}

fn finish(command: &Command, log: &Path, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    bail!("{} {}\n{}\n(all of it: {})", words(command), describe(status), shown.join("\n"), log.display())
}

/// The bytes of a file, or of all files right in a folder.
fn size_of(path: &Path) -> u64 {
    if path.is_file() {
        return path.metadata().map_or(0, |metadata| metadata.len());
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("failed with exit code {code}"),
        None => "was ended by a signal".to_string(),
    }
}

fn name(command: &Command) -> String {
    PathBuf::from(command.get_program()).display().to_string()
}

/// The command line as one would type it.
pub(crate) fn words(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name(command)).chain(arguments).collect::<Vec<_>>().join(" ")
}
