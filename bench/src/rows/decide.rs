//! A decision of the switchboard among many targets.

use crate::contest::{Contestant, Row};
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::setting::Setting;
use anyhow::Result;
use cord_bench::decision::{Decision, Others};

const ALONE: &str = "1 target";
const CANNOT_MATCH: &str = "100,000 targets, cannot match";
/// Decided so often between two looks at the clock, which costs about as much as a decision.
const IN_ONE: u32 = 100;

pub(super) fn measure(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "decide",
        title: "100 decisions of the switchboard, among so many targets",
        unit: Unit::MICROSECONDS,
        targets: &[
            Target { says: "one under 5 us among 100,000 targets", ours: CANNOT_MATCH, bound: Bound::Number(500.0) },
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
        Contestant::timed(Role::Ours, name, "cargo bench -p cord-bench --bench decide", 50, move || {
            (0..IN_ONE).for_each(|_| decision.decide());
            Ok(())
        })
    });
    row.run(setting.rounds(30), contestants.collect(), Vec::new())
}
