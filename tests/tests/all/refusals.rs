//! What is not granted is refused before anything goes out, and told once with the flag that would allow it.

use cord_tests::cord::Cord;
use cord_tests::namespace::Network;
use cord_tests::process::Outcome;
use cord_tests::servers::{LOOPBACK, LOOPBACK_V6, Listener, UdpEcho};

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

/// Runs a guest in a network of its own and expects that it is refused, with these hints, and that nothing was sent.
fn expect_nothing_sent(flags: &[&str], guest: &str, arguments: &[&str], code: i32, hints: &[&str]) -> Outcome {
    let network = Network::start();
    let before = network.packets();
    let outcome = Cord::run_guest(flags, guest, arguments).wrapped(network.wrapper()).run();
    outcome.expect_code(code);
    assert_eq!(outcome.complaints(), hints, "{flags:?} {arguments:?}: {outcome:#?}");
    assert_eq!(network.packets(), before, "something was sent: {outcome:#?}");
    outcome
}

#[test]
fn a_port_that_is_not_published_cannot_be_bound() {
    for (address, other) in [("0.0.0.0:8080", "127.0.0.1:0:8081"), ("[::]:8080", "[::1]:0:8081")] {
        let udp = format!("{}/udp", other.replace("8081", "8080"));
        for flags in [&[][..], &["-c", "*:*"], &["-p", other], &["-p", &udp]] {
            let network = Network::start();
            let before = network.packets();
            let outcome = Cord::run_guest(flags, "tcp-echo.wasm", &[address]).wrapped(network.wrapper()).run();
            outcome.expect_code(1).expect_stdout("");
            let hint = format!("bind to {address} denied: no grant covers it (allow with --publish 8080:8080)");
            let told: Vec<&str> =
                outcome.complaints().into_iter().filter(|line| !line.ends_with(" of the guest")).collect();
            assert_eq!(told, [hint], "{flags:?}: {outcome:#?}");
            assert!(outcome.stderr.contains("PermissionDenied"), "{outcome:#?}");
            assert_eq!(network.packets(), before, "something was sent: {outcome:#?}");
        }
    }
}

#[test]
fn a_port_for_datagrams_that_is_not_published_cannot_be_bound() {
    for (address, other) in [("0.0.0.0:5353", "127.0.0.1:0:5354/udp"), ("[::]:5353", "[::1]:0:5354/udp")] {
        for flags in [&[][..], &["-c", "udp://*:*"], &["-p", other], &["-p", "127.0.0.1:0:5353"]] {
            let outcome = Cord::run_guest(flags, "udp-echo.wasm", &[address]).run();
            outcome.expect_code(1).expect_stdout("");
            let hint =
                format!("bind to udp://{address} denied: no grant covers it (allow with --publish 5353:5353/udp)");
            let told: Vec<&str> =
                outcome.complaints().into_iter().filter(|line| !line.ends_with(" of the guest")).collect();
            assert_eq!(told, [hint], "{flags:?}: {outcome:#?}");
        }
    }
}

#[test]
fn a_datagram_to_a_peer_that_is_not_granted_is_not_sent() {
    for (peer, close) in [("127.0.0.1:5300", "udp://127.0.0.1:5301"), ("[::1]:5300", "udp://[::1]:5301")] {
        let hint = format!("connect to udp://{peer} denied: no grant covers it (allow with --connect udp://{peer})");
        let tcp = peer.to_string();
        for flags in [&[][..], &["-c", close], &["-c", &tcp], &["-c", "udp://*.example.test:5300"]] {
            for way in [&[peer, "--times", "3"][..], &[peer, "--connect", "--times", "3"]] {
                let outcome = expect_nothing_sent(flags, "udp-dial.wasm", way, 1, &[&hint]);
                let denied = outcome.stderr.matches("udp-dial: PermissionDenied: ").count();
                assert_eq!(denied, 3, "{flags:?} {way:?}: {outcome:#?}");
            }
        }
    }
}

#[test]
fn the_network_counts_a_datagram_that_is_granted() {
    let network = Network::start();
    let before = network.packets();
    let arguments = ["127.0.0.1:5300", "--timeout", "50"];
    let granted = Cord::run_guest(&["-c", "udp://127.0.0.1:5300"], "udp-dial.wasm", &arguments);
    let outcome = granted.wrapped(network.wrapper()).run();
    // Nobody answers there.
    outcome.expect_code(1);
    assert_eq!(outcome.complaints(), [""; 0], "{outcome:#?}");
    assert!(network.packets() > before);
}

#[test]
fn a_peer_that_is_not_granted_does_not_keep_others_from_being_asked() {
    let echo = UdpEcho::at(LOOPBACK);
    let (granted, denied) = (echo.address().to_string(), "127.0.0.1:1");
    let outcome = Cord::run_guest(&["-c", &echo.target()], "udp-dial.wasm", &[denied, &granted]).run();
    outcome.expect_code(1).expect_stdout(&format!("{granted} answered hello\n"));
    assert_eq!(outcome.complaints().len(), 1, "{outcome:#?}");
}

#[test]
fn a_lookup_that_is_not_granted_sends_nothing_and_is_told_once() {
    let hint = "lookup of www.example.test denied: no grant covers it (allow with --connect www.example.test:PORT)";
    let names = ["lookup", "www.example.test", "www.example.test", "WWW.example.test."];
    for flags in [&[][..], &["-c", "other.example.test:80"]] {
        let outcome = expect_nothing_sent(flags, "sockets.wasm", &names, 0, &[hint]);
        assert_eq!(outcome.text().matches(": access-denied\n").count(), 3, "{outcome:#?}");
    }
}
