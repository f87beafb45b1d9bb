//! Every call of `wasi:sockets` 0.2, checked by a guest against the text of the interface.

use cord_tests::cord::Cord;
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, LOOPBACK_V6};

/// Runs the exerciser and prints what it checked.
#[expect(clippy::print_stdout, reason = "a failed test should show which checks went well before")]
fn check(flags: &[&str], arguments: &[&str]) {
    let outcome = Cord::run_guest(flags, "sockets.wasm", arguments).run();
    let text = outcome.text();
    println!("{arguments:?}\n{text}");
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(failed, [""; 0], "{arguments:?}: {outcome:#?}");
    assert!(text.lines().count() > 0, "{arguments:?}: {outcome:#?}");
    outcome.expect_code(0);
}

/// Runs the exerciser against an echo server in both families.
fn check_with_echo(subcommand: &str) {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = Echo::at(any);
        check(&["-c", &echo.target()], &[subcommand, &echo.host(), &echo.port()]);
    }
}

#[test]
fn unconnected() {
    check(&[], &["unconnected"]);
    check(&["-c", "*:*"], &["unconnected"]);
}

#[test]
fn options() {
    check(&[], &["options"]);
}

#[test]
fn names() {
    check(&[], &["names"]);
}

#[test]
fn udp() {
    check(&[], &["udp"]);
}

#[test]
fn connect() {
    check_with_echo("connect");
}

#[test]
fn streams() {
    check_with_echo("streams");
}

#[test]
fn outlive() {
    check_with_echo("outlive");
}

#[test]
fn refused() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let (closed, host) = (ClosedPort::at(any), any.ip().to_string());
        let flag = std::net::SocketAddr::new(any.ip(), closed.port().parse().unwrap()).to_string();
        check(&["-c", &flag], &["refused", &host, &closed.port()]);
    }
}

#[test]
fn denied() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = Echo::at(any);
        check(&[], &["denied", &echo.host(), &echo.port()]);
        check(&["-c", "127.0.0.2:1"], &["denied", &echo.host(), &echo.port()]);
    }
}

#[test]
fn a_read_time_out_ends_a_wait_for_a_silent_server() {
    let silent = cord_tests::servers::Listener::at(LOOPBACK);
    let flags = ["-c", &silent.address().to_string()];
    let arguments = ["127.0.0.1", &silent.port(), "--text", "anybody?", "--read-timeout", "50", "--quiet"];
    let outcome = Cord::run_guest(&flags, "dial.wasm", &arguments).run();
    outcome.expect_code(1).expect_stdout("");
    let timed_out = ["dial: WouldBlock: ", "dial: TimedOut: "].iter().any(|text| outcome.stderr.starts_with(text));
    assert!(timed_out, "{outcome:#?}");
}
