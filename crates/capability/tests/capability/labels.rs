//! Rule 1, and what a label set may hold.

use crate::{keys, labels};
use capability::{Contradiction, LabelError, LabelKey, LabelValue, Labels, MAX_LABELS, MergeError};

fn check(one: &str, other: &str, expected: Result<&str, &[&str]>) {
    let expected = match expected {
        Ok(union) => Ok(labels(union)),
        Err(names) => Err(MergeError::Contradiction(Contradiction { keys: keys(names) })),
    };
    let (one, other) = (labels(one), labels(other));
    assert_eq!(one.merge(&other), expected, "{one} + {other}");
    assert_eq!(other.merge(&one), expected, "{other} + {one}");
}

#[test]
fn two_sets_merge_unless_a_key_has_two_values() {
    check("", "", Ok(""));
    check("a=1", "", Ok("a=1"));
    check("a=1", "a=1", Ok("a=1"));
    check("a=1", "b=2", Ok("a=1 b=2"));
    check("a=1 b=2", "b=2 c=3", Ok("a=1 b=2 c=3"));
    check("a=1", "a=2", Err(&["a"]));
    check("a=", "a=2", Err(&["a"]));
    check("a=1 b=1 c=1", "c=2 a=2 b=1", Err(&["a", "c"]));
}

#[test]
fn a_contradiction_names_keys_and_never_a_value() {
    let error = labels("a=secret b=1").merge(&labels("a=guess b=1")).unwrap_err();
    assert_eq!(error.to_string(), "the labels [\"a\"] have another value already");
}

fn numbered(from: usize, to: usize) -> Labels {
    let names: Vec<String> = (from..to).map(|number| format!("k{number}")).collect();
    Labels::try_from_pairs(names.iter().map(|name| (name.as_str(), "v"))).unwrap()
}

#[test]
fn a_set_holds_32_labels_and_not_33() {
    let mut full = numbered(0, MAX_LABELS);
    assert_eq!(full.len(), 32);
    assert_eq!(full.insert("another", "v"), Err(LabelError::TooMany));
    assert_eq!(full.merge(&labels("another=v")), Err(MergeError::TooMany));
    assert_eq!(full.merge(&full), Ok(full.clone()));
    assert_eq!(numbered(0, 20).merge(&numbered(12, 32)), Ok(full.clone()));
    assert_eq!(numbered(0, 20).merge(&numbered(12, 33)), Err(MergeError::TooMany));
    // What contradicts is said before what is too much.
    let names = keys(&["k0"]);
    assert_eq!(
        full.merge(&labels("k0=other another=v")),
        Err(MergeError::Contradiction(Contradiction { keys: names }))
    );
}

#[test]
fn a_key_is_lower_case_and_bounded() {
    for good in ["a", "z9", "a_b.c-d", &"k".repeat(63)] {
        assert_eq!(LabelKey::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "9a", "_a", ".a", "-a", "a b", "a=b", "a\0", "ä", "aB", "a/b"] {
        assert_eq!(LabelKey::new(bad), Err(LabelError::Key { key: bad.to_owned() }));
    }
    let key = "k".repeat(63);
    assert_eq!(LabelKey::new(&"k".repeat(64)), Err(LabelError::Key { key: key.clone() }));
    assert_eq!(LabelKey::new(&"k".repeat(1_000_000)), Err(LabelError::Key { key }), "cut short");
}

#[test]
fn a_value_has_no_nul_and_is_bounded() {
    for good in ["", " ", "=", "ünï\n", &"v".repeat(255)] {
        assert_eq!(LabelValue::new(good).unwrap().as_str(), good);
    }
    for bad in ["\0", "a\0b", &"v".repeat(256), &"ü".repeat(128)] {
        assert_eq!(LabelValue::new(bad), Err(LabelError::Value), "{bad:?}");
    }
}

#[test]
fn a_set_takes_a_key_once_and_a_reserved_value_in_one_spelling() {
    let mut set = labels("a=1");
    let [key] = keys(&["a"]).try_into().unwrap();
    assert_eq!(set.insert("a", "1"), Err(LabelError::Repeated { key }));
    let key = "server_port".to_owned();
    assert_eq!(set.insert("server_port", "022"), Err(LabelError::NotCanonical { key }));
    assert_eq!(set, labels("a=1"), "a refused label changes nothing");
    assert_eq!(set.without("a"), Labels::new());
    assert_eq!(set.without("b"), set);
    assert_eq!(labels("b=2 a=1").to_string(), "a=1 b=2");
}
