//! Entering the jail as `--jail` says, and `cord doctor`, which tells what this machine can give.

use crate::exit::{self, Fault};
use crate::print_line;
use anyhow::anyhow;
use jail::{Jailed, Layer, Layers, Plan, Role, User};
use manifest::flags::{DoctorFlags, Format, JailMode};
use serde_json::json;
use std::process::ExitCode;

/// Whether what is not in force is said, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// On standard error.
    Aloud,
    /// Not: the process that started this one says it.
    Nothing,
}

/// Gives up what `plan` does not leave.
pub(crate) fn enter(mode: JailMode, plan: &Plan<'_>, telling: Telling) -> Result<(), Fault> {
    if mode == JailMode::Off {
        if telling == Telling::Aloud {
            let what = match plan.role {
                Role::Runner => "the guest is held back by WebAssembly's sandbox alone",
                _ => "this process is not held back",
            };
            exit::say(format_args!("the jail is off: {what}"));
        }
        return Ok(());
    }
    let jailed = jail::enter(&Plan { layers: layers(plan.layers), ..plan.clone() });
    for missing in jailed.missing {
        let is_asked_for = missing.layer == Layer::Capabilities && matches!(plan.user, User::Is { .. });
        let line = format!("{:#}", anyhow::Error::new(missing));
        if is_asked_for {
            return Err(Fault::Ours(anyhow!("{line}; --user is asked for, and nothing is run as anybody else")));
        }
        if mode == JailMode::On {
            let cure = "cord doctor shows what there is, --jail best-effort goes without";
            return Err(Fault::Ours(anyhow!("{line}; {cure}")));
        }
        if telling == Telling::Aloud {
            exit::say(line);
        }
    }
    Ok(())
}

/// The layers to put on.
#[cfg(not(feature = "escape-harness"))]
fn layers(all: Layers) -> Layers {
    all
}

/// The layers to put on: a test that shows what each of them does leaves some out.
#[cfg(feature = "escape-harness")]
#[expect(clippy::disallowed_methods, reason = "the tests' way to choose layers; not in any program that is shipped")]
fn layers(all: Layers) -> Layers {
    let named = |variable: &str| std::env::var(variable).ok();
    let find = |name: &str| Layer::ALL.into_iter().find(|layer| layer.name() == name);
    if let Some(only) = named("CORD_JAIL_ONLY") {
        return only.split(',').filter_map(find).fold(Layers::NONE, Layers::with);
    }
    let without = named("CORD_JAIL_WITHOUT").unwrap_or_default();
    without.split(',').filter_map(find).fold(all, Layers::without)
}

/// Puts the jail of a runner on, and shows what holds.
pub(crate) fn doctor(flags: &DoctorFlags) -> Result<ExitCode, Fault> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    let kernel = kernel.map_or("this kernel".to_owned(), |release| format!("Linux {}", release.trim()));
    let Jailed { in_force, missing, landlock } = jail::enter(&Plan::new(Role::Runner));
    let reason = |layer: Layer| missing.iter().find(|missing| missing.layer == layer).map(|missing| &missing.source);
    if flags.format == Format::Text {
        print_line(&format!("{:<13} {:<9} denies the process around a guest", "layer", "in force"))?;
    }
    for layer in Layer::ALL {
        let is_in_force = in_force.contains(&layer);
        let line = match (flags.format, reason(layer)) {
            (Format::Json, why) => json!({
                "layer": layer.name(), "in_force": is_in_force, "denies": layer.denies(), "needs": layer.needs(),
                "reason": why.map(ToString::to_string),
            })
            .to_string(),
            (Format::Text, None) => format!("{:<13} {:<9} {}", layer.name(), "yes", layer.denies()),
            (Format::Text, Some(why)) => {
                format!("{:<13} {:<9} {} (needs {}; {why})", layer.name(), "NO", layer.denies(), layer.needs())
            }
        };
        print_line(&line)?;
    }
    if flags.format == Format::Text {
        print_line("")?;
        if !landlock.scopes && in_force.contains(&Layer::Landlock) {
            print_line(
                "Landlock knows no scopes here (Linux 6.12): abstract sockets and signals are seccomp's alone.",
            )?;
        }
        print_line(&match missing.len() {
            0 => format!("{kernel}: cord run --jail on works here."),
            count => format!("{kernel}: {count} missing; cord run needs --jail best-effort here."),
        })?;
    }
    Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
