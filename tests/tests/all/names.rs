//! Connecting by name, on a machine whose only names are those of a hosts file of the test's own.

use cord_tests::cord::Cord;
use cord_tests::namespace::with_hosts;
use cord_tests::process::Outcome;
use cord_tests::servers::{Echo, LOOPBACK, Listener};

const HOSTS: &str = "\
127.0.0.1 localhost
127.0.0.1 rebind.example.test private.other.test
127.0.0.1 db
192.168.77.1 mixed.example.test
127.0.0.1 mixed.example.test
";

fn dial(flags: &[String], host: &str, port: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let flags: Vec<&str> = flags.iter().flat_map(|target| ["-c", target]).collect();
    let cord = Cord::run_guest(&flags, "dial.wasm", &[host, port, "--text", "hello", "--half-close", "--quiet"]);
    cord.wrapped(with_hosts(folder.path(), HOSTS)).run()
}

#[test]
fn a_name_that_leads_to_loopback_is_refused_and_the_refusal_tells_why() {
    let listener = Listener::at(LOOPBACK);
    let port = listener.port();
    for name in ["rebind.example.test", "*.example.test"] {
        let outcome = dial(&[format!("{name}:{port}")], "rebind.example.test", &port);
        outcome.expect_code(1).expect_stdout("");
        assert!(outcome.stderr.contains("dial: PermissionDenied: "), "{outcome:#?}");
        let complaints = outcome.complaints();
        assert_eq!(complaints.len(), 1, "{outcome:#?}");
        let why =
            format!("connect to rebind.example.test:{port} denied: the name leads to 127.0.0.1, which is not public");
        assert!(complaints[0].starts_with(&why), "{outcome:#?}");
        assert!(complaints[0].contains("allow with --connect"), "{outcome:#?}");
    }
    listener.expect_nobody();
}

#[test]
fn a_name_marked_private_may_lead_to_loopback() {
    let echo = Echo::start();
    let port = echo.port();
    for target in [format!("rebind.example.test:{port},private"), format!("*.example.test:{port},private")] {
        dial(&[target], "rebind.example.test", &port).expect_silent_success().expect_stdout("hello\n");
    }
}

#[test]
fn a_name_may_lead_to_an_address_that_is_granted_too() {
    let echo = Echo::start();
    let port = echo.port();
    for address in [format!("127.0.0.1:{port}"), format!("127.0.0.0/8:{port}"), format!("*:{port}")] {
        let flags = [format!("rebind.example.test:{port}"), address];
        dial(&flags, "rebind.example.test", &port).expect_silent_success().expect_stdout("hello\n");
    }
}

#[test]
fn an_address_granted_at_another_port_does_not_help() {
    let listener = Listener::at(LOOPBACK);
    let port = listener.port();
    let other = format!("127.0.0.1:1-{}", listener.address().port() - 1);
    dial(&[format!("rebind.example.test:{port}"), other], "rebind.example.test", &port).expect_code(1);
    listener.expect_nobody();
}

#[test]
fn the_mark_holds_for_its_own_name_alone() {
    let listener = Listener::at(LOOPBACK);
    let port = listener.port();
    let flags = [format!("private.other.test:{port},private"), format!("rebind.example.test:{port}")];
    dial(&flags, "rebind.example.test", &port).expect_code(1);
    listener.expect_nobody();
}

#[test]
fn of_several_addresses_those_that_are_granted_are_tried() {
    let echo = Echo::start();
    let port = echo.port();
    let flags = [format!("mixed.example.test:{port}"), format!("127.0.0.1:{port}")];
    dial(&flags, "mixed.example.test", &port).expect_silent_success().expect_stdout("hello\n");
}

#[test]
fn a_name_that_does_not_exist_is_not_found() {
    let outcome = dial(&["gone.example.test:80".to_owned()], "gone.example.test", "80");
    outcome.expect_code(1).expect_stdout("");
    assert_eq!(outcome.complaints(), [""; 0], "{outcome:#?}");
}

#[test]
fn a_name_without_a_dot_does_not_reach_the_resolver() {
    let listener = Listener::at(LOOPBACK);
    let port = listener.port();
    dial(&[format!("*:{port}")], "db", &port).expect_code(1).expect_stdout("");
    listener.expect_nobody();
}

#[test]
fn localhost_is_loopback_whatever_the_hosts_file_says() {
    let echo = Echo::start();
    let port = echo.port();
    dial(&[format!("localhost:{port}")], "localhost", &port).expect_silent_success().expect_stdout("hello\n");
    dial(&[format!("127.0.0.1:{port}")], "localhost", &port).expect_code(0).expect_stdout("hello\n");
}

#[test]
fn names_are_the_same_in_capitals_and_with_a_final_dot() {
    let echo = Echo::start();
    let port = echo.port();
    let flags = [format!("Rebind.Example.Test.:{port},private")];
    for host in ["rebind.example.test", "REBIND.example.test", "rebind.example.test."] {
        dial(&flags, host, &port).expect_silent_success().expect_stdout("hello\n");
    }
}

#[test]
fn a_guest_that_asks_at_once_finds_the_resolver_and_the_egress() {
    let echo = Echo::start();
    let flags = [format!("rebind.example.test:{},private", echo.port())];
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                dial(&flags, "rebind.example.test", &echo.port()).expect_silent_success().expect_stdout("hello\n");
            });
        }
    });
}
