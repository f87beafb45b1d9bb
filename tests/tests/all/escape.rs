//! Native code in a runner that is really jailed finds nothing; and what each layer of the jail has to do with that.
//!
//! The attempts are those of the crate `cord-escape`, some hundred, made by the program `cord-hostile`: as root, as root
//! that becomes another user, and as an ordinary user.

use cord_escape::{ASKED, GAPS, MARKER};
use cord_tests::cord::Cord;
use cord_tests::escape::{Attacker, Attempt, Camp, Jail, Outcome};
use cord_tests::programs;
use jail::Layer;
use rustix::process::geteuid;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

/// The least number of attempts, and of those that succeed where nothing holds them back: else they would show nothing.
const LEAST: usize = 150;
const LEAST_REAL: usize = 100;

/// Those that this machine lets the tests play.
#[expect(clippy::print_stderr, reason = "what is not checked must not go unnoticed")]
fn attackers(all: &[Attacker]) -> Vec<Attacker> {
    if geteuid().is_root() {
        return all.to_vec();
    }
    eprintln!("NOT CHECKED: the attacker as root, because these tests are not run by root");
    vec![Attacker::Ordinary]
}

#[test]
fn nothing_that_native_code_tries_in_a_jailed_runner_succeeds() {
    for attacker in attackers(&[Attacker::Root, Attacker::Demoted, Attacker::Ordinary]) {
        let attempts = Camp::of(attacker).attack(Jail::Whole);
        let escaped: Vec<&Attempt> = attempts.iter().filter(|(_, outcome)| outcome.escaped()).collect();
        assert!(escaped.is_empty(), "{attacker:?} escaped: {escaped:#?}");
        assert!(attempts.len() >= LEAST, "{attacker:?} made {} attempts", attempts.len());
        let known = |name: &str| GAPS.iter().any(|(gap, _)| *gap == name);
        let gaps: Vec<&Attempt> = attempts.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Gap(_))).collect();
        assert!(gaps.iter().all(|(name, _)| known(name)), "gaps that are not known: {gaps:#?}");
    }
}

/// What came of the attempts of one attacker, whatever of the jail held.
struct Survey {
    attacker: Attacker,
    whole: Vec<Attempt>,
    off: BTreeMap<String, Outcome>,
    without: BTreeMap<&'static str, BTreeMap<String, Outcome>>,
    only: BTreeMap<&'static str, BTreeMap<String, Outcome>>,
}

impl Survey {
    fn of(attacker: Attacker) -> Self {
        let camp = Camp::of(attacker);
        let whole = camp.attack(Jail::Whole);
        let attack = |jail| {
            let outcomes = camp.attack(jail);
            let names = |attempts: &[Attempt]| attempts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&outcomes), names(&whole), "{attacker:?}, {jail:?}");
            outcomes.into_iter().collect::<BTreeMap<_, _>>()
        };
        let off = attack(Jail::Off);
        let layers = Layer::ALL.map(Layer::name);
        let without = layers.map(|layer| (layer, attack(Jail::Without(layer)))).into();
        let only = layers.map(|layer| (layer, attack(Jail::Only(layer)))).into();
        Self { attacker, whole, off, without, only }
    }

    /// The layers of which each holds the attempt back by itself, though it succeeds without any.
    fn enough(&self, name: &str) -> Vec<&'static str> {
        let refuses = |layer: &&'static str| self.off[name].escaped() && !self.only[layer][name].escaped();
        Layer::ALL.map(Layer::name).into_iter().filter(refuses).collect()
    }

    /// The layers without which the attempt succeeds, though all others hold.
    fn needed(&self, name: &str) -> Vec<&'static str> {
        let lets_go = |layer: &&'static str| self.without[layer][name].escaped();
        Layer::ALL.map(Layer::name).into_iter().filter(lets_go).collect()
    }

    /// What stopped an attempt.
    fn stopped_by(&self, name: &str) -> String {
        let (enough, needed) = (self.enough(name), self.needed(name));
        if self.whole.iter().any(|(attempt, outcome)| attempt == name && outcome.escaped()) {
            return "NOTHING".to_owned();
        }
        match (self.off[name].escaped(), &needed[..], &enough[..]) {
            (false, ..) if matches!(self.off[name], Outcome::Gap(_)) => "nothing".to_owned(),
            (false, ..) => "impossible without the jail, too".to_owned(),
            (true, [], []) => "several together".to_owned(),
            (true, [], several) => several.join(", "),
            (true, needed, _) => format!("{} alone", needed.join(", ")),
        }
    }

    /// How many attempts a layer holds back by itself, and how many go through without it.
    fn counts(&self, layer: &str) -> (usize, usize) {
        let count = |layers: fn(&Self, &str) -> Vec<&'static str>| {
            self.whole.iter().filter(|(name, _)| layers(self, name).contains(&layer)).count()
        };
        (count(Self::enough), count(Self::needed))
    }
}

