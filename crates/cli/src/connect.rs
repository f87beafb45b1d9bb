//! The door to a running switchboard: its socket's path, and labels as they are typed.

use crate::exit::Fault;
use anyhow::Context;
use capability::Labels;
use client::Handle;
use std::path::Path;

/// Opens the strongest handle of the switchboard at `socket`.
///
/// # Authority
/// Everything that switchboard can do: whoever can open the socket holds it.
pub(crate) fn open(socket: &Path) -> Result<Handle, Fault> {
    let shown = socket.display();
    let descriptor = fdpass::connect(socket)
        .with_context(|| format!("cannot reach a switchboard at {shown} (start one with: cord switchboard {shown})"))?;
    Ok(Handle::new(descriptor).context("cannot use the switchboard's socket")?)
}

/// The label set that was typed.
pub(crate) fn labels(typed: &[(String, String)]) -> Result<Labels, Fault> {
    let mut labels = Labels::new();
    for (key, value) in typed {
        labels.insert(key, value).with_context(|| format!("bad label {key}={value}"))?;
    }
    Ok(labels)
}
