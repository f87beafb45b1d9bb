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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failed_command_shows_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/it.log");
        let error = run_quietly(&mut shell("seq 100; echo broken >&2; exit 3"), &log).unwrap_err().to_string();
        assert!(error.contains("failed with exit code 3\n72\n"), "{error}");
        assert!(error.contains("\n100\nbroken\n(all of it: "), "{error}");
    }

    #[test]
    fn a_command_that_stands_still_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("it.log");
        let patience = Duration::from_millis(300);
        let error = run_while_it_moves(&mut shell("exec sleep 600"), &log, folder.path(), patience).unwrap_err();
        assert!(error.to_string().contains("did nothing for"), "{error}");
    }

    #[test]
    fn a_command_that_moves_may_take_longer_than_the_patience() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("it.log");
        let script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done";
        run_while_it_moves(&mut shell(script), &log, folder.path(), Duration::from_millis(1000)).unwrap();
    }

    #[test]
    fn output_is_text_without_its_last_line_end() {
        assert_eq!(output_of(&mut shell("echo one; echo two")).unwrap(), "one\ntwo");
        let error = output_of(&mut shell("echo why >&2; exit 1")).unwrap_err().to_string();
        assert!(error.ends_with("failed with exit code 1: why"), "{error}");
    }
}
