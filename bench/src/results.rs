//! What was measured, as it is kept in `bench/results.json`, and whether it is what was aimed at.

use crate::machine::Machine;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// All rows, and where they were measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// What the programs of others call themselves.
    #[serde(default)]
    pub(crate) peers: Vec<String>,
    pub(crate) rows: Vec<RowResult>,
}

/// What came of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RowResult {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// When, by the calendar of Greenwich.
    pub(crate) date: String,
    /// Of which state of the source.
    pub(crate) commit: String,
    pub(crate) entries: Vec<Entry>,
    /// Who was not there, and why.
    pub(crate) left_out: Vec<String>,
    pub(crate) targets: Vec<Verdict>,
}

/// What one contestant came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// What to type to see the same alone.
    pub(crate) how: String,
    pub(crate) median: f64,
    /// In the unit of the row; of rows with a hundred figures or more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) p99: Option<f64>,
    /// Where the row's figure is a rate: how long answers took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) p99_latency_us: Option<f64>,
    pub(crate) samples: usize,
    /// Whose figure its own is shown as a multiple of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) than: Option<String>,
}

/// Why somebody is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Ours,
    /// The same without our duties: nobody can be faster.
    Floor,
    /// What a user would take instead.
    Peer,
}

/// Which figure is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// What figures are in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) better: Better,
    in_a_second: f64,
}

impl Unit {
    pub(crate) const MICROSECONDS: Self = Self { name: "us", better: Better::Lower, in_a_second: 1e6 };
    pub(crate) const MILLISECONDS: Self = Self { name: "ms", better: Better::Lower, in_a_second: 1e3 };
    pub(crate) const PER_SECOND: Self = Self { name: "1/s", better: Better::Higher, in_a_second: 1.0 };
    pub(crate) const GIGABYTES_PER_SECOND: Self = Self { name: "GB/s", better: Better::Higher, in_a_second: 1.0 };
    pub(crate) const MEBIBYTES: Self = Self { name: "MiB", better: Better::Lower, in_a_second: 1.0 };

    /// A time in this unit.
    pub(crate) fn of(self, time: Duration) -> f64 {
        time.as_secs_f64() * self.in_a_second
    }
}

/// What is aimed at: a figure of ours, held against a number or somebody else's figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// As the design says it.
    pub(crate) says: &'static str,
    /// Whose figure.
    pub(crate) ours: &'static str,
    pub(crate) bound: Bound,
}

/// What a figure of ours is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// At most this, in the unit of the row.
    Number(f64),
    TimesAtMost(f64, &'static str),
    TimesAtLeast(f64, &'static str),
}

/// Whether a target was met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) says: String,
    /// Ours, or how many times the other's ours is. None: somebody was not there.
    pub(crate) figure: Option<f64>,
    pub(crate) is_met: Option<bool>,
}

impl RowResult {
    pub(crate) fn new(
        id: &str,
        title: &str,
        unit: Unit,
        entries: Vec<Entry>,
        left_out: Vec<String>,
        targets: &[Target],
    ) -> Self {
        let targets = targets.iter().map(|target| target.judge(&entries)).collect();
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            unit: unit.name.to_owned(),
            better: unit.better,
            date: crate::machine::today(),
            commit: String::new(),
            entries,
            left_out,
            targets,
        }
    }

    /// Our first figure.
    pub(crate) fn ours(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.role == Role::Ours)
    }

    /// How many times the figure of whom it is compared with an entry's is; none of one that stands for itself.
    pub(crate) fn times(&self, entry: &Entry) -> Option<f64> {
        let other = match &entry.than {
            Some(name) => self.entries.iter().find(|other| other.name == *name)?,
            None => self.ours()?,
        };
        (other.name != entry.name).then(|| entry.median / other.median)
    }
}

impl Target {
    fn judge(&self, entries: &[Entry]) -> Verdict {
        let median = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.median);
        let times = |other: &str| Some(median(self.ours)? / median(other)?);
        let (figure, is_met): (_, fn(f64, f64) -> bool) = match self.bound {
            Bound::Number(_) => (median(self.ours), |figure, bound| figure <= bound),
            Bound::TimesAtMost(_, other) => (times(other), |figure, bound| figure <= bound),
            Bound::TimesAtLeast(_, other) => (times(other), |figure, bound| figure >= bound),
        };
        let (Bound::Number(bound) | Bound::TimesAtMost(bound, _) | Bound::TimesAtLeast(bound, _)) = self.bound;
        Verdict { says: self.says.to_owned(), figure, is_met: figure.map(|figure| is_met(figure, bound)) }
    }
}

