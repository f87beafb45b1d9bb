//! Guests that listen, reached from outside through `cord run --publish`.

use cord_tests::cord::Cord;
use cord_tests::namespace::{Network, OTHER_ADDRESS};
use cord_tests::process::{Running, is_alive};
use cord_tests::programs;
use cord_tests::published::{Published, ask, connect};
use cord_tests::servers::{LOOPBACK, Listener};
use cord_tests::wait;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

/// What the host types, and where the guest listens.
const WAYS: [(&str, &str); 5] = [
    ("0:8080", "0.0.0.0:8080"),
    ("127.0.0.1:0:8080", "0.0.0.0:8080"),
    ("127.0.0.1:0:8080/tcp", "127.0.0.1:8080"),
    ("[::1]:0:8080", "[::]:8080"),
    ("[::1]:0:8080", "[::1]:8080"),
];
const ALL_AT_ONCE: usize = 500;

#[test]
fn a_rust_guest_on_std_net_serves_and_knows_both_ends() {
    for (publish, listen) in WAYS {
        let server = Published::start(&["-p", publish], "tcp-echo.wasm", &[listen, "--connections", "3"]);
        let server = server.ready(&format!("listening on {listen}\n"));
        let address = server.address();
        let mut expected = format!("listening on {listen}\n");
        for text in ["one", "", "three\nlines\nof text"] {
            let client = connect(address);
            assert_eq!(client.peer_addr().unwrap(), address);
            let peer = client.local_addr().unwrap();
            assert_eq!(ask(client, text), text, "{publish}");
            expected += &format!("{peer} at {address}\n{peer} sent {} bytes\n", text.len());
        }
        let outcome = server.into_process().wait();
        outcome.expect_code(0).expect_stdout(&expected);
        assert_eq!(outcome.stderr, format!("cord: {address} is port 8080 of the guest\n"));
    }
}

