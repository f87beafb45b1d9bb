//! Hundreds of connections at once all succeed, and leave no descriptor behind in any process.

use cord_tests::board::{Board, labels};
use cord_tests::cord::Cord;
use cord_tests::process::{children, descriptors};
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK};
use cord_tests::wait;

const COUNT: usize = 200;

#[test]
fn one_guest_opens_200_connections_at_once() {
    let echo = Echo::start();
    let (host, port, number) = (echo.host(), echo.port(), COUNT.to_string());
    let guest = Cord::run_guest(&["-c", &echo.target()], "many.wasm", &[&host, &port, &number, "--rounds"]);
    let mut running = guest.piped_stdin().watched().start();
    running.wait_for_stdout("ready\n");
    let processes: Vec<u32> = [running.pid()].into_iter().chain(children(running.pid()).iter().map(|c| c.0)).collect();
    assert_eq!(processes.len(), 2, "the runner and the broker");
    let count = || processes.iter().map(|pid| descriptors(*pid)).collect::<Vec<_>>();
    let mut before = count();
    for round in 1..=3 {
        running.write("go\n");
        running.wait_for_stdout(&format!("{COUNT} of {COUNT} connected, {COUNT} echoed\nround {round} over\n"));
        // Fewer is right as well: at first what was needed for the start may be still open.
        let is_back = |now: &Vec<usize>| now.iter().zip(&before).all(|(now, before)| now <= before);
        let what = format!("{before:?} descriptors of runner and broker, or fewer");
        before = wait::for_some(what, || Some(count()).filter(is_back));
    }
    running.close_stdin();
    running.wait().expect_silent_success();
}

#[test]
fn many_connections_through_a_switchboard_and_an_egress_leave_no_descriptor_behind() {
    let (board, echo) = (Board::start(), Echo::start());
    let egress = board.part(&["egress"], &[]).watched().start();
    let _ = board.wait_for_targets(1);
    let (address, port) = (echo.host(), echo.port());
    let at = |port: &str| {
        let address = [("server_address", address.as_str()), ("server_port", port)];
        labels([("transport", "tcp"), ("network", "outside")].into_iter().chain(address))
    };
    let closed = ClosedPort::at(LOOPBACK);
    let (outside, nobody) = (at(&port), at(&closed.port()));
    wait::run(async {
        let handle = board.handle();
        // One connection first: what a process makes once and keeps is no leak. Then one that fails: when that is
        // answered, nothing of the first is left.
        drop(handle.connect(&outside).await.unwrap());
        handle.connect(&nobody).await.unwrap_err();
        let count = || (board.descriptors(), descriptors(egress.pid()));
        let before = count();
        let mut dials = tokio::task::JoinSet::new();
        for _ in 0..COUNT {
            let (handle, outside) = (handle.clone(), outside.clone());
            dials.spawn(async move { handle.connect(&outside).await.unwrap() });
        }
        let connections = dials.join_all().await;
        assert_eq!(connections.len(), COUNT);
        drop(connections);
        wait::for_equal("descriptors of switchboard and egress", &before, count);
    });
}
