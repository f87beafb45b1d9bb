//! A decision of the switchboard among many targets.

use crate::contest::{Contestant, Row};
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::setting::Setting;
use anyhow::Result;
use cord_bench::decision::{Decision, Others};

const ALONE: &str = "1 target";
const CANNOT_MATCH: &str = "100,000 targets, cannot match";
const MANY_KEY_SETS: &str = "100,000 targets, 100 sets of keys";
/// Decided so often between two looks at the clock, which costs about as much as a decision.
const AT_ONCE: u32 = 100;

pub(super) fn measure(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "decide",
        title: "a decision of the switchboard, among so many targets",
        unit: Unit::MICROSECONDS,
        targets: &[
            Target { says: "under 5 us where the others cannot match", ours: CANNOT_MATCH, bound: Bound::Number(5.0) },
            Target {
                says: "under 5 us where the others have 100 sets of keys, most of what a client may have them have",
                ours: MANY_KEY_SETS,
                bound: Bound::Number(5.0),
            },
            Target {
                says: "not growing with targets that cannot match",
                ours: CANNOT_MATCH,
                bound: Bound::TimesAtMost(1.5, ALONE),
            },
        ],
    };
    let mut decisions = vec![(ALONE.to_owned(), Decision::among(Others::Exact, 1))];
    for others in Others::ALL {
        decisions.push((format!("1,000 targets, {}", others.name()), Decision::among(others, 1_000)));
        decisions.push((format!("100,000 targets, {}", others.name()), Decision::among(others, 100_000)));
    }
    let contestants = decisions.into_iter().map(|(name, mut decision)| {
        let how = "cargo xtask bench --parts decide";
        Contestant::timed_together(Role::Ours, name, how, (50, AT_ONCE), move || {
            decision.decide();
            Ok(())
        })
    });
    row.run(setting.rounds(30), contestants.collect(), Vec::new())
}
