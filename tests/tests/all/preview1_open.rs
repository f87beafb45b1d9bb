//! Sockets that a guest of preview 1 finds open: `--listen-fds` and `--connect-fd`, in C, Rust and Go.

use cord_tests::cord::Cord;
use cord_tests::published::{Published, ask, connect};
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, Listener};
use std::io::{Read, Write};
use std::net::Shutdown;

const C: &str = "listen-fds-c-p1.wasm";
const RUST: &str = "listen-std-p1.wasm";
const GO: &str = "listen-go-p1.wasm";
const GO_DIAL: &str = "dial-go-p1.wasm";

#[test]
fn a_c_guest_accepts_on_what_it_was_given() {
    let flags = ["-p", "0:8080", "-p", "0:9090", "--listen-fds"];
    let expected = "given 2: tcp-8080:tcp-9090\n3 is a stream socket\n4 is a stream socket\n";
    let server = Published::start(&flags, C, &["3", "3"]).ready(expected);
    let (first, second) = (server.addresses()[0], server.addresses()[1]);
    let mut patient = connect(first);
    patient.write_all(b"early").unwrap();
    // Others are served in the meantime.
    assert_eq!(ask(connect(second), "in the meantime"), "in the meantime");
    assert_eq!(ask(connect(first), ""), "");
    patient.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    patient.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "early");
    server.into_process().wait().expect_code(0).expect_stdout(expected);
}

#[test]
fn open_sockets_stand_behind_the_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = ["a", "b"].map(|name| format!("{}:/{name}", folder.path().display()));
    let flags = ["-v", &volumes[0], "-v", &volumes[1], "-p", "0:8080", "--listen-fds"];
    let server = Published::start(&flags, C, &["5", "1"]).ready("5 is a stream socket\n");
    assert_eq!(ask(connect(server.address()), "behind"), "behind");
    server.into_process().wait().expect_code(0);
    let here = ["-v", &volumes[0], "-w", "/a", "-p", "0:8080", "--listen-fds"];
    let server = Published::start(&here, C, &["5", "1"]).ready("5 is a stream socket\n");
    assert_eq!(ask(connect(server.address()), "behind"), "behind");
    server.into_process().wait().expect_code(0);
}

#[test]
fn a_port_that_is_published_twice_is_one_socket() {
    let flags = ["-p", "0:8080", "-p", "[::1]:0:8080", "-p", "127.0.0.1:0:53/udp", "--listen-fds"];
    let expected = "given 2: tcp-8080:udp-53\n3 is a stream socket\n4 is a datagram socket\n";
    let server = Published::start(&flags, C, &["3", "2"]).ready(expected);
    for address in &server.addresses()[..2] {
        assert_eq!(ask(connect(*address), "both"), "both", "{address}");
    }
    server.into_process().wait().expect_code(0).expect_stdout(expected);
}

#[test]
fn what_was_typed_of_the_environment_stays() {
    let flags = ["-p", "0:8080", "--listen-fds", "-e", "LISTEN_PID=1"];
    let outcome = Cord::run_guest(&flags, C, &["3", "1"]).run();
    outcome.expect_code(0).expect_stdout("given 0: nothing\n");
    let flags = ["-p", "0:8080", "--listen-fds", "-e", "LISTEN_FDNAMES=web"];
    let server = Published::start(&flags, C, &["3", "1"]).ready("given 1: web\n");
    assert_eq!(ask(connect(server.address()), "x"), "x");
    server.into_process().wait().expect_code(0);
    Cord::run_guest(&["-p", "0:8080"], C, &["3", "1"]).run().expect_code(0).expect_stdout("given 0: nothing\n");
}

#[test]
fn a_rust_guest_accepts_on_what_it_was_given() {
    let server = Published::start(&["-p", "0:80", "--listen-fds"], RUST, &["3", "2"]);
    for text in ["first", "second"] {
        assert_eq!(ask(connect(server.address()), text), text);
    }
    server.into_process().wait().expect_code(0);
}