impl Results {
    /// What was measured before, if anything was.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read(path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Nothing yet.
    pub(crate) fn on(machine: Machine) -> Self {
        Self { machine, peers: Vec::new(), rows: Vec::new() }
    }

    /// Notes the programs of others that are here now. Those of rows that were measured with more stay noted.
    pub(crate) fn note_peers(&mut self, peers: Vec<String>) {
        let name = |line: &str| line.split([' ', ':']).next().unwrap_or_default().to_owned();
        self.peers.retain(|kept| peers.iter().all(|here| name(here) != name(kept)));
        self.peers.extend(peers);
        self.peers.sort_unstable();
    }

    /// Puts a row into the place of an older one.
    pub(crate) fn put(&mut self, row: RowResult, order: &[&str]) {
        self.rows.retain(|kept| kept.id != row.id);
        self.rows.push(row);
        self.rows.sort_by_key(|row| order.iter().position(|id| *id == row.id));
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, median: f64) -> Entry {
        let role = Role::Peer;
        let (name, how) = (name.to_owned(), String::new());
        Entry { name, role, how, median, p99: None, p99_latency_us: None, samples: 1, than: None }
    }

    fn judge(bound: Bound) -> (Option<f64>, Option<bool>) {
        let target = Target { says: "", ours: "cord", bound };
        let Verdict { figure, is_met, .. } = target.judge(&[entry("cord", 6.0), entry("peer", 2.0)]);
        (figure, is_met)
    }

    #[test]
    fn a_target_is_a_number_or_a_multiple() {
        assert_eq!(judge(Bound::Number(6.0)), (Some(6.0), Some(true)));
        assert_eq!(judge(Bound::Number(5.9)), (Some(6.0), Some(false)));
        assert_eq!(judge(Bound::TimesAtMost(2.9, "peer")), (Some(3.0), Some(false)));
        assert_eq!(judge(Bound::TimesAtLeast(3.0, "peer")), (Some(3.0), Some(true)));
        assert_eq!(judge(Bound::TimesAtLeast(3.1, "peer")), (Some(3.0), Some(false)));
    }

    #[test]
    fn a_figure_is_compared_with_our_first_or_with_whom_it_names() {
        let ours = |name: &str, median| Entry { role: Role::Ours, ..entry(name, median) };
        let than = |entry: Entry, name: &str| Entry { than: Some(name.to_owned()), ..entry };
        let entries = vec![
            ours("small", 2.0),
            than(ours("large", 20.0), "large"),
            entry("peer", 6.0),
            than(entry("peer, large", 10.0), "large"),
            than(entry("lost", 1.0), "nobody"),
        ];
        let row = RowResult::new("", "", Unit::MICROSECONDS, entries, Vec::new(), &[]);
        let times: Vec<_> = row.entries.iter().map(|entry| row.times(entry)).collect();
        assert_eq!(times, [None, None, Some(3.0), Some(0.5), None]);
    }

    #[test]
    fn peers_of_earlier_rows_stay_noted() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let mut results = Results::on(Machine::here());
        results.note_peers(lines(&["wasmtime 48.0.8", "wrk: wrk 4.1"]));
        results.note_peers(lines(&["socat: socat 1.7", "wrk: wrk 4.2"]));
        assert_eq!(results.peers, ["socat: socat 1.7", "wasmtime 48.0.8", "wrk: wrk 4.2"]);
    }

    #[test]
    fn what_cannot_be_understood_is_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        assert!(Results::read(&file).unwrap().is_none());
        fs::write(&file, "{").unwrap();
        assert!(Results::read(&file).is_err());
    }

    #[test]
    fn against_somebody_who_is_not_there_nothing_is_met_or_missed() {
        assert_eq!(judge(Bound::TimesAtLeast(3.0, "nobody")), (None, None));
    }
}
