//! A guest that takes whatever it gets meets a clear limit, and everything else goes on.

use cord_tests::cord::Cord;
use cord_tests::process::Outcome;
use cord_tests::published::{Published, ask, connect, connect_udp};
use cord_tests::servers::{Echo, LOOPBACK, UdpEcho};
use cord_tests::wait;

/// As many sockets as one guest may hold.
const MOST: usize = 4096;
const KINDS: [&str; 8] =
    ["tcp", "udp", "tcp-bound", "udp-bound", "tcp-listening", "udp-streaming", "tcp-ports", "udp-ports"];

#[test]
fn a_guest_that_takes_sockets_until_it_is_refused_learns_the_limit_and_may_go_on() {
    for kind in KINDS {
        let outcome = Cord::run_guest(&[], "hoard.wasm", &[kind]).run();
        let expected = format!("{MOST} times, then new-socket-limit\nagain: ok\n");
        outcome.expect_silent_success().expect_stdout(&expected);
    }
}

#[test]
fn the_broker_serves_a_guest_that_hoards() {
    let echo = Echo::start();
    for kind in KINDS {
        let outcome = hoard(&["-c", &echo.target(), "-p", "0:8080"], kind, &echo.port());
        let expected = format!("{MOST} times, then new-socket-limit\ndial: ok\nagain: ok\n");
        outcome.expect_code(0).expect_stdout(&expected);
        // Ports of its own loopback that nobody published are no refusal to be told.
        assert!(!outcome.stderr.contains("denied"), "{kind}: {outcome:#?}");
    }
}

fn hoard(flags: &[&str], kind: &str, port: &str) -> Outcome {
    Cord::run_guest(flags, "hoard.wasm", &[kind, "--dial", port]).run()
}

#[test]
fn a_guest_that_tries_every_port_is_refused_at_the_first() {
    let outcome = Cord::run_guest(&["-p", "0:8080"], "hoard.wasm", &["tcp-outside"]).run();
    outcome.expect_code(0).expect_stdout("0 times, then access-denied\nagain: access-denied\n");
    assert_eq!(outcome.stderr.matches("bind to 0.0.0.0:20000 denied: ").count(), 1, "{outcome:#?}");
}

#[test]
fn a_guest_that_hoards_does_not_disturb_another() {
    let server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &["0.0.0.0:80"]).ready("listening on ");
    std::thread::scope(|scope| {
        let hoarder = scope.spawn(|| Cord::run_guest(&["-p", "0:8080"], "hoard.wasm", &["tcp-ports"]).run());
        for number in 0..50 {
            let text = format!("number {number}");
            assert_eq!(ask(connect(server.address()), &text), text);
        }
        hoarder.join().unwrap().expect_code(0);
    });
}

#[test]
fn sixty_four_ports_can_be_published() {
    let ports: Vec<String> = (8000..8064).map(|port| port.to_string()).collect();
    let publish: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:0:{port}")).collect();
    let flags: Vec<&str> = publish.iter().flat_map(|publish| ["-p", publish.as_str()]).collect();
    let arguments: Vec<&str> = ports.iter().map(String::as_str).collect();
    let mut server = Published::start(&flags, "serve.wasm", &arguments).ready("listening on 8063\n");
    for address in server.addresses() {
        let text = address.to_string();
        assert_eq!(ask(connect(*address), &text), text);
    }
    server.process().write("end\n");
    server.into_process().wait().expect_code(0);
}

#[test]
fn more_peers_than_a_socket_remembers_are_all_answered() {
    const PEERS: usize = 1500;
    let server = Published::start(&["-p", "0:5353/udp"], "udp-echo.wasm", &["0.0.0.0:5353", "--quiet"]);
    let server = server.ready("bound to ");
    for number in 0..PEERS {
        let text = format!("peer {number}").into_bytes();
        let client = connect_udp(server.address());
        assert_eq!(cord_tests::published::ask_udp(&client, &text), text);
    }
    let [runner, _] = server.processes();
    wait::until("a bounded number of descriptors", || cord_tests::process::descriptors(runner) < 1100);
}

#[test]
fn a_thousand_datagrams_to_one_server_use_one_socket() {
    let echo = UdpEcho::at(LOOPBACK);
    let address = echo.address().to_string();
    let outcome =
        Cord::run_guest(&["-c", &echo.target()], "udp-dial.wasm", &[&address, "--connect", "--times", "1000"]);
    let outcome = outcome.run();
    outcome.expect_silent_success();
    assert_eq!(outcome.text(), format!("{address} answered hello\n").repeat(1000));
}
