//! How long a runner waits for its connections while another one floods the switchboard that they share: at most twice
//! as long as without, by the median of one run.

use super::Rival;
use cord_tests::board::Board;
use cord_tests::process::computed;
use std::time::Duration;

/// Rounds of each sort, in turn: so that both see the same machine.
const ROUNDS: usize = 5;
const CONNECTIONS: &str = "150";
/// Other processes have the processor, too. A flood that gets through does so every time.
const ATTEMPTS: usize = 4;
const AT_MOST: f64 = 2.0;

/// What one sort of round has shown.
#[derive(Default)]
struct Rounds {
    nanoseconds: Vec<u64>,
    /// What the switchboard computed.
    computed: Duration,
}

impl Rounds {
    fn add(&mut self, board: &Board) {
        let before = computed(board.process().pid());
        let told = Rival::measure(board, CONNECTIONS).text();
        self.nanoseconds.extend(told.lines().map(|line| line.parse::<u64>().unwrap()));
        self.computed += computed(board.process().pid()).saturating_sub(before);
    }

    #[expect(clippy::cast_precision_loss, reason = "no connection takes a hundred days")]
    fn median(&mut self) -> f64 {
        let middle = self.nanoseconds.len() / 2;
        *self.nanoseconds.select_nth_unstable(middle).1 as f64 / 1000.0
    }
}

#[expect(clippy::print_stdout, reason = "the figures, for who wants to see them")]
fn expect_little_delay(kind: &str) {
    let mut ratio = f64::INFINITY;
    for _ in 0..ATTEMPTS {
        let board = Board::start();
        let flooder = Rival::flood(&board, kind);
        let (mut quiet, mut flood) = (Rounds::default(), Rounds::default());
        for _ in 0..ROUNDS {
            flooder.pause(&board);
            quiet.add(&board);
            flooder.go_on();
            flood.add(&board);
        }
        // Those who read no answers are not heard once some wait for them.
        assert!(kind == "deaf" || flood.computed > quiet.computed, "{kind}: there is no flood");
        let medians = (quiet.median(), flood.median());
        ratio = medians.1 / medians.0;
        println!("{kind}: {:.1} microseconds, under the flood {:.1}: {ratio:.2} times as long", medians.0, medians.1);
        if ratio <= AT_MOST {
            return;
        }
    }
    panic!("{kind}: a connection takes {ratio:.1} times as long under the flood");
}

#[test]
fn a_flood_through_one_handle_delays_others_little() {
    expect_little_delay("one");
}

#[test]
fn a_flood_through_hundreds_of_handles_delays_others_little() {
    expect_little_delay("many");
}

#[test]
fn a_flood_of_large_requests_delays_others_little() {
    expect_little_delay("large");
}

#[test]
fn a_flooder_that_reads_no_answers_delays_others_little() {
    expect_little_delay("deaf");
}
