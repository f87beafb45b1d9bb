//! Datagrams: guests that serve them through `cord run --publish`, and guests that send them out.

use cord_tests::cord::Cord;
use cord_tests::namespace::{Network, OTHER_ADDRESS};
use cord_tests::process::Running;
use cord_tests::programs;
use cord_tests::published::{Published, ask_udp, connect_udp};
use cord_tests::servers::{LOOPBACK, LOOPBACK_V6, UdpEcho};
use std::net::SocketAddr;
use std::process::Command;

/// What the host types, and where the guest is bound.
const WAYS: [(&str, &str); 4] = [
    ("0:5353/udp", "0.0.0.0:5353"),
    ("127.0.0.1:0:5353/udp", "127.0.0.1:5353"),
    ("[::1]:0:5353/udp", "[::]:5353"),
    ("[::1]:0:5353/udp", "[::1]:5353"),
];
/// From none to the most that fits.
const SIZES: [usize; 5] = [0, 1, 1472, 9000, 65_507];

fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_rust_guest_on_std_net_answers_datagrams_of_every_size() {
    for (publish, bound) in WAYS {
        let arguments = [bound, "--datagrams", &SIZES.len().to_string()];
        let server = Published::start(&["-p", publish], "udp-echo.wasm", &arguments);
        let server = server.ready(&format!("bound to {bound}\n"));
        let client = connect_udp(server.address());
        let peer = client.local_addr().unwrap();
        let mut expected = format!("bound to {bound}\n");
        for size in SIZES {
            assert_eq!(ask_udp(&client, &payload(size)), payload(size), "{publish}, {size} bytes");
            expected += &format!("{peer} sent {size} bytes\n");
        }
        server.into_process().wait().expect_code(0).expect_stdout(&expected);
    }
}

#[test]
fn the_first_datagram_may_be_of_any_size() {
    for size in SIZES {
        let server = Published::start(&["-p", "0:5353/udp"], "udp-echo.wasm", &["0.0.0.0:5353"]).ready("bound to ");
        assert_eq!(ask_udp(&connect_udp(server.address()), &payload(size)), payload(size), "{size} bytes");
    }
}

#[test]
fn peers_at_the_same_time_each_get_their_own_answers() {
    let server = Published::start(&["-p", "0:5353/udp"], "udp-echo.wasm", &["0.0.0.0:5353", "--quiet"]);
    let server = server.ready("bound to ");
    let clients: Vec<_> = (0..20).map(|_| connect_udp(server.address())).collect();
    for round in 0..10 {
        // All ask before any is answered.
        for (index, client) in clients.iter().enumerate() {
            client.send(format!("{index}, {round}").as_bytes()).unwrap();
        }
        for (index, client) in clients.iter().enumerate() {
            let mut answer = [0; 64];
            let length = client.recv(&mut answer).unwrap();
            assert_eq!(String::from_utf8_lossy(&answer[..length]), format!("{index}, {round}"));
        }
    }
    for client in &clients {
        client.set_nonblocking(true).unwrap();
        assert!(client.recv(&mut [0; 64]).is_err(), "an answer to somebody else");
    }
}

#[test]
fn datagrams_that_come_in_a_row_all_arrive_once() {
    let server = Published::start(&["-p", "0:5353/udp"], "udp-echo.wasm", &["0.0.0.0:5353", "--quiet"]);
    let server = server.ready("bound to ");
    let client = connect_udp(server.address());
    // Sent without waiting, so that some come before the peer has a socket of its own.
    for number in 0..20_u8 {
        client.send(&[number]).unwrap();
    }
    let mut answers = Vec::new();
    for _ in 0..20 {
        let mut answer = [0; 2];
        assert_eq!(client.recv(&mut answer).unwrap(), 1);
        answers.push(answer[0]);
    }
    // In whatever order: while the peer's socket is made, one may overtake another.
    answers.sort_unstable();
    assert_eq!(answers, (0..20).collect::<Vec<u8>>());
}

