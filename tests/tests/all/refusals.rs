//! What is not granted is refused before anything goes out, and told once with the flag that would allow it.

use cord_tests::cord::Cord;
use cord_tests::process::Outcome;
use cord_tests::servers::{LOOPBACK, LOOPBACK_V6, Listener};

fn dial(flags: &[&str], host: &str, port: &str) -> Outcome {
    Cord::run_guest(flags, "dial.wasm", &[host, port, "--text", "hi"]).run()
}

fn expect_hint(outcome: &Outcome, target: &str) {
    let hint = format!("connect to {target} denied: no grant covers it (allow with --connect {target})");
    outcome.expect_code(1).expect_stdout("");
    assert_eq!(outcome.complaints(), [hint], "{outcome:#?}");
    assert!(outcome.stderr.contains("dial: PermissionDenied: "), "{outcome:#?}");
}

#[test]
fn nobody_hears_of_a_connect_that_is_not_granted() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let listener = Listener::at(any);
        let target = listener.address().to_string();
        let host = listener.address().ip().to_string();
        let next_port = format!("{}-{}", 1, listener.address().port() - 1);
        let udp = format!("udp://{target}");
        let elsewhere = format!("127.0.0.2:{}", listener.port());
        let by_name = format!("*.example.test:{}", listener.port());
        let lower_ports = format!("*:{next_port}");
        for flags in [
            &[][..],
            &["-c", &lower_ports],
            &["-c", &udp],
            &["-c", &elsewhere],
            &["-c", &by_name],
            &["-c", &lower_ports, "-c", &udp, "-c", &elsewhere],
        ] {
            expect_hint(&dial(flags, &host, &listener.port()), &target);
            listener.expect_nobody();
        }
        // The listener is heard by those who may.
        let allowed = Cord::run_guest(&["-c", &target], "dial.wasm", &[&host, &listener.port(), "--quiet"]).run();
        allowed.expect_silent_success();
        drop(listener.accept());
    }
}

#[test]
fn localhost_is_not_granted_by_a_wildcard_name() {
    let listener = Listener::at(LOOPBACK);
    let outcome = dial(&["-c", &format!("*.localhost:{}", listener.port())], "localhost", &listener.port());
    outcome.expect_code(1);
    listener.expect_nobody();
}

#[test]
fn the_same_refusal_is_told_once() {
    let listener = Listener::at(LOOPBACK);
    for flags in [&[][..], &["-c", "127.0.0.2:1"]] {
        let outcome = Cord::run_guest(flags, "many.wasm", &["127.0.0.1", &listener.port(), "20"]).run();
        outcome.expect_code(1).expect_stdout("0 of 20 connected, 0 echoed\n");
        assert_eq!(outcome.complaints().len(), 1, "{outcome:#?}");
        assert!(outcome.stderr.contains("20 times access-denied"), "{outcome:#?}");
    }
    listener.expect_nobody();
}

#[test]
fn a_name_that_is_not_granted_is_not_looked_up() {
    for flags in [&[][..], &["-c", "other.example.test:80"]] {
        let outcome = dial(flags, "www.example.test", "80");
        outcome.expect_code(1).expect_stdout("");
        let complaints = outcome.complaints();
        assert_eq!(complaints.len(), 1, "{outcome:#?}");
        assert!(complaints[0].starts_with("lookup of www.example.test denied: "), "{outcome:#?}");
        assert!(complaints[0].contains("allow with --connect www.example.test:"), "{outcome:#?}");
    }
}

#[test]
fn a_service_name_is_not_looked_up_either() {
    // Whether or not the machine knows such a host: names without a dot never reach its resolver.
    let outcome = dial(&["-c", "*:80"], "db", "80");
    outcome.expect_code(1).expect_stdout("");
    assert!(outcome.stderr.contains("dial: "), "{outcome:#?}");
}

#[test]
fn a_guest_with_a_grant_for_udp_learns_that_there_is_none_yet() {
    let outcome = Cord::run_guest(&["-c", "udp://127.0.0.1:53"], "sockets.wasm", &["udp"]).run();
    outcome.expect_code(0);
    assert!(outcome.stderr.contains("UDP"), "{outcome:#?}");
}
