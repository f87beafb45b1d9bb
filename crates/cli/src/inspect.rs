//! `cord ls` and `cord watch`: what is registered, and what is decided.

use crate::exit::Fault;
use crate::parts::{anyhow_of, block_on};
use crate::{connect, print_line};
use capability::Labels;
use manifest::flags::{Format, ListFlags};
use protocol::message::{Decision, TargetInfo};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Lists the targets.
pub(crate) fn list(flags: &ListFlags) -> Result<ExitCode, Fault> {
    let labels = connect::labels(&flags.labels)?;
    block_on(async {
        let targets = connect::open(&flags.socket).map_err(anyhow_of)?.list(&labels).await?;
        for target in &targets {
            let line = match flags.format {
                Format::Text => text_of_target(target),
                Format::Json => json_of_target(target).to_string(),
            };
            print_line(&line).map_err(anyhow_of)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Prints decisions as they fall, until the switchboard ends.
pub(crate) fn watch(flags: &ListFlags) -> Result<ExitCode, Fault> {
    let labels = connect::labels(&flags.labels)?;
    block_on(async {
        let decisions = connect::open(&flags.socket).map_err(anyhow_of)?.watch(&labels).await?;
        while let Some(decision) = decisions.next().await {
            let line = match flags.format {
                Format::Text => text_of_decision(&decision),
                Format::Json => json_of_decision(&decision).to_string(),
            };
            print_line(&line).map_err(anyhow_of)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn text_of_target(target: &TargetInfo) -> String {
    let replicas = if target.replicas > 1 { format!(" ({} replicas)", target.replicas) } else { String::new() };
    format!("{:<8} {}{replicas}", target.kind.name(), target.in_labels).trim_end().to_owned()
}

fn json_of_target(target: &TargetInfo) -> Value {
    json!({ "kind": target.kind.name(), "in_labels": json_of_labels(&target.in_labels), "replicas": target.replicas })
}

fn text_of_decision(decision: &Decision) -> String {
    let mut line = String::new();
    if decision.lost > 0 {
        line = format!("({} decisions left out)\n", decision.lost);
    }
    let verdict = match &decision.failure {
        None => "allowed".to_owned(),
        Some(failure) => format!("refused: {failure}"),
    };
    line += &format!("{} [{}]", decision.request, decision.from);
    if !decision.to.is_empty() {
        line += &format!(" -> [{}]", decision.to);
    }
    format!("{line} {verdict} ({} us)", decision.took.as_micros())
}

fn json_of_decision(decision: &Decision) -> Value {
    json!({
        "request": decision.request,
        "from": json_of_labels(&decision.from),
        "to": json_of_labels(&decision.to),
        "allowed": decision.failure.is_none(),
        "failure": decision.failure.as_ref().map(ToString::to_string),
        "microseconds": u64::try_from(decision.took.as_micros()).unwrap_or(u64::MAX),
        "lost": decision.lost,
    })
}

fn json_of_labels(labels: &Labels) -> Value {
    let pair = |(key, value): (&capability::LabelKey, &capability::LabelValue)| {
        (key.as_str().to_owned(), Value::from(value.as_str()))
    };
    Value::Object(labels.iter().map(pair).collect::<Map<_, _>>())
}
