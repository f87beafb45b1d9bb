//! The process beside `cord run`: there only when something is granted, gone with the guest, and in nobody's way.

use cord_tests::cord::Cord;
use cord_tests::process::{Running, children, is_alive, send_signal};
use cord_tests::servers::{Echo, LOOPBACK, Listener};
use cord_tests::wait;
use rustix::process::Signal;
use std::io::Write;

const FIRST_HALF_BYTES: usize = 1 << 20;
const SECOND_HALF_BYTES: usize = 63 << 20;

/// The number of the broker.
fn broker_of(running: &Running) -> u32 {
    let brokers = children(running.pid());
    match &brokers[..] {
        [(pid, line)] if line.contains("broker") => *pid,
        other => panic!("not one broker: {other:?}"),
    }
}

fn waiting_guest(flags: &[&str]) -> Running {
    let mut running = Cord::run_guest(flags, "stdin-echo.wasm", &[]).piped_stdin().start();
    running.write("here\n");
    running.wait_for_stdout("here\n");
    running
}

#[test]
fn without_a_grant_there_is_one_process() {
    let mut running = waiting_guest(&[]);
    assert_eq!(children(running.pid()), []);
    running.close_stdin();
    running.wait().expect_silent_success();
}

#[test]
fn with_a_grant_there_is_a_broker_that_ends_with_the_guest() {
    let mut running = waiting_guest(&["-c", "127.0.0.1:9"]);
    let broker = broker_of(&running);
    assert!(is_alive(broker));
    running.close_stdin();
    // Waits also for the broker, which holds standard error.
    running.wait().expect_silent_success();
    wait::until("the broker's end", || !is_alive(broker));
}

#[test]
fn a_killed_runner_takes_the_broker_with_it() {
    let running = waiting_guest(&["-c", "127.0.0.1:9"]);
    let broker = broker_of(&running);
    running.signal(Signal::KILL);
    wait::until("the broker's end", || !is_alive(broker));
}

#[test]
fn a_killed_broker_loses_no_byte_and_the_next_connect_says_why_it_fails() {
    let (server, second) = (Listener::at(LOOPBACK), Listener::at(LOOPBACK));
    let grants = ["-c", &server.address().to_string(), "-c", &second.address().to_string()];
    let arguments = ["127.0.0.1", &server.port(), "127.0.0.1", &second.port()];
    let running = Cord::run_guest(&grants, "transfer.wasm", &arguments).start();
    let mut connection = server.accept();
    running.wait_for_stdout("connected\n");
    let mut bytes = Pseudorandom(1);
    let first = bytes.take(FIRST_HALF_BYTES);
    connection.write_all(&first).unwrap();

    let broker = broker_of(&running);
    send_signal(broker, Signal::KILL);
    wait::until("the broker's death", || !is_alive(broker));

    let second_half = bytes.take(SECOND_HALF_BYTES);
    connection.write_all(&second_half).unwrap();
    drop(connection);
    let outcome = running.wait();
    outcome.expect_code(0);
    let checksum = fnv1a64(fnv1a64(FNV_OFFSET, &first), &second_half);
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome:#?}");
    assert_eq!(lines[1], format!("received {} fnv1a64 {checksum:016x}", FIRST_HALF_BYTES + SECOND_HALF_BYTES));
    assert!(lines[2].starts_with("second failed "), "{outcome:#?}");
    let complaints = outcome.complaints();
    assert_eq!(complaints.len(), 1, "{outcome:#?}");
    assert!(complaints[0].starts_with(&format!("connect to {} ", second.address())), "{outcome:#?}");
    // No flag would help, so none is named.
    assert!(complaints[0].contains("gone") && !complaints[0].contains("--connect"), "{outcome:#?}");
    second.expect_nobody();
}

#[test]
fn control_c_is_for_the_guest() {
    let echo = Echo::start();
    let running = waiting_guest(&["-c", &echo.target()]);
    let broker = broker_of(&running);
    let group = |pid: u32| rustix::process::getpgid(rustix::process::Pid::from_raw(pid.try_into().unwrap())).unwrap();
    assert_ne!(group(broker), group(running.pid()), "a terminal's signal would reach the broker");
}

/// The constants of the 64-bit Fowler-Noll-Vo hash.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv1a64(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// Bytes that do not repeat, so that none can be lost or doubled without a trace.
struct Pseudorandom(u64);

impl Pseudorandom {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0.to_be_bytes()[0]
        };
        (0..count).map(|_| next()).collect()
    }
}
