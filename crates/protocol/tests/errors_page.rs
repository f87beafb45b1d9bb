//! Holds `docs/errors.md` and the table in the code together: every code is on the page, and nothing else is.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

use protocol::ErrorCode;

const PAGE: &str = include_str!("../../../docs/errors.md");

/// A row of the page.
#[derive(Debug, PartialEq)]
struct Row {
    number: u32,
    name: String,
    meaning: String,
}

/// The rows of the page, each with the hundred that its heading announced.
fn rows() -> Vec<(u32, Row)> {
    let mut hundred = 0;
    let mut rows = Vec::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            hundred = heading.split_once("xx: ").unwrap().0.parse().unwrap();
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Some(Ok(number)) = cells.first().map(|cell| cell.parse()) else {
            continue;
        };
        let [_, name, meaning, what_to_do] = <[&str; 4]>::try_from(cells).unwrap();
        assert!(what_to_do.ends_with('.'), "what to do about {number}?");
        let row = Row { number, name: name.to_owned(), meaning: meaning.to_owned() };
        rows.push((hundred, row));
    }
    rows
}

#[test]
fn the_page_lists_every_code_and_no_other() {
    let row = |code: ErrorCode| Row {
        number: code.number(),
        name: code.name().to_owned(),
        meaning: code.meaning().to_owned(),
    };
    let listed: Vec<Row> = rows().into_iter().map(|(_, row)| row).collect();
    let known: Vec<Row> = ErrorCode::ALL.into_iter().map(row).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_code_stands_under_its_hundred() {
    for (hundred, row) in rows() {
        assert_eq!(row.number / 100, hundred, "{}", row.name);
    }
}

#[test]
fn a_code_is_found_by_its_number_alone() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_number(code.number()), Some(code));
    }
    assert_eq!(ErrorCode::from_number(0), None);
    assert_eq!(ErrorCode::from_number(1100), None);
}
