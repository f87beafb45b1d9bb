//! The counts as recorded in the repository: what is kept with them, and when they count as worse.

use crate::process::output_of;
use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Write};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The instructions of each path.
pub(super) type Counts = BTreeMap<&'static str, u64>;

/// A path may take so many thousandths more than recorded, or less: what was won is to be held, too. Counted twenty times
/// on a machine with six times as much to do as it has cores, requests and connections scattered by nine thousandths, a
/// start by less than one.
const TOLERANCE: u64 = 30;

/// Counts, and all that must be the same for others to be compared with them.
#[derive(Debug)]
pub(super) struct Record {
    /// The compiler, valgrind, and the processor, by these names.
    made_with: BTreeMap<String, String>,
    paths: BTreeMap<String, u64>,
}

impl Record {
    /// Counts made here and now.
    pub(super) fn of_this_machine(valgrind: &str, counts: Counts) -> Result<Self> {
        let rustc = output_of(Command::new("rustc").arg("--version"))?;
        let made_with = [("rustc", rustc), ("valgrind", valgrind.to_string()), ("processor", processor())];
        Ok(Self {
            made_with: made_with.map(|(name, value)| (name.to_string(), value)).into(),
            paths: counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect(),
        })
    }

    /// Those of a file.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| {
            format!("cannot read {} (`cargo xtask instructions --update` makes it)", file.display())
        })?;
        let value = serde_json::from_slice(&text).ok();
        value.as_ref().and_then(Self::from_json).with_context(|| format!("{} is no record of counts", file.display()))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&self.to_json())?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_string()));
        let count = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
        Some(Self {
            made_with: value["made with"].as_object()?.iter().map(text).collect::<Option<_>>()?,
            paths: value["instructions"].as_object()?.iter().map(count).collect::<Option<_>>()?,
        })
    }

    fn to_json(&self) -> Value {
        let made_with: Map<String, Value> =
            self.made_with.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let paths: Map<String, Value> =
            self.paths.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
        serde_json::json!({ "made with": made_with, "instructions": paths })
    }

    /// Why these cannot be compared with the recorded ones, if they cannot.
    pub(super) fn made_otherwise(&self, recorded: &Self) -> Option<String> {
        let differs = self.made_with.iter().find(|(name, value)| recorded.made_with.get(*name) != Some(*value));
        differs.map(|(name, here)| match recorded.made_with.get(name) {
            Some(there) => format!("{name} is {here} here and was {there} there"),
            None => format!("it does not tell the {name}"),
        })
    }

    /// Whether the compiler is another one.
    pub(super) fn is_of_another_compiler(&self, recorded: &Self) -> bool {
        self.made_with.get("rustc") != recorded.made_with.get("rustc")
    }

    /// A line for each path that is not where it was recorded.
    pub(super) fn moved_from(&self, recorded: &Self) -> Vec<String> {
        let mut moved = Vec::new();
        for (path, &count) in &self.paths {
            match recorded.paths.get(path) {
                Some(&before) if count.abs_diff(before).saturating_mul(1000) > before.saturating_mul(TOLERANCE) => {
                    let change = change(before, count);
                    moved.push(format!("{path}: from {before} to {count} instructions, {change} (3 % is let pass)"));
                }
                Some(_) => {}
                None => moved.push(format!("{path}: {count} instructions, and none recorded")),
            }
        }
        let gone = recorded.paths.keys().filter(|path| !self.paths.contains_key(*path));
        moved.extend(gone.map(|path| format!("{path}: recorded, and no longer counted")));
        moved
    }

    /// A line for each path, with what was recorded.
    pub(super) fn beside(&self, recorded: &Self) -> String {
        let mut text = String::new();
        for (path, &count) in &self.paths {
            let change = recorded.paths.get(path).map_or("new".to_string(), |&before| change(before, count));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    {path}: {count} instructions, {change}");
        }
        text.trim_end().to_string()
    }
}

/// The counts alone, each in a line.
impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.paths.iter().try_for_each(|(path, count)| writeln!(f, "    {path}: {count} instructions"))
    }
}

/// How much more or less that is, as one says it.
fn change(before: u64, count: u64) -> String {
    let tenths = |part: u64| {
        let tenths = part.saturating_mul(1000) / before.max(1);
        format!("{}.{} %", tenths / 10, tenths % 10)
    };
    match count.checked_sub(before) {
        Some(more) => format!("{} more", tenths(more)),
        None => format!("{} less", tenths(before - count)),
    }
}

/// What of the processor decides which of its routines the C library takes: valgrind passes that on.
fn processor() -> String {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let wide = flags.split_whitespace().any(|flag| flag == "avx2");
    format!("{}{}", std::env::consts::ARCH, if wide { " with avx2" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(paths: &[(&str, u64)]) -> Record {
        Record {
            made_with: [("rustc".to_string(), "rustc 1.95.0".to_string())].into(),
            paths: paths.iter().map(|(path, count)| ((*path).to_string(), *count)).collect(),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bench/counts.json");
        let written = record(&[("start", 1_371_384), ("request", 266_000)]);
        written.write(&file).unwrap();
        let read = Record::read(&file).unwrap();
        assert_eq!((read.paths, read.made_with), (written.paths, written.made_with));
        fs::write(&file, "{}").unwrap();
        assert!(Record::read(&file).unwrap_err().to_string().ends_with("is no record of counts"));
    }

    #[test]
    fn a_path_is_where_it_was_within_three_percent() {
        let recorded = record(&[("start", 100_000), ("request", 1000)]);
        assert!(record(&[("start", 103_000), ("request", 970)]).moved_from(&recorded).is_empty());
        let moved = record(&[("start", 103_001), ("request", 969)]).moved_from(&recorded);
        let [request, start] = moved.as_slice() else { panic!("{moved:?}") };
        assert_eq!(request, "request: from 1000 to 969 instructions, 3.1 % less (3 % is let pass)");
        assert_eq!(start, "start: from 100000 to 103001 instructions, 3.0 % more (3 % is let pass)");
    }

    #[test]
    fn a_path_that_is_new_or_gone_wants_a_new_record() {
        let moved = record(&[("start", 10)]).moved_from(&record(&[("request", 10)]));
        assert_eq!(moved, ["start: 10 instructions, and none recorded", "request: recorded, and no longer counted"]);
    }

    #[test]
    fn counts_of_another_compiler_are_not_compared() {
        let recorded = record(&[]);
        assert_eq!(record(&[("start", 1)]).made_otherwise(&recorded), None);
        let mut other = record(&[]);
        other.made_with.insert("rustc".to_string(), "rustc 1.96.0".to_string());
        let difference = other.made_otherwise(&recorded).unwrap();
        assert_eq!(difference, "rustc is rustc 1.96.0 here and was rustc 1.95.0 there");
        assert!(other.is_of_another_compiler(&recorded));
        other = record(&[]);
        other.made_with.insert("valgrind".to_string(), "valgrind-3.24.0".to_string());
        assert_eq!(other.made_otherwise(&recorded).unwrap(), "it does not tell the valgrind");
        assert!(!other.is_of_another_compiler(&recorded));
    }

    #[test]
    fn a_change_is_told_in_tenths_of_a_percent() {
        assert_eq!(change(1000, 1057), "5.7 % more");
        assert_eq!(change(1000, 900), "10.0 % less");
        assert_eq!(change(1000, 1000), "0.0 % more");
    }
}
