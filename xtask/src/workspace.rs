//! Where the project is and what it is made of, as cargo tells.

use crate::process::output_of;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The main workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, wherever the user put it.
    pub(crate) target: PathBuf,
    /// The members, in cargo's order.
    pub(crate) members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its package name.
    pub(crate) name: String,
    /// Its folder, relative to the workspace.
    pub(crate) folder: PathBuf,
    /// The members it depends on, its tests aside, and what only tests switch on.
    pub(crate) uses: Vec<String>,
}

impl Workspace {
    /// Asks cargo about the workspace this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
        let metadata = cargo_metadata(&manifest.join("Cargo.toml"), &["--no-deps"])?;
        Self::from_metadata(&metadata).context("cargo metadata is not as expected")
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let root = PathBuf::from(metadata["workspace_root"].as_str()?);
        let packages = metadata["packages"].as_array()?;
        let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
        let mut members = Vec::new();
        for package in packages {
            let manifest = Path::new(package["manifest_path"].as_str()?);
            members.push(Member {
                name: package["name"].as_str()?.to_string(),
                folder: manifest.parent()?.strip_prefix(&root).ok()?.to_path_buf(),
                uses: members_used(package, &names, &root.join("tests"))?,
            });
        }
        Some(Self { target: PathBuf::from(metadata["target_directory"].as_str()?), root, members })
    }

    /// The manifest of the guest programs, which are a workspace of their own.
    pub(crate) fn guests_manifest(&self) -> PathBuf {
        self.root.join("guests/Cargo.toml")
    }

    /// The manifest of the fuzz targets, likewise.
    pub(crate) fn fuzz_manifest(&self) -> PathBuf {
        self.root.join("fuzz/Cargo.toml")
    }
}

/// Path dependencies on other members. A path is what tells our `wasi` from the registry's. What lies in the folder of the
/// tests and is optional is there for a program that only tests build.
fn members_used(package: &Value, names: &[&str], tests: &Path) -> Option<Vec<String>> {
    let mut uses = Vec::new();
    for dependency in package["dependencies"].as_array()? {
        let name = dependency["name"].as_str()?;
        let Some(path) = dependency["path"].as_str() else { continue };
        let of_tests = Path::new(path).starts_with(tests) && dependency["optional"] == true;
        let for_tests = dependency["kind"] == "dev" || of_tests;
        if !for_tests && names.contains(&name) {
            uses.push(name.to_string());
        }
    }
    Some(uses)
}

/// What `cargo metadata` says about a manifest.
pub(crate) fn cargo_metadata(manifest: &Path, flags: &[&str]) -> Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--quiet", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .args(flags)
        .output()
        .context("cannot run cargo")?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// The target that rustc compiles for when none is named.
pub(crate) fn host() -> Result<String> {
    let version = output_of(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_uses_members_by_path_only() {
        let dependency =
            |name: &str, kind: Value, path: Value| serde_json::json!({"name": name, "kind": kind, "path": path});
        let metadata = serde_json::json!({
            "workspace_root": "/project",
            "target_directory": "/elsewhere",
            "packages": [
                {"name": "wasi", "manifest_path": "/project/crates/wasi/Cargo.toml", "dependencies": []},
                {"name": "attacker", "manifest_path": "/project/tests/attacker/Cargo.toml", "dependencies": []},
                {"name": "stage", "manifest_path": "/project/tests/stage/Cargo.toml", "dependencies": []},
                {"name": "cli", "manifest_path": "/project/crates/cli/Cargo.toml", "dependencies": [
                    dependency("wasi", Value::Null, "/project/crates/wasi".into()),
                    dependency("wasi", Value::Null, Value::Null),
                    dependency("wasi", "dev".into(), "/project/crates/wasi".into()),
                    serde_json::json!({"name": "attacker", "path": "/project/tests/attacker", "optional": true}),
                    serde_json::json!({"name": "stage", "path": "/project/tests/stage", "optional": false}),
                    dependency("serde", Value::Null, Value::Null),
                ]},
            ],
        });
        let workspace = Workspace::from_metadata(&metadata).unwrap();
        assert_eq!(workspace.target, Path::new("/elsewhere"));
        assert_eq!(workspace.members[3].folder, Path::new("crates/cli"));
        assert_eq!(workspace.members[3].uses, ["wasi", "stage"]);
    }
}