/// A guest that takes `tcp-serve ADDRESS PORT COUNT` and tells who wrote how much.
fn serves(guest: &str) {
    programs::warm(guest);
    for (publish, host) in [("127.0.0.1:0:7", "0.0.0.0"), ("[::1]:0:7", "::")] {
        let server = Published::start(&["-p", publish], guest, &["tcp-serve", host, "7", "2"]).ready("listening on ");
        let address = server.address();
        for text in ["first", "second"] {
            assert_eq!(ask(connect(address), text), text, "{guest} {publish}");
        }
        let outcome = server.into_process().wait();
        outcome.expect_code(0);
        assert_eq!(outcome.text().matches(" bytes\n").count(), 2, "{outcome:#?}");
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

/// A guest that takes `tcp-dial HOST PORT TEXT`.
fn dials(guest: &str) {
    programs::warm(guest);
    let echo = cord_tests::servers::Echo::start();
    let arguments = ["tcp-dial", &echo.host(), &echo.port(), "over and out"];
    let outcome = Cord::run_guest(&["-c", &echo.target()], guest, &arguments).run();
    outcome.expect_silent_success().expect_stdout("over and out\n");
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
fn guests_of_two_languages_speak_with_each_other() {
    programs::warm("echo-python.wasm");
    let server = Published::start(&["-p", "0:7"], "echo-python.wasm", &["tcp-serve", "0.0.0.0", "7", "1"]);
    let server = server.ready("listening on ");
    let port = server.address().port().to_string();
    let flags = ["-c", &server.address().to_string()];
    let outcome = Cord::run_guest(&flags, "echo-c.wasm", &["tcp-dial", "127.0.0.1", &port, "hello, snake"]).run();
    outcome.expect_silent_success().expect_stdout("hello, snake\n");
    server.into_process().wait().expect_code(0);
}

/// Runs a client of the host, with this text as its standard input.
fn client(command: &mut Command, text: &str) -> String {
    let mut running = Running::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
    running.write(text);
    let outcome = running.wait();
    outcome.expect_silent_success().text()
}

const PYTHON_CLIENT: &str = "\
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=100) as stream:
    stream.sendall(sys.stdin.buffer.read())
    stream.shutdown(socket.SHUT_WR)
    while data := stream.recv(4096):
        sys.stdout.buffer.write(data)
";

#[test]
fn nc_and_python_are_served() {
    let server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &["0.0.0.0:80"]).ready("listening on ");
    let (host, port) = (server.address().ip().to_string(), server.address().port().to_string());
    let nc = client(Command::new("nc").args(["-N", &host, &port]), "by nc\n");
    assert_eq!(nc, "by nc\n");
    let python = client(Command::new(programs::python()).args(["-c", PYTHON_CLIENT, &host, &port]), "by python\n");
    assert_eq!(python, "by python\n");
}

/// Where a guest is reached, each as typed and as the guest tells it.
type Hosts = &'static [(&'static str, &'static str)];

/// What the host types, where the guest listens, and which hosts it is reached at.
const EVERYWHERE: [(&str, &str, Hosts); 3] = [
    (
        "0.0.0.0:0:80",
        "0.0.0.0:80",
        &[("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), (OTHER_ADDRESS, OTHER_ADDRESS)],
    ),
    ("[::]:0:80", "[::]:80", &[("::1", "[::1]"), ("127.0.0.1", "[::ffff:127.0.0.1]")]),
    ("[::]:0:80", "0.0.0.0:80", &[("127.0.0.1", "127.0.0.1"), (OTHER_ADDRESS, OTHER_ADDRESS)]),
];

#[test]
fn a_guest_is_published_on_every_address_when_that_was_typed() {
    let network = Network::start();
    for (publish, listen, hosts) in EVERYWHERE {
        let server = Published::start_in(network.wrapper(), &["-p", publish], "tcp-echo.wasm", &[listen]);
        let server = server.ready("listening on ");
        let port = server.address().port().to_string();
        for (host, told) in hosts {
            let mut nc = network.command(Path::new("nc"));
            assert_eq!(client(nc.args(["-N", host, &port]), "everywhere\n"), "everywhere\n", "{publish} {host}");
            server.wait_for_stdout(&format!(" at {told}:{port}\n"));
        }
    }
}

#[test]
fn a_guest_is_published_on_loopback_alone_when_nothing_else_was_typed() {
    let network = Network::start();
    let server = Published::start_in(network.wrapper(), &["-p", "0:80"], "tcp-echo.wasm", &["0.0.0.0:80"]);
    let server = server.ready("listening on ");
    let port = server.address().port().to_string();
    let mut nc = network.command(Path::new("nc"));
    let refused = Running::start(nc.args(["-N", OTHER_ADDRESS, &port])).wait();
    refused.expect_code(1).expect_stdout("");
    let mut nc = network.command(Path::new("nc"));
    assert_eq!(client(nc.args(["-N", "127.0.0.1", &port]), "near\n"), "near\n");
}

#[test]
fn several_listeners_of_one_guest_are_published_each_at_its_own_port() {
    let flags = ["-p", "0:81", "-p", "0:82", "-p", "[::1]:0:83"];
    let arguments = ["0.0.0.0:81", "0.0.0.0:82", "[::]:83", "--connections", "6"];
    let server = Published::start(&flags, "tcp-echo.wasm", &arguments).ready("listening on [::]:83\n");
    let mut addresses = server.addresses().to_vec();
    addresses.reverse();
    for (index, address) in addresses.iter().chain(&addresses).enumerate() {
        let text = format!("to {address}, {index}");
        assert_eq!(ask(connect(*address), &text), text);
    }
    let outcome = server.into_process().wait();
    outcome.expect_code(0);
    for address in addresses {
        assert_eq!(outcome.text().matches(&format!(" at {address}\n")).count(), 2, "{outcome:#?}");
    }
}

#[test]
fn many_clients_are_served_at_the_same_time() {
    let mut server = Published::start(&["-p", "0:80"], "serve.wasm", &["80"]).ready("listening on ");
    let mut clients: Vec<TcpStream> = (0..50).map(|_| connect(server.address())).collect();
    // All are open, and each says something in turn, from the last to the first.
    for round in 0..3 {
        for (index, client) in clients.iter_mut().enumerate().rev() {
            let text = format!("{round} {index:02}");
            client.write_all(text.as_bytes()).unwrap();
            let mut answer = vec![0; text.len()];
            client.read_exact(&mut answer).unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), text);
        }
    }
    drop(clients);
    server.process().write("end\n");
    server.into_process().wait().expect_code(0);
}

#[test]
fn nobody_is_dropped_who_waits_for_a_slow_guest() {
    let count = ALL_AT_ONCE.to_string();
    let arguments = ["0.0.0.0:80", "--wait", "--connections", &count];
    let mut server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &arguments).ready("listening on ");
    let address = server.address();
    // They come, say what they want and wait, before the guest accepts anybody.
    let clients: Vec<_> = (0..ALL_AT_ONCE)
        .map(|index| {
            let mut stream = connect(address);
            stream.write_all(format!("client {index}").as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream
        })
        .collect();
    server.process().write("now\n");
    for (index, mut stream) in clients.into_iter().enumerate() {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("client {index}: {error}"));
        assert_eq!(answer, format!("client {index}"));
    }
    let outcome = server.into_process().wait();
    outcome.expect_code(0);
    assert_eq!(outcome.text().matches(" bytes\n").count(), ALL_AT_ONCE, "{outcome:#?}");
}

#[test]
fn a_guest_may_close_and_listen_again() {
    let arguments = ["0.0.0.0:80", "--connections", "2", "--rounds", "4"];
    let server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &arguments);
    for round in 1..=4 {
        wait::until(format!("round {round}"), || server.stdout().matches("listening on ").count() == round);
        for index in 0..2 {
            let text = format!("round {round}, {index}");
            assert_eq!(ask(connect(server.address()), &text), text);
        }
    }
    server.into_process().wait().expect_code(0);
}