#[test]
fn a_go_guest_serves_many_at_once_on_what_it_was_given() {
    cord_tests::programs::warm(GO);
    let server = Published::start(&["-p", "0:80", "-p", "0:81", "--listen-fds"], GO, &["3", "20"]);
    for (address, name) in [(server.addresses()[0], "tcp-80"), (server.addresses()[1], "tcp-81")] {
        let mut clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
        for (number, client) in clients.iter_mut().enumerate().rev() {
            writeln!(client, "client {number}").unwrap();
        }
        for (number, mut client) in clients.into_iter().enumerate() {
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, format!("{name}: client {number}\n"));
        }
    }
    server.into_process().wait().expect_code(0);
}

#[test]
fn a_connection_that_was_given_needs_no_grant_and_is_none() {
    cord_tests::programs::warm(GO_DIAL);
    let echo = Echo::start();
    for target in [echo.target(), format!("localhost:{}", echo.port())] {
        let outcome =
            Cord::run_guest(&["--connect-fd", &format!("echo={target}")], GO_DIAL, &["3", "over a gift"]).run();
        outcome.expect_silent_success().expect_stdout("over a gift\n");
    }
    let flags = ["--connect-fd", &*format!("echo={}", echo.target())];
    let outcome = Cord::run_guest(&flags, "sockets-p1.wasm", &["denied", &echo.target()]).run();
    outcome.expect_code(0);
    assert_eq!(outcome.complaints().len(), 3, "{outcome:#?}");
}

#[test]
fn listeners_come_before_connections() {
    let (echo, other) = (Echo::start(), Echo::start());
    let given = [format!("one={}", echo.target()), format!("two={}", other.target())];
    let flags = ["--connect-fd", &given[0], "-p", "0:80", "--listen-fds", "--connect-fd", &given[1]];
    let expected = "given 3: tcp-80:one:two\n3 is a stream socket\n4 is a stream socket\n5 is a stream socket\n";
    let mut running = Cord::run_guest(&flags, C, &["3", "1000"]).start();
    running.wait_for_stdout(expected);
    assert!(running.is_running());
}

#[test]
fn a_connection_that_cannot_be_made_ends_the_run_before_it_begins() {
    let closed = ClosedPort::at(LOOPBACK);
    let target = format!("127.0.0.1:{}", closed.port());
    let outcome = Cord::run_guest(&["--connect-fd", &format!("db={target}")], "hello-p1.wasm", &[]).run();
    let complaint = outcome.expect_complaint(125);
    assert!(complaint.contains(&format!("cannot connect to {target} for --connect-fd db: ")), "{complaint}");
    assert!(complaint.contains("refused"), "{complaint}");
    let wrong = Cord::run_guest(&["--connect-fd", "db=127.0.0.1:*"], "hello-p1.wasm", &[]).run();
    assert!(wrong.expect_complaint(125).contains("can be many places"), "{wrong:#?}");
}

#[test]
fn what_cannot_find_open_sockets_is_refused() {
    let nobody = Listener::at(LOOPBACK);
    let given = format!("x={}", nobody.address());
    for guest in ["hello.wasm", "hello-p3.wasm", "hello-p0.wat"] {
        for (flags, flag) in
            [(&["-p", "0:80", "--listen-fds"][..], "--listen-fds"), (&["--connect-fd", &given], "--connect-fd")]
        {
            let outcome = Cord::run_guest(flags, guest, &[]).run();
            let complaint = outcome.expect_complaint(126);
            assert!(complaint.starts_with(&format!("{flag} is for modules of preview 1, and ")), "{complaint}");
        }
    }
    nobody.expect_nobody();
}

#[test]
fn open_sockets_need_a_published_port() {
    let outcome = Cord::run_guest(&["--listen-fds"], "hello-p1.wasm", &[]).run();
    assert!(outcome.expect_complaint(125).contains("--publish"), "{outcome:#?}");
}
