//! Every call of `wasi:sockets` 0.2, checked by a guest against the text of the interface.

use cord_tests::cord::Cord;
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, LOOPBACK_V6, UdpEcho};

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

/// What happens among sockets of one guest needs no grant, and is the same with one for everything.
const EVERYTHING: &[&str] = &["-c", "*:*", "-c", "udp://*:*"];

#[test]
fn bind() {
    check(&[], &["bind"]);
    check(EVERYTHING, &["bind"]);
}

#[test]
fn listen() {
    check(&[], &["listen"]);
    check(EVERYTHING, &["listen"]);
}

#[test]
fn backlog() {
    check(&[], &["backlog"]);
    check(EVERYTHING, &["backlog"]);
}

#[test]
fn join() {
    check(&[], &["join"]);
    check(EVERYTHING, &["join"]);
}

#[test]
fn join_outlive() {
    check(&[], &["join-outlive"]);
}

#[test]
fn udp() {
    check(&[], &["udp"]);
    check(EVERYTHING, &["udp"]);
}

#[test]
fn exchange() {
    check(&[], &["exchange"]);
    check(EVERYTHING, &["exchange"]);
}

#[test]
fn a_datagram_that_was_not_permitted_ends_the_guest() {
    let outcome = Cord::run_guest(&[], "sockets.wasm", &["unpermitted"]).run();
    outcome.expect_code(134).expect_stdout("");
    assert!(outcome.complaints().iter().any(|line| line.starts_with("the guest trapped: ")), "{outcome:#?}");
}

#[test]
fn speak() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = UdpEcho::at(any);
        let (host, port) = (echo.address().ip().to_string(), echo.address().port().to_string());
        check(&["-c", &echo.target()], &["speak", &host, &port]);
    }
}

#[test]
fn unheard() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        // Bound and then closed: nobody else is told this port for a while.
        let address = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
        let flag = format!("udp://{address}");
        check(&["-c", &flag], &["unheard", &address.ip().to_string(), &address.port().to_string()]);
    }
}

#[test]
fn udp_denied() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = UdpEcho::at(any);
        let (host, port) = (echo.address().ip().to_string(), echo.address().port().to_string());
        let tcp = format!("{}", echo.address());
        for flags in [&[][..], &["-c", &tcp], &["-c", "udp://127.0.0.2:1"]] {
            check(flags, &["udp-denied", &host, &port]);
        }
    }
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
