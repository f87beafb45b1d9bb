//! Says what was measured: on the terminal, in the README, and in `docs/performance.md`. Tables stand between marks, and what
//! is written around them stays.

use crate::plots;
use crate::results::{Better, Entry, Results, Role, RowResult, Verdict};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The rows that the README shows.
const IN_README: &[&str] = &["process", "instance", "guest-connect", "stream-send", "http", "idle"];
const BEGIN: &str = "<!-- written by cargo xtask bench: begin -->";
const END: &str = "<!-- written by cargo xtask bench: end -->";

/// Writes tables and plots.
pub(crate) fn write(results: &Results) -> Result<()> {
    replace(Path::new("README.md"), &short(results))?;
    replace(Path::new("docs/performance.md"), &long(results))?;
    plots::write(results, Path::new("bench/plots"))
}

/// A row for the terminal.
pub(crate) fn text(row: &RowResult) -> String {
    let mut text = format!("{}: {} [{}]\n", row.id, row.title, row.unit);
    for entry in &row.entries {
        let p99 = worst(entry).map(|p99| format!("  p99 {p99}")).unwrap_or_default();
        let times = times(row, entry).map(|times| format!("  {times}")).unwrap_or_default();
        let _ = writeln!(text, "  {:52} {:>10}{times}{p99}", entry.name, number(entry.median));
    }
    for verdict in &row.targets {
        let _ = writeln!(text, "  {}: {}", verdict.says, judged(verdict));
    }
    for left_out in &row.left_out {
        let _ = writeln!(text, "  left out: {left_out}");
    }
    text
}

fn short(results: &Results) -> String {
    let mut text =
        format!("Measured on {}:\n\n| what | Cordboard | beside it |\n|---|---|---|\n", results.machine.describe());
    for row in results.rows.iter().filter(|row| IN_README.contains(&row.id.as_str())) {
        let Some(ours) = row.ours() else { continue };
        let others = row.entries.iter().filter(|entry| entry.name != ours.name);
        let others: Vec<String> =
            others.map(|entry| format!("{} {}", entry.name, with_unit(entry.median, &row.unit))).collect();
        let figure = with_unit(ours.median, &row.unit);
        let _ = writeln!(text, "| {} | {}: **{figure}** | {} |", row.title, ours.name, others.join("; "));
    }
    text
}

fn long(results: &Results) -> String {
    let mut text = format!("Measured on {}.\n", results.machine.describe());
    if !results.peers.is_empty() {
        let _ = writeln!(text, "\nThe programs of others: {}.", results.peers.join("; "));
    }
    for row in &results.rows {
        let better = match row.better {
            Better::Lower => "less is better",
            Better::Higher => "more is better",
        };
        let _ = writeln!(text, "\n### {}: {}\n\n![{0}](../bench/plots/{0}.svg)\n", row.id, row.title);
        let _ = writeln!(
            text,
            "`cargo xtask bench {}`, {}, {}; in {}, {better}.\n",
            row.id, row.date, row.commit, row.unit
        );
        text.push_str("| | median | p99 | times ours | samples | by hand |\n|---|---|---|---|---|---|\n");
        for entry in &row.entries {
            let name = match entry.role {
                Role::Ours => format!("**{}**", entry.name),
                Role::Floor => format!("{} (floor)", entry.name),
                Role::Peer => entry.name.clone(),
            };
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | `{}` |",
                number(entry.median),
                worst(entry).unwrap_or_default(),
                times(row, entry).unwrap_or_default(),
                entry.samples,
                entry.how
            );
        }
        for verdict in &row.targets {
            let _ = writeln!(text, "\n- Target: {}. {}", verdict.says, judged(verdict));
        }
        if !row.left_out.is_empty() {
            let _ = writeln!(text, "\nLeft out: {}.", row.left_out.join("; "));
        }
    }
    text
}

fn worst(entry: &Entry) -> Option<String> {
    let latency = entry.p99_latency_us.map(|us| with_unit(us, "us"));
    latency.or_else(|| entry.p99.map(number))
}

/// How many times the figure of whom it is compared with.
fn times(row: &RowResult, entry: &Entry) -> Option<String> {
    let ours = row.ours().map(|ours| ours.name.as_str());
    let than = entry.than.as_deref().filter(|name| Some(*name) != ours);
    let than = than.map(|name| format!(" ({name})")).unwrap_or_default();
    row.times(entry).map(|times| format!("{times:.2} x{than}"))
}

fn judged(verdict: &Verdict) -> String {
    match (verdict.figure, verdict.is_met) {
        (Some(figure), Some(true)) => format!("Met: {}.", number(figure)),
        (Some(figure), Some(false)) => format!("**Not met**: {}.", number(figure)),
        _ => "Not judged: somebody is missing.".to_owned(),
    }
}

fn with_unit(figure: f64, unit: &str) -> String {
    match unit {
        "us" if figure >= 1_000.0 => format!("{} ms", number(figure / 1_000.0)),
        "1/s" => format!("{}/s", number(figure)),
        unit => format!("{} {unit}", number(figure)),
    }
}

/// With three digits that mean something.
pub(crate) fn number(figure: f64) -> String {
    match figure {
        figure if figure >= 1_000.0 => {
            let digits = format!("{figure:.0}");
            let mut grouped = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        figure if figure >= 100.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

/// Puts a table between the marks of a file.
fn replace(path: &Path, table: &str) -> Result<()> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let replaced = between(&text, table).with_context(|| format!("{shown} has no marks for a table"))?;
    fs::write(path, replaced).with_context(|| format!("cannot write {shown}"))
}

fn between(text: &str, table: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}\n{table}{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_mean_something() {
        let shown = [0.5, 9.876, 12.34, 123.4, 1_234.5, 1_234_567.0].map(number);
        assert_eq!(shown, ["0.50", "9.88", "12.3", "123", "1,234", "1,234,567"]);
    }

    #[test]
    fn what_stands_around_a_table_stays() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter");
        let new = between(&text, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}\nafter"));
        assert_eq!(between(&new, "new\n").unwrap(), new);
        assert_eq!(between("no marks", "new"), None);
    }
}