#[test]
fn clients_that_come_before_the_guest_listens_are_served() {
    // The published port is open before the guest is even loaded.
    let server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &["0.0.0.0:80"]);
    assert_eq!(ask(connect(server.address()), "early"), "early");
}

#[test]
fn a_client_that_breaks_off_harms_nobody_else() {
    let server = Published::start(&["-p", "0:80"], "serve.wasm", &["80"]).ready("listening on ");
    for _ in 0..20 {
        let mut client = connect(server.address());
        client.write_all(b"never read").unwrap();
        // With an answer unread, this is a reset.
        drop(client);
    }
    assert_eq!(ask(connect(server.address()), "still here"), "still here");
}

#[test]
fn a_port_in_use_is_told_before_the_guest_starts() {
    let taken = Listener::at(LOOPBACK);
    let publish = format!("{}:80", taken.port());
    let outcome = Cord::run_guest(&["-p", &publish], "tcp-echo.wasm", &["0.0.0.0:80"]).run();
    let line = outcome.expect_complaint(125);
    assert!(line.contains(&taken.address().to_string()) && line.contains("in use"), "{line}");
}

#[test]
fn a_typed_port_is_published_at_that_port() {
    // A port that was free a moment ago.
    let port = Listener::at(LOOPBACK).port();
    let publish = format!("127.0.0.1:{port}:80");
    let server = Published::start(&["-p", &publish], "tcp-echo.wasm", &["0.0.0.0:80", "--connections", "1"]);
    let server = server.ready("listening on ");
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    assert_eq!(ask(connect(address), "typed"), "typed");
    server.into_process().wait().expect_silent_success();
}

#[test]
fn nothing_is_left_when_the_guest_ends() {
    let server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &["0.0.0.0:80", "--connections", "1"]);
    let server = server.ready("listening on ");
    let (address, [_, broker]) = (server.address(), server.processes());
    assert_eq!(ask(connect(address), "last"), "last");
    server.into_process().wait().expect_code(0);
    wait::until("the end of the broker", || !is_alive(broker));
    // The port is free for anybody again.
    drop(Listener::at(address));
}

#[test]
fn a_guest_on_its_own_loopback_is_reached_where_it_was_published_and_only_there() {
    let server = Published::start(&["-p", "0:80"], "tcp-echo.wasm", &["127.0.0.1:80", "127.0.0.1:81"]);
    let server = server.ready("listening on 127.0.0.1:81\n");
    assert_eq!(ask(connect(server.address()), "published"), "published");
    assert!(!server.stderr().contains("denied"), "{server:#?}");
}
