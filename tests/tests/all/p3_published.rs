//! Programs on WASI 0.3: servers that are reached through `cord run -p`, and clients.

use cord_tests::cord::Cord;
use cord_tests::process::descriptors;
use cord_tests::published::{Published, ask, ask_udp, connect, connect_udp};
use cord_tests::servers::{Echo, LOOPBACK, LOOPBACK_V6, UdpEcho};
use cord_tests::wait;
use std::io::{ErrorKind, Read, Write};

use std::time::Duration;

/// More than all buffers on the way hold.
const LARGE_BYTES: usize = 4 << 20;

/// A TCP echo server on all addresses of a family.
fn tcp_echo(flag: &str, host: &str) -> Published {
    Published::start(&["-p", flag], "tcp-echo-p3.wasm", &[host, "8080"]).ready("listening on ")
}

#[test]
fn a_server_answers_over_both_families() {
    for (flag, host) in [("0:8080", "0.0.0.0"), ("[::1]:0:8080", "::"), ("0:8080", "::"), ("0:8080", "127.0.0.1")] {
        let server = tcp_echo(flag, host);
        for text in ["", "one", "another"] {
            assert_eq!(ask(connect(server.address()), text), text, "{flag} at {host}");
        }
    }
}

#[test]
fn both_ends_of_a_connection_are_told_truly() {
    let mut published = tcp_echo("0:8080", "0.0.0.0");
    let client = connect(published.address());
    let (near, far) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    published.process().wait_for_stdout(&format!("{near} is at {far}\n"));
}

#[test]
fn many_clients_at_once_and_a_large_answer() {
    let server = tcp_echo("0:8080", "0.0.0.0");
    let mut clients: Vec<_> = (0..500).map(|_| connect(server.address())).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(format!("{number:03}").as_bytes()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let mut answer = [0; 3];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("{number:03}").as_bytes());
    }
    let large = "x".repeat(LARGE_BYTES);
    let client = connect(server.address());
    let mut writer = client.try_clone().unwrap();
    let sent = large.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(sent.as_bytes()).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut answer = String::new();
    (&client).read_to_string(&mut answer).unwrap();
    sender.join().unwrap();
    assert!(answer == large, "{} bytes came back", answer.len());
}

#[test]
fn clients_that_break_off_leave_nothing_behind() {
    let server = tcp_echo("0:8080", "0.0.0.0");
    assert_eq!(ask(connect(server.address()), "before"), "before");
    let processes = server.processes();
    let count = || processes.map(descriptors);
    let before = count();
    for _ in 0..50 {
        let client = connect(server.address());
        (&client).write_all(b"unread").unwrap();
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
    }
    assert_eq!(ask(connect(server.address()), "after"), "after");
    let is_back = |now: &[usize; 2]| now.iter().zip(&before).all(|(now, before)| now <= before);
    let what = format!("{before:?} descriptors of runner and broker, or fewer");
    let _ = wait::for_some(what, || Some(count()).filter(is_back));
}

#[test]
fn a_port_that_is_not_published_is_denied() {
    for (flags, target) in [(&["-p", "0:8080"][..], "0.0.0.0:9090"), (&["-p", "0:9090/udp"], "0.0.0.0:9090")] {
        let outcome = Cord::run_guest(flags, "tcp-echo-p3.wasm", &["0.0.0.0", "9090"]).run();
        outcome.expect_code(1).expect_stdout("");
        let denied = format!("bind to {target} denied: no grant covers it (allow with --publish 9090:9090)");
        let told = outcome.complaints().into_iter().filter(|line| *line == denied).count();
        assert_eq!(told, 1, "{outcome:#?}");
    }
    let outcome = Cord::run_guest(&["-p", "0:5353"], "udp-echo-p3.wasm", &["0.0.0.0", "5353"]).run();
    outcome.expect_code(1).expect_stdout("");
    let denied = "bind to udp://0.0.0.0:5353 denied: no grant covers it (allow with --publish 5353:5353/udp)";
    assert!(outcome.complaints().contains(&denied), "{outcome:#?}");
}

#[test]
fn datagrams_of_all_sizes_come_back_to_those_who_sent_them() {
    for (flag, host) in [("0:5353/udp", "0.0.0.0"), ("[::1]:0:5353/udp", "::")] {
        let server = Published::start(&["-p", flag], "udp-echo-p3.wasm", &[host, "5353"]).ready("listening on ");
        let (one, two) = (connect_udp(server.address()), connect_udp(server.address()));
        for length in [0, 1, 1472, 65_507] {
            let data = vec![b'1'; length];
            assert!(ask_udp(&one, &data) == data, "{length} bytes at {host}");
        }
        two.send(b"two").unwrap();
        one.send(b"one").unwrap();
        for (socket, want) in [(&one, b"one"), (&two, b"two")] {
            let mut answer = [0; 16];
            let length = socket.recv(&mut answer).unwrap();
            assert_eq!(&answer[..length], want);
            socket.set_nonblocking(true).unwrap();
            assert_eq!(socket.recv(&mut answer).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        }
    }
}

#[test]
fn a_client_asks_a_server_outside_by_datagrams() {
    for any in [LOOPBACK, LOOPBACK_V6] {
        let echo = UdpEcho::at(any);
        let (host, port) = (echo.address().ip().to_string(), echo.address().port().to_string());
        for mode in [&[][..], &["--connect"]] {
            let arguments: Vec<&str> = mode.iter().copied().chain([&*host, &*port, "first", "second"]).collect();
            let outcome = Cord::run_guest(&["-c", &echo.target()], "udp-ask-p3.wasm", &arguments).run();
            outcome.expect_silent_success().expect_stdout("first\nsecond\n");
        }
        let outcome = Cord::run_guest(&["-c", &echo.target()], "sockets-p3.wasm", &["udp-peer", &host, &port]).run();
        let text = outcome.text();
        let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ")).collect();
        assert_eq!(failed, [""; 0], "{outcome:#?}");
        outcome.expect_silent_success();
    }
}

#[test]
fn streams_can_be_handed_on_from_one_interface_to_another() {
    let (folder, echo) = (tempfile::tempdir().unwrap(), Echo::start());
    let input = folder.path().join("input");
    std::fs::write(&input, "0123456789abcde\n".repeat(LARGE_BYTES / 16)).unwrap();
    let cat = Cord::run_guest(&["-c", &echo.target()], "tcp-cat-p3.wasm", &[&echo.host(), &echo.port()]);
    let outcome = cat.stdin_from(&input).run();
    assert!(outcome.stdout == std::fs::read(&input).unwrap(), "{outcome:#?}");
    outcome.expect_silent_success();
}
