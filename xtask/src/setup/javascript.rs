//! The builder of the JavaScript guest: componentize-js, which brings an engine for guests, four hundred megabytes of it with
//! all it needs. So it is set up for benchmarks alone, and only where the system has Node.js with npm.

use super::debian::Debian;
use super::{complete, is_complete};
use crate::environment::Environment;
use crate::process::{output_of, run_quietly};
use crate::steps::step;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BUILDER: &str = "@bytecodealliance/componentize-js@0.23.0";
/// Node.js of this version or later.
const NODE: u32 = 20;
/// The version of WASI whose interfaces the engine in the builder has.
pub(crate) const WASI: &str = "0.2.10";
/// Builds the component of a file: source, folder of interfaces, world, output.
const COMPONENTIZE: &str = "
import { componentize } from '@bytecodealliance/componentize-js';
import { writeFile } from 'node:fs/promises';
const [sourcePath, witPath, worldName, output] = process.argv.slice(2);
const { component } = await componentize({ sourcePath, witPath, worldName });
await writeFile(output, component);
";

/// A builder of JavaScript guests.
#[derive(Debug)]
pub(crate) struct JavaScript {
    node: PathBuf,
    /// Beside the packages, as the script looks for them there.
    script: PathBuf,
    /// Changes when everything built with it must be built anew.
    pub(crate) identity: String,
}

/// Finds or makes the builder; or says what the system lacks.
pub(super) fn set_up(environment: &Environment, debian: &Debian) -> Result<Result<JavaScript, String>> {
    let (Some(node), Some(npm)) = (environment.find_program("node"), environment.find_program("npm")) else {
        return Ok(Err("Node.js and npm are not installed".to_owned()));
    };
    let told = output_of(Command::new(&node).arg("--version")).unwrap_or_default();
    let version = told.trim_start_matches('v').split('.').next().and_then(|number| number.parse().ok());
    if version.is_none_or(|version: u32| version < NODE) {
        return Ok(Err(format!("Node.js {NODE} is needed, and {told} is installed")));
    }
    let (folder, stamp) = (debian.path("javascript"), debian.path("javascript.complete"));
    let script = folder.join("componentize.mjs");
    if !is_complete(&stamp, BUILDER) {
        fs::create_dir_all(&folder)?;
        step("fetch componentize-js for the JavaScript guest", || {
            let mut npm = Command::new(npm);
            npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(BUILDER);
            run_quietly(&mut npm, &debian.log("npm"))
        })?;
        fs::write(&script, COMPONENTIZE)?;
        complete(&stamp, BUILDER)?;
    }
    Ok(Ok(JavaScript { node, script, identity: BUILDER.to_owned() }))
}

impl JavaScript {
    /// The command that builds the component of a file.
    pub(crate) fn componentize(&self, source: &Path, wit: &Path, world: &str, output: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(&self.script).arg(source).arg(wit).arg(world).arg(output);
        command
    }
}