/// A guest that takes `udp-serve ADDRESS PORT COUNT`.
fn serves(guest: &str) {
    programs::warm(guest);
    for (publish, host) in [("0:7/udp", "0.0.0.0"), ("[::1]:0:7/udp", "::")] {
        let server = Published::start(&["-p", publish], guest, &["udp-serve", host, "7", "3"]).ready("bound to ");
        let clients = [connect_udp(server.address()), connect_udp(server.address())];
        for (index, text) in [(0, "first"), (1, "second"), (0, "third")] {
            assert_eq!(ask_udp(&clients[index], text.as_bytes()), text.as_bytes(), "{guest} {publish}");
        }
        let outcome = server.into_process().wait();
        outcome.expect_code(0);
        let first = clients[0].local_addr().unwrap();
        assert_eq!(outcome.text().matches(&format!("{first} sent 5 bytes\n")).count(), 2, "{outcome:#?}");
    }
}

#[test]
fn a_c_guest_serves() {
    serves("echo-c.wasm");
}

#[test]
fn a_python_guest_serves() {
    serves("echo-python.wasm");
}

/// A guest that takes `udp-dial HOST PORT TEXT` and `udp-send HOST PORT TEXT`.
fn dials(guest: &str) {
    programs::warm(guest);
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = UdpEcho::at(any);
        let (host, port) = (echo.address().ip().to_string(), echo.address().port().to_string());
        for way in ["udp-dial", "udp-send"] {
            let outcome = Cord::run_guest(&["-c", &echo.target()], guest, &[way, &host, &port, "over"]).run();
            outcome.expect_silent_success().expect_stdout(&format!("{} answered over\n", echo.address()));
        }
    }
}

#[test]
fn a_c_guest_dials() {
    dials("echo-c.wasm");
}

#[test]
fn a_python_guest_dials() {
    dials("echo-python.wasm");
}

#[test]
fn a_rust_guest_dials_several_servers_connected_and_not() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let servers = [UdpEcho::at(any), UdpEcho::at(any), UdpEcho::at(any)];
        let addresses: Vec<String> = servers.iter().map(|server| server.address().to_string()).collect();
        let targets: Vec<String> = servers.iter().map(UdpEcho::target).collect();
        let flags: Vec<&str> = targets.iter().flat_map(|target| ["-c", target]).collect();
        let mut expected: Vec<String> = addresses.iter().map(|address| format!("{address} answered hello")).collect();
        expected.sort();
        for way in [&[][..], &["--connect"]] {
            let arguments: Vec<&str> = addresses.iter().map(String::as_str).chain(way.iter().copied()).collect();
            let outcome = Cord::run_guest(&flags, "udp-dial.wasm", &arguments).run();
            outcome.expect_silent_success();
            let text = outcome.text();
            let mut answers: Vec<&str> = text.lines().collect();
            answers.sort_unstable();
            assert_eq!(answers, expected, "{way:?}");
        }
    }
}

#[test]
fn a_rust_guest_sends_datagrams_of_every_size() {
    let echo = UdpEcho::at(LOOPBACK);
    let address = echo.address().to_string();
    for size in SIZES {
        for way in [&[][..], &["--connect"]] {
            let size_text = size.to_string();
            let arguments: Vec<&str> =
                [&address, "--size", &size_text].into_iter().chain(way.iter().copied()).collect();
            let outcome = Cord::run_guest(&["-c", &echo.target()], "udp-dial.wasm", &arguments).run();
            outcome.expect_silent_success().expect_stdout(&format!("{address} answered {size} bytes, the same\n"));
        }
    }
}

#[test]
fn a_guest_dials_by_name() {
    let echo = UdpEcho::at(LOOPBACK);
    let (name, port) = (format!("localhost:{}", echo.address().port()), echo.address().port());
    for target in [format!("udp://localhost:{port}"), format!("udp://127.0.0.1:{port}"), format!("udp://*:{port}")] {
        let outcome = Cord::run_guest(&["-c", &target], "udp-dial.wasm", &[&name]).run();
        outcome.expect_code(0).expect_stdout(&format!("127.0.0.1:{port} answered hello\n"));
    }
}

