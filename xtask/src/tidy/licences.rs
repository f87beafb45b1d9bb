//! Holds the licence of every package against the list of `deny.toml`, so that it holds without `cargo deny`.
//!
//! A licence is an expression of SPDX: `OR` and the old `/`, `AND`, `WITH`, parentheses. With a choice, one allowed
//! licence is enough.

use super::Findings;
use crate::workspace::{Workspace, cargo_metadata};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Asks cargo about every workspace, and holds all packages against the list.
pub(super) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<()> {
    let text = fs::read_to_string(workspace.root.join("deny.toml")).context("cannot read deny.toml")?;
    let allowed = allowed(&text).context("deny.toml has no list `allow` under [licenses]")?;
    let mut faults = BTreeSet::new();
    for manifest in [workspace.root.join("Cargo.toml"), workspace.guests_manifest(), workspace.fuzz_manifest()] {
        let metadata = cargo_metadata(&manifest, &["--locked"])?;
        let packages = metadata["packages"].as_array().context("cargo metadata is not as expected")?;
        faults.extend(packages.iter().filter_map(|package| fault(package, &allowed)));
    }
    findings.faults.extend(faults);
    Ok(())
}

/// The list, as it is written: one a line.
fn allowed(text: &str) -> Option<Vec<&str>> {
    let section = text.split_once("\n[licenses]\n")?.1.split("\n[").next()?;
    let list = section.split_once("\nallow = [\n")?.1.split_once("\n]")?.0;
    Some(list.lines().filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once('"')?.0)).collect())
}

fn fault(package: &Value, allowed: &[&str]) -> Option<String> {
    let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
    let Some(licence) = package["license"].as_str() else {
        return Some(format!("{name} {version} says no licence"));
    };
    match is_allowed(licence, allowed) {
        Ok(true) => None,
        Ok(false) => Some(format!("{name} {version} has the licence `{licence}`, which deny.toml does not allow")),
        Err(what) => Some(format!("{name} {version} has the licence `{licence}`: {what}")),
    }
}

fn is_allowed(licence: &str, allowed: &[&str]) -> Result<bool, String> {
    let spaced = licence.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut rest = Words { words: spaced.split_whitespace().collect(), taken: 0, allowed };
    let verdict = rest.choice()?;
    match rest.next() {
        None => Ok(verdict),
        Some(word) => Err(format!("`{word}` is not expected")),
    }
}

/// What is left of an expression. `WITH` binds closest, then `AND`, then `OR`.
struct Words<'a> {
    words: Vec<&'a str>,
    taken: usize,
    allowed: &'a [&'a str],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.taken).copied();
        self.taken += 1;
        word
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.taken) == Some(&word);
        self.taken += usize::from(is_next);
        is_next
    }

    fn choice(&mut self) -> Result<bool, String> {
        let mut verdict = self.all()?;
        while self.takes("OR") {
            verdict |= self.all()?;
        }
        Ok(verdict)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut verdict = self.one()?;
        while self.takes("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.takes("(") {
            let verdict = self.choice()?;
            return if self.takes(")") { Ok(verdict) } else { Err("a parenthesis is not closed".to_string()) };
        }
        let licence = self.name()?;
        if self.takes("WITH") {
            let full = format!("{licence} WITH {}", self.name()?);
            return Ok(self.allowed.contains(&full.as_str()));
        }
        Ok(self.allowed.contains(&licence))
    }

    fn name(&mut self) -> Result<&'a str, String> {
        match self.next() {
            Some(word) if !matches!(word, "(" | ")" | "AND" | "OR" | "WITH") => Ok(word),
            Some(word) => Err(format!("`{word}` is no licence")),
            None => Err("a licence is missing at its end".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_allowed_as_spdx_reads_it() {
        let list = ["A", "B", "C WITH x"];
        for (licence, expected) in [
            ("A", true),
            ("Z", false),
            ("Z OR A", true),
            ("A OR Z", true),
            ("Z/A", true),
            ("Z / Y", false),
            ("A AND B", true),
            ("A AND Z", false),
            ("Z AND A OR B", true),
            ("B OR A AND Z", true),
            ("(B OR A) AND Z", false),
            ("(Z OR A) AND B", true),
            ("Z AND (A OR B)", false),
            ("C WITH x", true),
            ("C WITH y", false),
            ("C", false),
            ("A WITH x", false),
            ("Z OR C WITH x AND (A)", true),
        ] {
            assert_eq!(is_allowed(licence, &list), Ok(expected), "{licence}");
        }
    }

    #[test]
    fn what_is_no_expression_is_an_error() {
        for (licence, expected) in [
            ("", "a licence is missing at its end"),
            ("A OR", "a licence is missing at its end"),
            ("A B", "`B` is not expected"),
            ("(A", "a parenthesis is not closed"),
            ("A)", "`)` is not expected"),
            ("AND A", "`AND` is no licence"),
            ("C WITH (x)", "`(` is no licence"),
        ] {
            assert_eq!(is_allowed(licence, &["A"]), Err(expected.to_string()), "{licence}");
        }
    }

    #[test]
    fn a_fault_names_the_package() {
        let package = |licence: Value| serde_json::json!({"name": "p", "version": "1.0.0", "license": licence});
        assert_eq!(fault(&package("A".into()), &["A"]), None);
        let found = fault(&package("Z".into()), &["A"]).unwrap();
        assert_eq!(found, "p 1.0.0 has the licence `Z`, which deny.toml does not allow");
        assert_eq!(fault(&package(Value::Null), &["A"]).unwrap(), "p 1.0.0 says no licence");
    }

    #[test]
    fn the_list_is_that_of_the_section_for_licences() {
        let text = "[bans]\nallow = [\n    \"Z\",\n]\n\n[licenses]\n# Said once.\nallow = [\n    \"A\", # here\n    \
                    # \"no\"\n    \"C WITH x\",\n]\n\n[sources]\n";
        assert_eq!(allowed(text), Some(vec!["A", "C WITH x"]));
        assert_eq!(allowed("[licenses]\n"), None);
    }
}
