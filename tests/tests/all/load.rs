//! Ten thousand connections into one guest leave nothing behind.

use cord_tests::process::{descriptors, written_bytes};
use cord_tests::published::{Published, connect};
use cord_tests::wait;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const COUNT: usize = 10_000;
const AT_ONCE: usize = 500;
/// Far less than what ten thousand connections cost that leave but half a kilobyte behind, and more than what allocators
/// keep.
const SPARE_BYTES: u64 = 4 << 20;

/// This many connections, so many open at the same time, each with a line of its own that must come back.
fn round(address: SocketAddr, count: usize, at_once: usize) {
    for first in (0..count).step_by(at_once) {
        let numbers = first..first + at_once;
        let mut clients: Vec<TcpStream> = numbers.clone().map(|_| connect(address)).collect();
        for (client, number) in clients.iter_mut().zip(numbers.clone()) {
            client.write_all(format!("connection {number:06}\n").as_bytes()).unwrap();
        }
        for (client, number) in clients.iter_mut().zip(numbers) {
            let mut answer = [0; 18];
            client.read_exact(&mut answer).unwrap_or_else(|error| panic!("connection {number}: {error}"));
            assert_eq!(answer, format!("connection {number:06}\n").as_bytes());
        }
    }
}

#[test]
fn ten_thousand_connections_are_all_answered_and_leave_nothing_behind() {
    let mut server = Published::start(&["-p", "0:80"], "serve.wasm", &["80"]).ready("listening on ");
    let (address, processes) = (server.address(), server.processes());
    // First what both processes make once and keep, as for so many at the same time.
    round(address, 2 * AT_ONCE, AT_ONCE);
    round(address, AT_ONCE, 1);
    let open = || processes.map(descriptors);
    let idle = wait::for_some("the first round's descriptors to be closed", || {
        let now = open();
        now.iter().all(|count| *count < AT_ONCE).then_some(now)
    });
    let memory = processes.map(written_bytes);

    round(address, COUNT, 1);
    round(address, COUNT, AT_ONCE);

    let is_back = |now: &[usize; 2]| now.iter().zip(&idle).all(|(now, idle)| now <= idle);
    wait::for_some(format!("{idle:?} descriptors of runner and broker, or fewer"), || Some(open()).filter(is_back));
    let now = processes.map(written_bytes);
    for (now, before) in now.iter().zip(&memory) {
        assert!(*now <= before + SPARE_BYTES, "bytes of runner and broker: {memory:?} before, {now:?} after");
    }
    server.process().write("end\n");
    let outcome = server.into_process().wait();
    outcome.expect_code(0);
    let served = 2 * COUNT + 3 * AT_ONCE;
    assert!(outcome.text().ends_with(&format!("{served} served\n")), "{outcome:#?}");
}
