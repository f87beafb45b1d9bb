//! DNS rebinding: a name server that answers with a public address first and with one inside afterwards, so that a name
//! that was granted becomes a way to whatever listens there.
//!
//! Everything is in a network of its own: the name server, guests, and a server at port 8080 (HTTP at 8081) of each of
//! its addresses, one of which is public. That server tells who came, and at which address.

use cord_tests::cord::Cord;
use cord_tests::namespace::{Network, OTHER_ADDRESS, with_resolver};
use cord_tests::process::{Outcome, Running};
use cord_tests::{programs, wait};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use tempfile::TempDir;

/// The name server and the server its names lead to.
const SERVER: &str = include_str!("rebinding.py");
/// A public address that is one of the network's own.
const PUBLIC: &str = "93.184.216.34";
/// Other addresses of the network's own, which are not public.
const LINK_LOCAL: &str = "169.254.169.254";
const SHARED: &str = "100.64.0.1";
/// Not public, and somebody listens there.
const WITH_LISTENER: [&str; 7] =
    ["127.0.0.1", "127.9.9.9", OTHER_ADDRESS, LINK_LOCAL, SHARED, "::1", "::ffff:127.0.0.1"];
/// Not public either.
const OTHERS: [&str; 13] = [
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "fd00::1",
    "ff02::1",
    "::ffff:10.1.2.3",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
];

struct Place {
    network: Network,
    server: Running,
    folder: TempDir,
}

