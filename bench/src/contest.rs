//! Has several contestants do the same thing in turns, and says what each took.
//!
//! Contestants take turns one after the other, in every round, so that a machine that is slow for a while is slow for
//! all of them. Nothing is said of a turn alone: a figure is the median of all its turns, beside the hundredth that was worst.

use crate::results::{Entry, Role, RowResult, Target, Unit};
use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// What one turn came to.
pub(crate) enum Taken {
    /// How long each of several repetitions took.
    Times(Vec<Duration>),
    /// A figure in the unit of the row.
    Figure(f64),
    /// So many in a second, and the time within which 99 of 100 answers came.
    Rate {
        /// Answers in a second.
        per_second: f64,
        /// 99 of 100 were faster.
        p99: Duration,
    },
}

/// What a contestant does when it is its turn.
pub(crate) type Turn<'a> = dyn FnMut() -> Result<Taken> + 'a;

/// Somebody who is measured.
pub(crate) struct Contestant<'a> {
    name: String,
    role: Role,
    /// What to type to see the same alone.
    how: String,
    than: Option<String>,
    turn: Box<Turn<'a>>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(
        role: Role,
        name: impl Into<String>,
        how: impl Into<String>,
        turn: impl FnMut() -> Result<Taken> + 'a,
    ) -> Self {
        Self { name: name.into(), role, how: how.into(), than: None, turn: Box::new(turn) }
    }

    /// One whose turn is to do something so many times, each timed alone.
    pub(crate) fn timed(
        role: Role,
        name: impl Into<String>,
        how: impl Into<String>,
        repetitions: usize,
        mut once: impl FnMut() -> Result<()> + 'a,
    ) -> Self {
        Self::new(role, name, how, move || {
            let mut times = Vec::with_capacity(repetitions);
            for _ in 0..repetitions {
                let began = Instant::now();
                once()?;
                times.push(began.elapsed());
            }
            Ok(Taken::Times(times))
        })
    }

    /// The same for what takes no longer than some looks at the clock: `at_once` together, of which the mean counts as one.
    pub(crate) fn timed_together(
        role: Role,
        name: impl Into<String>,
        how: impl Into<String>,
        (repetitions, at_once): (usize, u32),
        mut once: impl FnMut() -> Result<()> + 'a,
    ) -> Self {
        Self::new(role, name, how, move || {
            let mut times = Vec::with_capacity(repetitions);
            for _ in 0..repetitions {
                let began = Instant::now();
                for _ in 0..at_once {
                    once()?;
                }
                times.push(began.elapsed() / at_once);
            }
            Ok(Taken::Times(times))
        })
    }

    /// The same, with something around each turn.
    pub(crate) fn within(mut self, mut around: impl FnMut(&mut Turn<'a>) -> Result<Taken> + 'a) -> Self {
        let mut turn = self.turn;
        self.turn = Box::new(move || around(&mut *turn));
        self
    }

    /// The same, shown as a multiple of this one's figure instead of our first. One that is compared with itself is a
    /// subject of its own.
    pub(crate) fn than(mut self, name: &str) -> Self {
        self.than = Some(name.to_owned());
        self
    }
}

/// A row of the table: one thing that all contestants do.
pub(crate) struct Row {
    /// One word, by which it is chosen on the command line.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) targets: &'static [Target],
}

impl Row {
    /// Has each contestant take `rounds` turns after one that does not count.
    ///
    /// # Errors
    /// If any turn fails: whoever cannot do it is to be left out by name, in `left_out`.
    pub(crate) fn run(
        &self,
        rounds: usize,
        mut contestants: Vec<Contestant<'_>>,
        left_out: Vec<String>,
    ) -> Result<RowResult> {
        ensure!(!contestants.is_empty(), "nobody to measure");
        let progress = ProgressBar::new(u64::try_from((rounds + 1) * contestants.len())?);
        progress.set_style(ProgressStyle::with_template("{msg} {bar:30} {elapsed}")?);
        progress.set_message(self.id);
        let mut all: Vec<Vec<Taken>> = contestants.iter().map(|_| Vec::with_capacity(rounds)).collect();
        for round in 0..=rounds {
            for (contestant, all) in contestants.iter_mut().zip(&mut all) {
                let taken = (contestant.turn)().with_context(|| contestant.name.clone())?;
                if round > 0 {
                    all.push(taken);
                }
                progress.inc(1);
            }
        }
        progress.finish_and_clear();
        let entries = contestants.iter().zip(all).map(|(contestant, all)| {
            let Contestant { name, role, how, than, .. } = contestant;
            Entry { than: than.clone(), ..self.entry(name, *role, how, all) }
        });
        Ok(RowResult::new(self.id, self.title, self.unit, entries.collect(), left_out, self.targets))
    }

    fn entry(&self, name: &str, role: Role, how: &str, all: Vec<Taken>) -> Entry {
        let (mut figures, mut worst) = (Vec::new(), Vec::new());
        for taken in all {
            match taken {
                Taken::Times(times) => figures.extend(times.into_iter().map(|time| self.unit.of(time))),
                Taken::Figure(figure) => figures.push(figure),
                Taken::Rate { per_second, p99 } => {
                    figures.push(per_second);
                    worst.push(p99.as_secs_f64() * 1e6);
                }
            }
        }
        figures.sort_unstable_by(f64::total_cmp);
        worst.sort_unstable_by(f64::total_cmp);
        // A hundredth of a few turns is none.
        let p99 = (figures.len() >= 100).then(|| percentile(&figures, 99));
        Entry {
            name: name.to_owned(),
            role,
            how: how.to_owned(),
            median: percentile(&figures, 50),
            p99,
            p99_latency_us: (!worst.is_empty()).then(|| percentile(&worst, 50)),
            samples: figures.len(),
            than: None,
        }
    }
}

/// Of figures in order, at least one.
fn percentile(sorted: &[f64], of_hundred: usize) -> f64 {
    let index = (sorted.len() * of_hundred / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Better;

    const ROW: Row = Row { id: "test", title: "a test", unit: Unit::MICROSECONDS, targets: &[] };

    #[test]
    fn contestants_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let contestant = |name: char| {
            let order = &order;
            Contestant::new(Role::Peer, name, "", move || {
                order.borrow_mut().push(name);
                Ok(Taken::Figure(f64::from(u32::from(name))))
            })
        };
        let result = ROW.run(2, vec![contestant('a'), contestant('b')], Vec::new()).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!(result.entries[0].samples, 2);
        assert_eq!(result.entries[1].median, 98.0);
    }

    #[test]
    fn the_first_turn_does_not_count() {
        let mut turn = 0;
        let slow_at_first = Contestant::new(Role::Ours, "it", "", || {
            turn += 1;
            Ok(Taken::Times(vec![Duration::from_micros(if turn == 1 { 1_000 } else { 3 }); 50]))
        });
        let result = ROW.run(2, vec![slow_at_first], Vec::new()).unwrap();
        assert_eq!((result.entries[0].median, result.entries[0].p99), (3.0, Some(3.0)));
    }

    #[test]
    fn who_fails_is_named() {
        let broken = Contestant::new(Role::Peer, "the broken one", "", || anyhow::bail!("no"));
        let error = ROW.run(1, vec![broken], Vec::new()).unwrap_err();
        assert_eq!(format!("{error:#}"), "the broken one: no");
    }

    #[test]
    fn percentiles_are_of_figures_in_order() {
        let figures: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!((percentile(&figures, 50), percentile(&figures, 99)), (100.0, 198.0));
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert_eq!(Unit::MICROSECONDS.better, Better::Lower);
    }
}
