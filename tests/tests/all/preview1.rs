//! Sockets of preview 1: every call on them, and WasmEdge's calls, through the newest and an older version of its crate.

use cord_tests::cord::Cord;
use cord_tests::published::{Published, ask, ask_udp, connect, connect_udp};
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, LOOPBACK_V6, UdpEcho};
use std::net::SocketAddr;

/// The exerciser.
const SOCKETS: &str = "sockets-p1.wasm";
const WASMEDGE: &str = "wasmedge-p1.wasm";
const WASMEDGE_OLD: &str = "wasmedge-old-p1.wasm";

/// Expects nothing but lines that begin with `ok`.
#[expect(clippy::print_stdout, reason = "a failed test should show which checks went well before")]
fn judge(outcome: &cord_tests::process::Outcome, what: &[&str]) {
    let text = outcome.text();
    println!("{what:?}\n{text}");
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(failed, [""; 0], "{what:?}: {outcome:#?}");
    assert!(text.lines().count() > 0, "{what:?}: {outcome:#?}");
    outcome.expect_code(0);
}

/// Runs the exerciser, and tells what `cord` had to say.
fn check(flags: &[&str], arguments: &[&str]) -> Vec<String> {
    let outcome = Cord::run_guest(flags, SOCKETS, arguments).run();
    judge(&outcome, arguments);
    outcome.complaints().iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn calls_in_the_wrong_state() {
    let hint = "bind to 0.0.0.0:8080 denied: no grant covers it (allow with --publish 8080:8080)";
    assert_eq!(check(&[], &["states"]), [hint]);
    assert_eq!(check(&["-c", "*:*"], &["states"]).len(), 1);
}

#[test]
fn a_connection_inside_the_guest() {
    // Nobody listens any more at the end: then the port is the host's.
    assert_eq!(check(&[], &["tcp"]).len(), 1);
}

#[test]
fn datagrams_inside_the_guest() {
    assert!(check(&[], &["udp"]).is_empty());
}

#[test]
fn waiting_for_several_things() {
    assert!(check(&[], &["poll"]).is_empty());
}

#[test]
fn waiting_for_input_among_others() {
    let mut running = Cord::run_guest(&[], SOCKETS, &["poll-input"]).piped_stdin().start();
    running.wait_for_stdout("ready for input\n");
    running.write("typed\n");
    running.wait_for_stdout("ready for the end\n");
    running.close_stdin();
    let mut outcome = running.wait();
    let text = outcome.text().replace("ready for input\n", "").replace("ready for the end\n", "");
    outcome.stdout = text.into();
    judge(&outcome, &["poll-input"]);
}

#[test]
fn files_beside_sockets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "contents").unwrap();
    let volume = format!("{}:/data", folder.path().display());
    assert!(check(&["-v", &volume], &["files", "3"]).is_empty());
    let (other, data) = (format!("{}:/other:ro", folder.path().display()), volume);
    assert!(check(&["-v", &other, "-v", &data], &["files", "4"]).is_empty());
}

#[test]
fn options() {
    assert!(check(&[], &["options"]).is_empty());
}

#[test]
fn names() {
    let hint = "lookup of name.example.com denied: no grant covers it (allow with --connect name.example.com:PORT)";
    assert_eq!(check(&[], &["names"]), [hint]);
    assert_eq!(check(&["-c", "127.0.0.1:1"], &["names"]), [hint]);
}

#[test]
fn connections_out_of_the_guest() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = Echo::at(any);
        assert!(check(&["-c", &echo.target()], &["connect", &echo.target()]).is_empty());
    }
}

#[test]
fn nobody_there() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let closed = ClosedPort::at(any);
        let target = SocketAddr::new(any.ip(), closed.port().parse().unwrap()).to_string();
        assert!(check(&["-c", &target], &["refused", &target]).is_empty());
    }
}

#[test]
fn denials_are_told_once() {
    let echo = Echo::start();
    let target = echo.target();
    let hints = [
        format!("connect to {target} denied: no grant covers it (allow with --connect {target})"),
        format!("connect to udp://{target} denied: no grant covers it (allow with --connect udp://{target})"),
        "bind to udp://0.0.0.0:5353 denied: no grant covers it (allow with --publish 5353:5353/udp)".to_owned(),
    ];
    assert_eq!(check(&[], &["denied", &target]), hints);
    assert_eq!(check(&["-c", "127.0.0.2:1"], &["denied", &target]), hints);
}

