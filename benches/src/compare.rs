//! Measures several servers in turns, and prints the medians and how they compare.

#![expect(clippy::print_stdout, reason = "the report")]

use crate::load::{self, Client, Round};
use crate::peer::Peer;
use std::io;
use std::time::Duration;

/// Rounds of each server. What is reported is the median.
const ROUNDS: usize = 5;
/// How long a round takes.
const ROUND_TIME: Duration = Duration::from_secs(2);
/// How long a server is asked before its first round.
const WARM_UP: Duration = Duration::from_millis(500);

/// Whether the benchmark of this title was asked for: by a part of its title, or by nothing at all. Cargo's test runners
/// ask for none.
#[must_use]
pub fn is_wanted(title: &str) -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut parts = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    let is_test = arguments.iter().any(|argument| argument == "--test" || argument == "--list");
    !is_test && (parts.peek().is_none() || parts.any(|part| title.contains(part.as_str())))
}

/// Has `clients` clients ask each of the peers, all of them in every round, and prints what came of it. The last columns are
/// the ratios to those peers that `against` names.
///
/// # Errors
/// If any client fails or gets a wrong answer.
pub fn compare<C: Client>(
    title: &str,
    peers: &[Peer],
    against: &[&str],
    clients: u8,
    make: impl Fn(u8, u16) -> io::Result<C> + Sync,
) -> io::Result<()> {
    let ask = |peer: &Peer, time| {
        load::run(clients, time, |number| make(number, peer.port))
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))
    };
    for peer in peers {
        ask(peer, WARM_UP)?;
    }
    let mut rounds = vec![Vec::with_capacity(ROUNDS); peers.len()];
    for _ in 0..ROUNDS {
        for (peer, rounds) in peers.iter().zip(&mut rounds) {
            rounds.push(ask(peer, ROUND_TIME)?);
        }
    }
    let results: Vec<(&str, Medians)> =
        peers.iter().zip(&rounds).map(|(peer, rounds)| (peer.name.as_str(), Medians::of(rounds))).collect();
    let others: Vec<_> = results.iter().filter(|(name, _)| against.contains(name)).collect();
    println!("\n{title}: {clients} clients, medians of {ROUNDS} rounds of {ROUND_TIME:?}");
    print!("{:44} {:>10} {:>9} {:>9}", "", "per second", "p50", "p99");
    others.iter().for_each(|(name, _)| print!("  x {name}"));
    println!();
    for (name, medians) in &results {
        let Medians { per_second, p50, p99 } = medians;
        print!("{name:44} {per_second:>10.0} {:>6} us {:>6} us", p50.as_micros(), p99.as_micros());
        for (other, of_other) in &others {
            print!("  {:>width$.2}", per_second / of_other.per_second, width = other.len() + 2);
        }
        println!();
    }
    Ok(())
}

struct Medians {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

impl Medians {
    fn of(rounds: &[Round]) -> Self {
        let middle = rounds.len() / 2;
        let mut rates: Vec<f64> = rounds.iter().map(Round::per_second).collect();
        rates.sort_unstable_by(f64::total_cmp);
        let percentile = |of_hundred| {
            let mut times: Vec<Duration> = rounds.iter().map(|round| round.percentile(of_hundred)).collect();
            times.sort_unstable();
            times[middle]
        };
        Self { per_second: rates[middle], p50: percentile(50), p99: percentile(99) }
    }
}
