//! Every call of `wasi:sockets` 0.3, checked by a guest against the text of the interface; and programs that use it.

use cord_tests::cord::Cord;
use cord_tests::namespace::with_hosts;
use cord_tests::process::Outcome;
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, LOOPBACK_V6, Listener};
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::thread::spawn;

/// Runs the exerciser, prints what it checked, and tells what `cord` had to say.
#[expect(clippy::print_stdout, reason = "a failed test should show which checks went well before")]
fn check(flags: &[&str], arguments: &[&str]) -> Outcome {
    let outcome = Cord::run_guest(flags, "sockets-p3.wasm", arguments).run();
    let text = outcome.text();
    println!("{arguments:?}\n{text}");
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(failed, [""; 0], "{arguments:?}: {outcome:#?}");
    assert!(text.lines().count() > 0, "{arguments:?}: {outcome:#?}");
    outcome.expect_code(0);
    outcome
}

/// The same where nothing is to be refused.
fn check_silently(flags: &[&str], arguments: &[&str]) {
    assert_eq!(check(flags, arguments).complaints(), [""; 0]);
}

/// Runs the exerciser against an echo server in both families.
fn check_with_echo(subcommand: &str) {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = Echo::at(any);
        check_silently(&["-c", &echo.target()], &[subcommand, &echo.host(), &echo.port()]);
    }
}

fn host_and_port(address: SocketAddr) -> [String; 2] {
    [address.ip().to_string(), address.port().to_string()]
}

#[test]
fn unconnected() {
    check_silently(&[], &["unconnected"]);
    check_silently(&["-c", "*:*"], &["unconnected"]);
}

#[test]
fn bind() {
    check_silently(&[], &["bind"]);
    check_silently(&["-c", "*:*"], &["bind"]);
}

#[test]
fn listen() {
    check_silently(&[], &["listen"]);
}

#[test]
fn loopback() {
    check_silently(&[], &["loopback"]);
    check_silently(&["-c", "*:*"], &["loopback"]);
}

#[test]
fn options() {
    check_silently(&[], &["options"]);
}

#[test]
fn names() {
    let outcome = check(&[], &["names"]);
    let complaints = outcome.complaints();
    assert_eq!(complaints.len(), 1, "{outcome:#?}");
    assert!(complaints[0].starts_with("lookup of ungranted.example denied: "), "{outcome:#?}");
}

#[test]
fn udp() {
    let outcome = check(&[], &["udp"]);
    // A port that the guest gave back, once for each family.
    let complaints = outcome.complaints();
    assert_eq!(complaints.len(), 2, "{outcome:#?}");
    assert!(complaints.iter().all(|line| line.starts_with("connect to udp://")), "{outcome:#?}");
}

#[test]
fn limit() {
    check_silently(&[], &["limit", "10000"]);
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
        let closed = ClosedPort::at(any);
        let flag = SocketAddr::new(any.ip(), closed.port().parse().unwrap()).to_string();
        check_silently(&["-c", &flag], &["refused", &any.ip().to_string(), &closed.port()]);
    }
}

#[test]
fn reset() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let listener = Listener::at(any);
        let (target, [host, port]) = (listener.address().to_string(), host_and_port(listener.address()));
        spawn(move || {
            let mut stream = listener.accept();
            stream.read_exact(&mut [0]).unwrap();
            rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
        });
        check_silently(&["-c", &target], &["reset", &host, &port]);
    }
}

#[test]
fn nobody_hears_of_a_connect_that_is_not_granted() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let listener = Listener::at(any);
        let (target, [host, port]) = (listener.address().to_string(), host_and_port(listener.address()));
        for flags in [&[][..], &["-c", "127.0.0.2:1"], &["-c", &format!("udp://{target}")]] {
            let outcome = check(flags, &["denied", &host, &port]);
            let hint = format!("connect to {target} denied: no grant covers it (allow with --connect {target})");
            assert_eq!(outcome.complaints(), [hint], "{outcome:#?}");
            listener.expect_nobody();
        }
    }
}

#[test]
fn nobody_hears_of_a_datagram_that_is_not_granted() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let socket = UdpSocket::bind(any).unwrap();
        let address = socket.local_addr().unwrap();
        let [host, port] = host_and_port(address);
        for flags in [&[][..], &["-c", "udp://127.0.0.2:1"], &["-c", &address.to_string()]] {
            let outcome = check(flags, &["denied-udp", &host, &port]);
            let target = format!("udp://{address}");
            let hint = format!("connect to {target} denied: no grant covers it (allow with --connect {target})");
            assert_eq!(outcome.complaints(), [hint], "{outcome:#?}");
            socket.set_nonblocking(true).unwrap();
            let heard = socket.recv(&mut [0; 16]).map_err(|error| error.kind());
            assert_eq!(heard, Err(std::io::ErrorKind::WouldBlock), "a datagram came");
        }
    }
}

#[test]
fn a_lookup_gives_all_addresses_of_a_name() {
    let hosts = "192.0.2.7 two.example.test\n2001:db8::7 two.example.test\n192.0.2.8 one.example.test\n\
        192.0.2.9 xn--bcher-kva.example.test\n";
    let lookup = |flags: &[&str], names: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        Cord::run_guest(flags, "lookup-p3.wasm", names).wrapped(with_hosts(folder.path(), hosts)).run()
    };
    let flags = ["-c", "*.example.test:80"];
    let outcome = lookup(&flags, &["two.example.test", "ONE.example.test.", "b\u{fc}cher.example.test"]);
    let text = outcome.text();
    let found = |line: &str| text.lines().any(|found| found == line);
    assert!(
        found("two.example.test: 192.0.2.7 2001:db8::7") || found("two.example.test: 2001:db8::7 192.0.2.7"),
        "{outcome:#?}"
    );
    assert!(found("ONE.example.test.: 192.0.2.8"), "{outcome:#?}");
    assert!(found("b\u{fc}cher.example.test: 192.0.2.9"), "{outcome:#?}");
    outcome.expect_silent_success();

    let outcome = lookup(&flags, &["gone.example.test"]);
    outcome.expect_code(1).expect_stdout("gone.example.test: name-unresolvable\n");
    assert_eq!(outcome.complaints(), [""; 0], "{outcome:#?}");

    // A service that is not there, and one hint for a name that is asked for twice.
    let outcome = lookup(&flags, &["other.test", "other.test"]);
    outcome.expect_code(1).expect_stdout("other.test: access-denied\nother.test: access-denied\n");
    assert_eq!(outcome.complaints().len(), 1, "{outcome:#?}");
}

#[test]
fn a_client_connects_by_name() {
    let (folder, echo) = (tempfile::tempdir().unwrap(), Echo::start());
    let port = echo.port();
    let flags = ["-c", &format!("echo.example.test:{port},private")];
    let client = Cord::run_guest(&flags, "tcp-dial-p3.wasm", &["echo.example.test", &port, "by name"]);
    let outcome = client.wrapped(with_hosts(folder.path(), "127.0.0.1 echo.example.test\n")).run();
    outcome.expect_silent_success().expect_stdout("by name");
    let outcome = Cord::run_guest(&["-c", &echo.target()], "tcp-dial-p3.wasm", &["localhost", &port, "hello"]).run();
    outcome.expect_code(0).expect_stdout("hello");
}
