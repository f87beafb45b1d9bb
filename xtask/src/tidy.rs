//! The rules of the source tree that are tests: prose that nothing holds to is a wish.

mod crate_table;
mod licences;
mod sources;

use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with no source of ours.
const SKIPPED: &[&str] = &["target", ".git"];

/// What a rule has to say.
#[derive(Debug, Default, PartialEq)]
struct Findings {
    /// What must be changed.
    faults: Vec<String>,
    /// What may be as it is, and should be looked at.
    warnings: Vec<String>,
}

/// Holds the tree against every rule.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut findings = Findings::default();
    let mut files = Vec::new();
    rust_files(&workspace.root, &mut files)?;
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        sources::check(file.strip_prefix(&workspace.root).unwrap_or(file), &text, &mut findings);
    }
    let page = fs::read_to_string(workspace.root.join("ARCHITECTURE.md")).context("cannot read ARCHITECTURE.md")?;
    crate_table::check(&page, &workspace.members, &mut findings);
    licences::check(workspace, &mut findings)?;
    for warning in &findings.warnings {
        eprintln!("tidy: warning: {warning}");
    }
    for fault in &findings.faults {
        eprintln!("tidy: {fault}");
    }
    ensure!(findings.faults.is_empty(), "{} faults", findings.faults.len());
    eprintln!("tidy: {} files and {} crates are in order", files.len(), workspace.members.len());
    Ok(())
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_ref()) {
                rust_files(&path, found)?;
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    Ok(())
}