/// A row for each attempt: what came of it, and what stopped it, for each attacker. Then a line for each layer.
fn table(surveys: &[Survey]) -> String {
    let headings = surveys.iter().flat_map(|survey| [format!("{:?}", survey.attacker), "stopped by".to_owned()]);
    let mut rows = vec![["attempt".to_owned()].into_iter().chain(headings).collect::<Vec<_>>()];
    for (place, (name, _)) in surveys[0].whole.iter().enumerate() {
        let cells = surveys.iter().flat_map(|survey| {
            let (word, detail) = match &survey.whole[place].1 {
                Outcome::Refused(detail) => ("refused", detail),
                Outcome::Escaped(detail) => ("ESCAPED", detail),
                Outcome::Gap(detail) => ("known gap", detail),
            };
            [format!("{word}: {detail}"), survey.stopped_by(name)]
        });
        rows.push([name.clone()].into_iter().chain(cells).collect());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(text, "{}", cells.join("  ").trim_end()).unwrap();
    }
    for survey in surveys {
        let attacker = survey.attacker;
        for layer in Layer::ALL.map(Layer::name) {
            let (enough, needed) = survey.counts(layer);
            writeln!(text, "{attacker:?}: {layer} by itself stops {enough}; without it {needed} succeed").unwrap();
        }
    }
    text
}

/// An ordinary user has no capabilities to drop.
fn has_work(layer: Layer, attacker: Attacker) -> bool {
    (layer, attacker) != (Layer::Capabilities, Attacker::Ordinary)
}

#[test]
fn every_layer_of_the_jail_stops_something() {
    let surveys: Vec<Survey> = attackers(&[Attacker::Root, Attacker::Ordinary]).into_iter().map(Survey::of).collect();
    let table = table(&surveys);
    fs::write(programs::table("escapes.txt"), &table).unwrap();
    println!("{table}");
    for survey in &surveys {
        let attacker = survey.attacker;
        let real = survey.off.values().filter(|outcome| outcome.escaped()).count();
        assert!(real >= LEAST_REAL, "{attacker:?}: only {real} attempts are real\n{table}");
        for layer in Layer::ALL {
            let (enough, _) = survey.counts(layer.name());
            let stops = enough > 0;
            assert_eq!(stops, has_work(layer, attacker), "{attacker:?}: {layer} stops {enough}\n{table}");
        }
    }
}

#[test]
fn each_of_these_layers_is_the_only_one_for_something() {
    for attacker in attackers(&[Attacker::Root, Attacker::Ordinary]) {
        let camp = Camp::of(attacker);
        for (layer, stopped) in [
            ("landlock", &["read-outside", "ro-create", "list-root"][..]),
            ("seccomp", &["fork", "map-executable", "socket-inet-stream", "send-from-pair-to-path"]),
            ("descriptors", &["read-a-leaked-descriptor"]),
        ] {
            let attempts: BTreeMap<_, _> = camp.attack(Jail::Without(layer)).into_iter().collect();
            for name in stopped {
                assert!(attempts[*name].escaped(), "{attacker:?}, {name} without {layer}: {:?}", attempts[*name]);
            }
        }
    }
}

#[test]
fn only_the_hostile_program_holds_the_harness() {
    assert!(programs::holds(&programs::hostile(), MARKER.as_bytes()), "this test would not see the harness");
    assert!(!programs::holds(&programs::cord(), MARKER.as_bytes()));
    let variables = [(ASKED, "rw=/tmp"), ("CORD_JAIL_WITHOUT", "seccomp,landlock"), ("CORD_JAIL_ONLY", "limits")];
    let mut cord = Cord::run_guest(&[], "hold.wasm", &[]).piped_stdin();
    for (name, value) in variables {
        cord = cord.env(name, value);
    }
    let running = cord.start();
    running.wait_for_stdout("ready");
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    assert!(status.contains("\nSeccomp:\t2\n") && status.contains("\nNoNewPrivs:\t1\n"), "{status}");
}
