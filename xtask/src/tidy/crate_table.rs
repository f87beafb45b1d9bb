//! Holds the crate table of `ARCHITECTURE.md` against the workspace, both ways: every crate has a row, every row a
//! crate, and a crate uses only crates of rows above its own.

use super::Findings;
use crate::workspace::Member;

const HEADING: &str = "## Crates";
const COLUMNS: [&str; 4] = ["layer", "crate", "duty", "never"];

/// Holds the table in `page` against the members that lie under `crates/`.
pub(super) fn check(page: &str, members: &[Member], findings: &mut Findings) {
    let crates: Vec<&Member> = members.iter().filter(|member| member.folder.starts_with("crates")).collect();
    let rows = match rows(page) {
        Ok(rows) => rows,
        Err(fault) => return findings.faults.push(format!("ARCHITECTURE.md: {fault}")),
    };
    let place = |name: &str| rows.iter().position(|row| row.name == name);
    for (index, row) in rows.iter().enumerate() {
        if !crates.iter().any(|member| member.name == row.name) {
            findings.faults.push(format!("ARCHITECTURE.md: `{}` has a row and is no crate", row.name));
        }
        if place(&row.name) != Some(index) {
            findings.faults.push(format!("ARCHITECTURE.md: `{}` has two rows", row.name));
        }
        if row.never.is_empty() {
            findings.faults.push(format!("ARCHITECTURE.md: `{}` has no `never`", row.name));
        }
    }
    for member in crates {
        match place(&member.name) {
            Some(own) => check_uses(member, own, &place, findings),
            None => findings.faults.push(format!("ARCHITECTURE.md: the crate `{}` has no row", member.name)),
        }
    }
}

/// What a crate uses must stand above it.
fn check_uses(member: &Member, own: usize, place: &dyn Fn(&str) -> Option<usize>, findings: &mut Findings) {
    for used in &member.uses {
        if place(used).is_none_or(|used| used >= own) {
            findings.faults.push(format!("Cargo.toml: `{}` uses `{used}`, which is no row above it", member.name));
        }
    }
}

/// One row, as far as it is checked.
struct Row {
    name: String,
    never: String,
}

fn rows(page: &str) -> Result<Vec<Row>, String> {
    let section = page.split_once(&format!("\n{HEADING}\n")).ok_or_else(|| format!("no heading `{HEADING}`"))?.1;
    let table: Vec<Vec<&str>> = section
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim().trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    if table.first().is_none_or(|header| header.as_slice() != COLUMNS) {
        return Err(format!("no table with the columns {}", COLUMNS.join(" | ")));
    }
    table.iter().skip(2).map(|cells| row(cells)).collect()
}

fn row(cells: &[&str]) -> Result<Row, String> {
    match cells {
        [_, name, _, never] => Ok(Row { name: name.trim_matches('`').to_string(), never: (*never).to_string() }),
        _ => Err(format!("a row of {} cells: {}", cells.len(), cells.join(" | "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const PAGE: &str = "# Architecture\n\n## Crates\n\nThe table.\n\n| layer | crate | duty | never |\n|---|---|---|---|\n\
                        | pure | `labels` | labels | std |\n| top | `cli` | every `main` | nothing |\n\n## Words\n";

    fn member(name: &str, uses: &[&str]) -> Member {
        let uses = uses.iter().map(|name| (*name).to_string()).collect();
        Member { name: name.to_string(), folder: PathBuf::from("crates").join(name), uses }
    }

    fn faults(page: &str, members: &[Member]) -> Vec<String> {
        let mut findings = Findings::default();
        check(page, members, &mut findings);
        findings.faults
    }

    #[test]
    fn a_table_that_tells_the_truth_passes() {
        let mut members = vec![member("labels", &[]), member("cli", &["labels"])];
        members.push(Member { name: "xtask".to_string(), folder: PathBuf::from("xtask"), uses: vec![] });
        assert!(faults(PAGE, &members).is_empty());
    }

    #[test]
    fn rows_and_crates_are_compared_both_ways() {
        let found = faults(PAGE, &[member("labels", &[]), member("edge", &[])]);
        assert_eq!(
            found,
            ["ARCHITECTURE.md: `cli` has a row and is no crate", "ARCHITECTURE.md: the crate `edge` has no row"]
        );
    }

    #[test]
    fn a_crate_uses_only_rows_above_it() {
        let found = faults(PAGE, &[member("labels", &["cli"]), member("cli", &[])]);
        assert_eq!(found, ["Cargo.toml: `labels` uses `cli`, which is no row above it"]);
    }

    #[test]
    fn a_row_must_say_never_and_stand_once() {
        let page = PAGE.replace("| nothing |", "| |") + "";
        let members = [member("labels", &[]), member("cli", &[])];
        assert_eq!(faults(&page, &members), ["ARCHITECTURE.md: `cli` has no `never`"]);
        let page = PAGE.replace("| top |", "| pure | `labels` | again | std |\n| top |");
        assert_eq!(faults(&page, &members), ["ARCHITECTURE.md: `labels` has two rows"]);
    }

    #[test]
    fn a_page_without_the_table_is_a_fault() {
        assert_eq!(faults("# Architecture\n", &[]), ["ARCHITECTURE.md: no heading `## Crates`"]);
        let found = faults("# Architecture\n\n## Crates\n\n| a | b |\n|---|---|\n", &[]);
        assert_eq!(found, ["ARCHITECTURE.md: no table with the columns layer | crate | duty | never"]);
    }
}