#[test]
fn two_guests_speak_by_datagrams() {
    let server = Published::start(&["-p", "0:7/udp"], "echo-c.wasm", &["udp-serve", "0.0.0.0", "7", "2"]);
    let server = server.ready("bound to ");
    let address = server.address().to_string();
    let target = format!("udp://{address}");
    for way in [&[&*address][..], &[&address, "--connect"]] {
        let outcome = Cord::run_guest(&["-c", &target], "udp-dial.wasm", way).run();
        outcome.expect_silent_success().expect_stdout(&format!("{address} answered hello\n"));
    }
    server.into_process().wait().expect_code(0);
}

const PYTHON_CLIENT: &str = "\
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(100)
    sock.sendto(b'by python', (sys.argv[1], int(sys.argv[2])))
    data, peer = sock.recvfrom(100)
    assert peer == (sys.argv[1], int(sys.argv[2])), peer
    print(data.decode())
";

#[test]
fn nc_and_python_are_answered() {
    let server = Published::start(&["-p", "0:5353/udp"], "udp-echo.wasm", &["0.0.0.0:5353"]).ready("bound to ");
    let (host, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let mut python = Command::new(programs::python());
    let outcome = Running::start(python.args(["-c", PYTHON_CLIENT, &host, &port])).wait();
    outcome.expect_code(0).expect_stdout("by python\n");
    // `nc` listens on for as long as it is let, so it is ended when it was answered.
    let mut nc = Running::start(Command::new("nc").args(["-u", &host, &port]).stdin(std::process::Stdio::piped()));
    nc.write("by nc\n");
    nc.wait_for_stdout("by nc\n");
}

#[test]
fn who_asks_at_one_address_of_several_is_answered_from_there() {
    let network = Network::start();
    let server = Published::start_in(network.wrapper(), &["-p", "0.0.0.0:0:53/udp"], "udp-echo.wasm", &["0.0.0.0:53"]);
    let server = server.ready("bound to ");
    let port = server.address().port().to_string();
    for host in ["127.0.0.1", "127.0.0.2", OTHER_ADDRESS] {
        let mut python = network.command(&programs::python());
        let outcome = Running::start(python.args(["-c", PYTHON_CLIENT, host, &port])).wait();
        outcome.expect_silent_success().expect_stdout("by python\n");
    }
}

#[test]
fn tcp_and_udp_are_published_side_by_side() {
    let flags = ["-p", "0:5353", "-p", "0:5353/udp"];
    // This guest listens for connections alone: nobody answers datagrams, and that disturbs nothing.
    let server = Published::start(&flags, "tcp-echo.wasm", &["0.0.0.0:5353"]).ready("listening on ");
    let [tcp, udp] = [server.addresses()[0], server.addresses()[1]];
    connect_udp(udp).send(b"anybody?").unwrap();
    let answer = cord_tests::published::ask(cord_tests::published::connect(tcp), "by connection");
    assert_eq!(answer, "by connection");
}

#[test]
fn a_guest_answers_only_who_wrote_to_it() {
    let stranger = std::net::UdpSocket::bind(LOOPBACK).unwrap();
    let stranger_address: SocketAddr = stranger.local_addr().unwrap();
    // The guest is published, and from the same socket speaks to somebody who never wrote.
    let arguments = [&stranger_address.to_string(), "--bind", "0.0.0.0:5353"];
    let outcome = Cord::run_guest(&["-p", "127.0.0.1:0:5353/udp"], "udp-dial.wasm", &arguments);
    let outcome = outcome.arguments(["--timeout", "50"]).run();
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("udp-dial: PermissionDenied: "), "{outcome:#?}");
    stranger.set_nonblocking(true).unwrap();
    assert!(stranger.recv(&mut [0; 16]).is_err(), "it was reached");
}
