//! Every call of `wasi:sockets` 0.3, checked by a guest against the text of the interface; and programs that use it.

use cord_tests::cord::Cord;
use cord_tests::namespace::{Network, with_hosts, with_resolver};
use cord_tests::process::{Outcome, children, is_alive, send_signal};
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, LOOPBACK_V6, Listener};
use cord_tests::wait;
use rustix::process::Signal;
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::thread::spawn;

/// Runs the exerciser, and tells what `cord` had to say.
fn check(flags: &[&str], arguments: &[&str]) -> Outcome {
    checked(arguments, Cord::run_guest(flags, "sockets-p3.wasm", arguments).run())
}

/// The same in a network of the test's own.
fn check_in(network: &Network, flags: &[&str], arguments: &[&str]) -> Outcome {
    let cord = Cord::run_guest(flags, "sockets-p3.wasm", arguments).wrapped(network.wrapper());
    checked(arguments, cord.run())
}

/// Prints what was checked, and expects that all went well.
#[expect(clippy::print_stdout, reason = "a failed test should show which checks went well before")]
fn checked(arguments: &[&str], outcome: Outcome) -> Outcome {
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
fn what_is_denied_puts_no_packet_on_the_wire() {
    let network = Network::start();
    for flags in [&[][..], &["-c", "127.0.0.2:1", "-c", "udp://127.0.0.2:1", "-c", "other.example.test:1"]] {
        for arguments in [
            &["denied", "192.0.2.1", "80"][..],
            &["denied", "127.0.0.1", "80"],
            &["denied-udp", "192.0.2.1", "53"],
            &["denied-udp", "::1", "53"],
            &["denied-bind", "0.0.0.0", "8080"],
            &["denied-bind", "::", "8080"],
            &["names"],
        ] {
            let outcome = check_in(&network, flags, arguments);
            let complaints = outcome.complaints();
            let binds = arguments[0] == "denied-bind";
            assert_eq!(complaints.len(), if binds { 2 } else { 1 }, "{outcome:#?}");
        }
    }
    assert_eq!(network.packets(), 0);
}

#[test]
fn a_bind_that_is_not_granted_is_told_once_with_the_flag() {
    for host in ["0.0.0.0", "::"] {
        let outcome = check(&["-c", "*:*"], &["denied-bind", host, "8080"]);
        let target = SocketAddr::new(host.parse().unwrap(), 8080);
        let hint = |target: &str, flag: &str| {
            format!("bind to {target} denied: no grant covers it (allow with --publish {flag})")
        };
        let hints = [hint(&target.to_string(), "8080:8080"), hint(&format!("udp://{target}"), "8080:8080/udp")];
        assert_eq!(outcome.complaints(), hints, "{outcome:#?}");
    }
}

#[test]
fn where_no_way_leads_is_unreachable() {
    let network = Network::start();
    for (host, flag) in [("192.0.2.1", "192.0.2.1:80"), ("2001:db8::1", "[2001:db8::1]:80")] {
        let flags = ["-c", flag, "-c", &format!("udp://{flag}")];
        let outcome = check_in(&network, &flags, &["unreachable", host, "80"]);
        assert_eq!(outcome.complaints(), [""; 0], "{outcome:#?}");
    }
}

#[test]
fn a_peer_that_is_not_there_refuses_datagrams() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        // A socket that hears somebody else keeps the port, and is nobody's peer.
        let (closed, other) = (UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap());
        closed.connect(other.local_addr().unwrap()).unwrap();
        let address = closed.local_addr().unwrap();
        let [host, port] = host_and_port(address);
        check_silently(&["-c", &format!("udp://{address}")], &["udp-refused", &host, &port]);
    }
}

#[test]
fn without_the_broker_everything_new_fails_and_what_was_there_stays() {
    let echo = Echo::start();
    let (flags, arguments) = (["-c", &echo.target()], ["orphaned", &echo.host(), &echo.port()]);
    let mut running = Cord::run_guest(&flags, "sockets-p3.wasm", &arguments).piped_stdin().start();
    running.wait_for_stdout("ready\n");
    let children = children(running.pid());
    let [(broker, _)] = children[..] else { panic!("not one broker: {running:#?}") };
    send_signal(broker, Signal::KILL);
    wait::until("the broker's end", || !is_alive(broker));
    running.write("go\n");
    let outcome = running.wait();
    let text = outcome.text();
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ") && *line != "ready").collect();
    assert_eq!(failed, [""; 0], "{outcome:#?}");
    outcome.expect_code(0);
}

#[test]
fn a_lookup_that_nobody_answers_failed_for_now() {
    let (network, folder) = (Network::start(), tempfile::tempdir().unwrap());
    let mut words = network.wrapper();
    words.extend(with_resolver(folder.path()));
    let flags = ["-c", "www.example.test:80"];
    let outcome = Cord::run_guest(&flags, "lookup-p3.wasm", &["www.example.test"]).wrapped(words).run();
    outcome.expect_code(1).expect_stdout("www.example.test: temporary-resolver-failure\n");
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
