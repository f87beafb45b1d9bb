//! A thousand connections at once, a hundred instances at most: every answer is right, and nothing is left behind.

use cord_tests::http::read_rest;
use cord_tests::published::connect;
use cord_tests::services::Service;
use cord_tests::wait;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

const CROWD: usize = 1000;
const MOST: usize = 100;
const MOST_FLAGS: &[&str] = &["--max-instances", "100"];

/// So many connections at once, each with a text of its own; `check` gets its number, what it has sent and what came back.
fn crowd(address: SocketAddr, count: usize, check: impl Fn(usize, &str, &str)) {
    let mut clients: Vec<TcpStream> = (0..count).map(|_| connect(address)).collect();
    let text = |number: usize| format!("this is client {number}\n");
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(text(number).as_bytes()).unwrap();
        // A guest that fails may have broken off already.
        let _ = client.shutdown(Shutdown::Write);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        check(number, &text(number), &read_rest(client));
    }
}

fn check_echo(number: usize, sent: &str, came: &str) {
    assert_eq!(came, sent, "client {number}");
}

#[test]
fn a_thousand_at_once_are_all_answered_and_leave_nothing_behind() {
    for guest in ["echo-inetd.wasm", "echo-inetd-c-p1.wasm", "echo-inetd-p3.wasm"] {
        let service = Service::per_connection(MOST_FLAGS, guest, &[]);
        // First what both processes make once and keep.
        crowd(service.address(), CROWD, check_echo);
        crowd(service.address(), 1, check_echo);
        // As many descriptors as connections are gone when there are so few.
        let idle = service.wait_for_descriptors([MOST, MOST]);
        crowd(service.address(), CROWD, check_echo);
        let _ = service.wait_for_descriptors(idle);
        service.stop().expect_silent_success();
    }
}

#[test]
fn a_crowd_of_lines_is_counted() {
    let service = Service::per_connection(MOST_FLAGS, "count-lines.wasm", &[]);
    crowd(service.address(), CROWD, |number, sent, came| {
        assert_eq!(came, format!("1 lines, {} bytes\n", sent.len()), "client {number}");
    });
    service.stop().expect_silent_success();
}

#[test]
fn nobody_in_a_crowd_finds_what_another_one_said() {
    for guest in ["secret.wasm", "secret-p1.wasm"] {
        let service = Service::per_connection(MOST_FLAGS, guest, &[]);
        for _ in 0..2 {
            crowd(service.address(), CROWD / 2, |number, sent, came| {
                let expected = format!("nothing found\nleft {} bytes\n", sent.trim_end().len());
                assert_eq!(came, expected, "client {number}");
            });
        }
        service.stop().expect_silent_success();
    }
}

#[test]
fn there_are_never_more_instances_than_allowed() {
    let service = Service::per_connection(MOST_FLAGS, "hold.wasm", &[]);
    let mut waiting: Vec<TcpStream> = (0..CROWD).map(|_| connect(service.address())).collect();
    waiting.iter().for_each(|client| client.set_nonblocking(true).unwrap());
    let mut alive: Vec<TcpStream> = Vec::new();
    let (mut served, mut most_alive) = (0, 0);
    wait::until("all are served", || {
        let (ready, rest) = waiting.drain(..).partition(has_said_something);
        waiting = rest;
        alive.extend::<Vec<_>>(ready);
        // Each of these has an instance that waits for its client to end.
        assert!(alive.len() <= MOST, "{} instances", alive.len());
        most_alive = most_alive.max(alive.len());
        if most_alive == MOST || waiting.is_empty() {
            let dismissed = alive.drain(..alive.len().min(MOST / 2));
            served += dismissed.map(dismiss).count();
        }
        served == CROWD
    });
    assert_eq!(most_alive, MOST);
    service.stop().expect_silent_success();
}

fn has_said_something(client: &TcpStream) -> bool {
    match client.peek(&mut [0; 1]) {
        Ok(length) => {
            assert_eq!(length, 1, "it ended without a word");
            true
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

fn dismiss(mut client: TcpStream) {
    client.set_nonblocking(false).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "ready\nbye\n");
}

#[test]
fn a_crowd_that_traps_leaves_nothing_behind() {
    let service = Service::per_connection(MOST_FLAGS, "trap-after.wasm", &[]);
    crowd(service.address(), CROWD / 2, check_echo);
    crowd(service.address(), 1, check_echo);
    let idle = service.wait_for_descriptors([MOST, MOST]);
    crowd(service.address(), CROWD, check_echo);
    let _ = service.wait_for_descriptors(idle);
    let outcome = service.stop();
    outcome.expect_code(0);
    let told = outcome.stderr.matches("the guest trapped: ").count();
    assert_eq!(told, CROWD + CROWD / 2 + 1);
}
