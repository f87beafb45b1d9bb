//! Hundreds of connections at once all succeed, and leave no descriptor behind in any process.

use cord_tests::board::{Board, labels};
use cord_tests::cord::Cord;
use cord_tests::process::{children, descriptors};
use cord_tests::servers::Echo;
use cord_tests::wait;

const COUNT: usize = 200;

#[test]
fn one_guest_opens_200_connections_at_once() {
    let echo = Echo::start();
    let (host, port, number) = (echo.host(), echo.port(), COUNT.to_string());
    let guest = Cord::run_guest(&["-c", &echo.target()], "many.wasm", &[&host, &port, &number, "--rounds"]);
    let mut running = guest.piped_stdin().start();
    running.wait_for_stdout("ready\n");
    let processes: Vec<u32> = [running.pid()].into_iter().chain(children(running.pid()).iter().map(|c| c.0)).collect();
    assert_eq!(processes.len(), 2, "the runner and the broker");
    let count = || processes.iter().map(|pid| descriptors(*pid)).collect::<Vec<_>>();
    let before = count();
    for round in 1..=3 {
        running.write("go\n");
        let done = format!("{COUNT} of {COUNT} connected, {COUNT} echoed\n").repeat(round);
        running.wait_for_stdout(&done);
        running.wait_for_stdout(&format!("round {round} over\n"));
        wait::for_equal("descriptors of runner and broker", &before, count);
    }
    running.close_stdin();
    running.wait().expect_silent_success();
}

#[test]
fn many_connections_through_a_switchboard_and_an_egress_leave_no_descriptor_behind() {
    let (board, echo) = (Board::start(), Echo::start());
    let egress = board.part(&["egress"], &[]).start();
    let _ = board.wait_for_targets(1);
    let (address, port) = (echo.host(), echo.port());
    let outside =
        labels([("transport", "tcp"), ("network", "outside"), ("server_address", &address), ("server_port", &port)]);
    wait::run(async {
        let handle = board.handle();
        // One connection first: what a process makes once and keeps is no leak.
        drop(handle.connect(&outside).await.unwrap());
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