#[test]
fn there_are_only_so_many() {
    assert!(check(&[], &["limit"]).is_empty());
}

#[test]
fn a_guest_of_wasmedges_crate_connects() {
    let echo = Echo::start();
    for guest in [WASMEDGE, WASMEDGE_OLD] {
        let arguments = ["connect", &*echo.host(), &echo.port(), "over and out"];
        let outcome = Cord::run_guest(&["-c", &echo.target()], guest, &arguments).run();
        outcome.expect_silent_success().expect_stdout(&format!("connected to {}\nover and out\n", echo.target()));
        let by_name = format!("localhost:{}", echo.port());
        let arguments = ["connect", "localhost", &*echo.port(), "by name"];
        let outcome = Cord::run_guest(&["-c", &by_name], guest, &arguments).run();
        outcome.expect_silent_success().expect_stdout(&format!("connected to {}\nby name\n", echo.target()));
    }
}

#[test]
fn a_guest_of_wasmedges_crate_that_may_not_connect_is_told_so() {
    let echo = Echo::start();
    let outcome = Cord::run_guest(&[], WASMEDGE, &["connect", &echo.host(), &echo.port(), "x"]).run();
    outcome.expect_code(1).expect_stdout("");
    assert!(outcome.stderr.contains("PermissionDenied"), "{outcome:#?}");
    assert_eq!(outcome.complaints().len(), 1, "{outcome:#?}");
}

#[test]
fn a_guest_of_wasmedges_crate_serves() {
    for (guest, ready) in [(WASMEDGE, "listening at 0.0.0.0:8080\n"), (WASMEDGE_OLD, "")] {
        let server = Published::start(&["-p", "0:8080"], guest, &["serve", "8080", "2"]).ready(ready);
        for text in ["first", "second"] {
            assert_eq!(ask(connect(server.address()), text), text, "{guest}");
        }
        let outcome = server.into_process().wait();
        outcome.expect_code(0).expect_stdout(&format!("{ready}{0}{0}", "connection from 127.0.0.1\n"));
    }
}

#[test]
fn a_guest_of_wasmedges_crate_answers_datagrams() {
    for (guest, told) in [(WASMEDGE, ""), (WASMEDGE_OLD, "datagram from 127.0.0.1\n")] {
        let server = Published::start(&["-p", "0:5353/udp"], guest, &["udp-serve", "5353", "3"]);
        let server = server.ready("bound to port 5353\n");
        let client = connect_udp(server.address());
        for data in [&b"first"[..], b"", &[7; 1472]] {
            assert_eq!(ask_udp(&client, data), data, "{guest}");
        }
        server.into_process().wait().expect_code(0).expect_stdout(&format!("bound to port 5353\n{}", told.repeat(3)));
    }
}

#[test]
fn a_guest_of_wasmedges_crate_sends_datagrams() {
    let echo = UdpEcho::at(LOOPBACK);
    let target = echo.address().to_string();
    let arguments = ["udp-send", "127.0.0.1", &echo.address().port().to_string(), "hello"];
    let outcome = Cord::run_guest(&["-c", &format!("udp://{target}")], WASMEDGE, &arguments).run();
    outcome.expect_silent_success().expect_stdout(&format!("{target} said hello\n"));
}

#[test]
fn a_guest_of_wasmedges_crate_looks_names_up_and_sets_options() {
    let outcome = Cord::run_guest(&[], WASMEDGE, &["lookup", "localhost"]).run();
    outcome.expect_silent_success().expect_stdout("127.0.0.1:80\n");
    let outcome = Cord::run_guest(&[], WASMEDGE, &["options"]).run();
    outcome.expect_silent_success().expect_stdout(
        "reuse address true, keep alive true\nreceive timeout Some(1.5s), send timeout None\nkind Stream, listens \
         false\nbuffers true\nlistens true, error Ok(())\ndevice None\n",
    );
}