impl Place {
    /// `names`: for each name its answers, each a list, to the first question, the second, and so on.
    fn new(names: impl IntoIterator<Item = (String, Value)>) -> Self {
        let network = Network::with_addresses([PUBLIC, LINK_LOCAL, SHARED]);
        let names = Value::from(Map::from_iter(names)).to_string();
        let server = Running::start(network.command(&programs::python()).args(["-c", SERVER, &names]));
        server.wait_for_stdout("ready\n");
        Self { network, server, folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, grants: &[&str], guest: &str, arguments: &[&str]) -> Outcome {
        let flags: Vec<&str> = grants.iter().flat_map(|grant| ["-c", grant]).collect();
        let mut words = self.network.wrapper();
        words.extend(with_resolver(self.folder.path()));
        Cord::run_guest(&flags, guest, arguments).wrapped(words).run()
    }

    /// A guest that looks `name` up and connects to what it found.
    fn dial(&self, grants: &[&str], name: &str) -> Outcome {
        self.run(grants, "dial.wasm", &[name, "8080", "--text", "hello", "--half-close", "--quiet"])
    }

    /// Expects that these addresses had a visitor, in this order, and no others. Whoever came before the last one was
    /// told before it.
    #[track_caller]
    fn expect_visitors(&self, addresses: &[&str]) {
        let came = || -> Vec<String> {
            let text = self.server.stdout();
            text.lines().filter_map(|line| line.strip_prefix("came to ")).map(str::to_owned).collect()
        };
        wait::until("all visitors are told", || came().len() >= addresses.len());
        assert_eq!(came(), addresses);
    }

    fn questions(&self, name: &str) -> usize {
        self.server.stdout().lines().filter(|line| *line == format!("asked {name} A")).count()
    }
}

fn name(index: usize) -> String {
    format!("n{index}.example.test")
}

/// An address as a refusal shows it.
fn shown(address: &str) -> String {
    address.parse::<IpAddr>().unwrap().to_canonical().to_string()
}

#[track_caller]
fn expect_refused(outcome: &Outcome, name: &str, port: u16, address: &str) {
    outcome.expect_code(1);
    let reason = "which is not public, and neither is that address granted nor the name marked private";
    let why = format!("connect to {name}:{port} denied: the name leads to {}, {reason} ", shown(address));
    let hint = format!("{why}(allow with --connect {name}:{port},private)");
    assert_eq!(outcome.complaints(), [hint], "{outcome:#?}");
}

#[test]
fn a_name_that_turns_from_a_public_address_to_another_is_refused() {
    let addresses: Vec<&str> = WITH_LISTENER.into_iter().chain(OTHERS).collect();
    let changing = addresses.iter().enumerate().map(|(index, address)| (name(index), json!([[PUBLIC], [address]])));
    let place = Place::new(changing.chain([("near.example.test".to_owned(), json!([["127.0.0.1"]]))]));
    for (index, address) in addresses.iter().enumerate() {
        let name = name(index);
        let outcome = place.dial(&[&format!("{name}:8080")], &name);
        outcome.expect_stdout("");
        assert!(outcome.stderr.contains("dial: PermissionDenied: "), "{outcome:#?}");
        expect_refused(&outcome, &name, 8080, address);
        assert_eq!(place.questions(&name), 2, "the guest asked, and who connects asked again");
        // From now on the guest itself is told the other one.
        let again = place.dial(&[&format!("{name}:8080")], &name);
        again.expect_code(1).expect_stdout("");
    }
    place.dial(&["near.example.test:8080,private"], "near.example.test").expect_silent_success();
    place.expect_visitors(&["127.0.0.1"]);
}

#[test]
fn a_name_marked_private_gets_through_and_somebody_answers() {
    let names = WITH_LISTENER.iter().enumerate();
    let place = Place::new(names.map(|(index, address)| (name(index), json!([[PUBLIC], [address]]))));
    let mut visited = Vec::new();
    for (index, address) in WITH_LISTENER.iter().enumerate() {
        let (name, shown) = (name(index), shown(address));
        let outcome = place.dial(&[&format!("{name}:8080,private")], &name);
        outcome.expect_silent_success().expect_stdout(&format!("came to {shown}\n"));
        visited.push(shown);
    }
    place.expect_visitors(&visited.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_name_that_stays_public_gets_through() {
    let place = Place::new([("www.example.test".to_owned(), json!([[PUBLIC]]))]);
    let outcome = place.dial(&["www.example.test:8080"], "www.example.test");
    outcome.expect_silent_success().expect_stdout(&format!("came to {PUBLIC}\n"));
    place.expect_visitors(&[PUBLIC]);
}

#[test]
fn of_an_answer_with_both_kinds_the_public_address_alone_is_dialled() {
    let both = [json!([[PUBLIC, "127.0.0.1"]]), json!([["127.0.0.1", PUBLIC]]), json!([["::1", LINK_LOCAL, PUBLIC]])];
    let place = Place::new(both.into_iter().enumerate().map(|(index, answers)| (name(index), answers)));
    for index in 0..3 {
        let name = name(index);
        place.dial(&[&format!("{name}:8080")], &name).expect_code(0).expect_stdout(&format!("came to {PUBLIC}\n"));
    }
    place.expect_visitors(&[PUBLIC; 3]);
}

#[test]
fn a_public_address_that_does_not_answer_is_no_reason_to_try_the_private_one() {
    // Nobody has the first, and there is no way to it.
    let both = json!([["203.0.114.1", "127.0.0.1"]]);
    let names = ["one.example.test", "two.example.test"];
    let place = Place::new(names.map(|name| (name.to_owned(), both.clone())));
    place.dial(&["one.example.test:8080"], names[0]).expect_code(1).expect_stdout("");
    place.dial(&["two.example.test:8080,private"], names[1]).expect_code(0).expect_stdout("came to 127.0.0.1\n");
    place.expect_visitors(&["127.0.0.1"]);
}

#[test]
fn another_name_that_it_stands_for_opens_nothing() {
    let place = Place::new([
        ("alias.example.test".to_owned(), json!([["inside.example.test"]])),
        ("changing.example.test".to_owned(), json!([[PUBLIC], ["alias.example.test"]])),
        ("inside.example.test".to_owned(), json!([["127.0.0.1"]])),
    ]);
    // What the other name may do is not what this one may.
    for more in [&[][..], &["inside.example.test:8080,private"]] {
        let outcome = place.dial(&[&["alias.example.test:8080"], more].concat(), "alias.example.test");
        expect_refused(&outcome, "alias.example.test", 8080, "127.0.0.1");
    }
    let outcome = place.dial(&["changing.example.test:8080"], "changing.example.test");
    expect_refused(&outcome, "changing.example.test", 8080, "127.0.0.1");
    let outcome = place.dial(&["alias.example.test:8080,private"], "alias.example.test");
    outcome.expect_silent_success().expect_stdout("came to 127.0.0.1\n");
    place.expect_visitors(&["127.0.0.1"]);
}

#[test]
fn a_guest_that_has_been_there_is_refused_when_the_name_has_turned() {
    let turning = json!([[PUBLIC], [PUBLIC], ["127.0.0.1"]]);
    let names = ["one.example.test", "two.example.test"];
    let place = Place::new(names.map(|name| (name.to_owned(), turning.clone())));
    let twice = |grant: &str, name: &str| place.run(&[grant], "transfer.wasm", &[name, "8080", name, "8080"]);
    let outcome = twice("one.example.test:8080", names[0]);
    let text = outcome.text();
    assert!(text.starts_with("connected\n") && text.contains("second failed PermissionDenied"), "{outcome:#?}");
    let complaints = outcome.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("the name leads to 127.0.0.1, "), "{outcome:#?}");
    let outcome = twice("two.example.test:8080,private", names[1]);
    assert!(outcome.text().ends_with("second connected\n"), "{outcome:#?}");
    place.expect_visitors(&[PUBLIC, PUBLIC, "127.0.0.1"]);
}

#[test]
fn a_request_by_name_is_refused_likewise() {
    for guest in ["fetch.wasm", "fetch-p3.wasm"] {
        let place = Place::new([
            ("inside.example.test".to_owned(), json!([["127.0.0.1"]])),
            ("meta.example.test".to_owned(), json!([[LINK_LOCAL]])),
            ("turning.example.test".to_owned(), json!([[PUBLIC], ["::1"]])),
        ]);
        for (name, address) in [("inside.example.test", "127.0.0.1"), ("meta.example.test", LINK_LOCAL)] {
            let outcome = place.run(&[&format!("{name}:8081")], guest, &[&format!("http://{name}:8081/")]);
            expect_refused(&outcome, name, 8081, address);
            assert!(outcome.stderr.ends_with("error: http-request-denied\n"), "{outcome:#?}");
        }
        let arguments = ["http://turning.example.test:8081/", "--repeat", "2"];
        let outcome = place.run(&["turning.example.test:8081"], guest, &arguments);
        expect_refused(&outcome, "turning.example.test", 8081, "::1");
        assert!(outcome.text().contains(&format!("came to {PUBLIC}\n")), "the first one was good: {outcome:#?}");
        let marked = place.run(&["inside.example.test:8081,private"], guest, &["http://inside.example.test:8081/"]);
        assert!(marked.expect_silent_success().text().ends_with("came to 127.0.0.1\n"), "{marked:#?}");
        place.expect_visitors(&[PUBLIC, "127.0.0.1"]);
    }
}
