//! The parts alone, as other programs and people at a terminal use them.

use cord_tests::board::Board;
use cord_tests::cord::Cord;
use cord_tests::process::Running;
use cord_tests::servers::{ClosedPort, Echo, LOOPBACK, connect};
use cord_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};

/// `cord cat -l`, registered as the `count`th target.
fn server(board: &Board, flags: &[&str], labels: &[&str], count: usize) -> Running {
    let command: Vec<&str> = ["cat", "-l"].into_iter().chain(flags.iter().copied()).collect();
    let running = board.part(&command, labels).piped_stdin().start();
    let _ = board.wait_for_targets(count);
    running
}

#[test]
fn two_cats_are_joined_and_tell_the_labels_of_both() {
    let board = Board::start();
    let mut served = server(&board, &["-v"], &["service=hello", "zone=a"], 1);
    let mut client = board.part(&["cat", "-v"], &["service=hello", "purpose=test"]).piped_stdin().start();
    client.write("question\n");
    served.wait_for_stdout("question\n");
    served.write("answer\n");
    client.wait_for_stdout("answer\n");
    client.close_stdin();
    served.close_stdin();
    for (process, heard) in [(client, "answer\n"), (served, "question\n")] {
        let outcome = process.wait();
        outcome.expect_code(0).expect_stdout(heard);
        assert_eq!(outcome.complaints(), ["connected: purpose=test service=hello zone=a"], "{outcome:#?}");
    }
    // One conversation, and the server is gone.
    assert_eq!(board.wait_for_targets(0), "");
}

#[test]
fn cats_pass_ten_megabytes() {
    let board = Board::start();
    let served = server(&board, &[], &["service=hello"], 1);
    let bytes: Vec<u8> = (0..10_000_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bytes");
    std::fs::write(&file, &bytes).unwrap();
    let client = board.part(&["cat"], &["service=hello"]).stdin_from(&file).start();
    let heard = served.wait();
    assert!(heard.expect_silent_success().stdout == bytes);
    client.wait().expect_silent_success();
}

#[test]
fn a_listing_is_for_people_or_for_programs() {
    let board = Board::start();
    let _one = server(&board, &[], &["service=hello", "zone=a"], 1);
    let again = board.part(&["cat", "-l"], &["service=hello", "zone=a"]).piped_stdin().start();
    let _egress = board.part(&["egress"], &["purpose=test"]).start();
    let _resolver = board.part(&["resolver"], &[]).start();
    let text = wait::for_some("both replicas", || {
        let text = board.wait_for_targets(3);
        text.contains("replicas").then_some(text)
    });
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let expected = [
        "egress   network=outside purpose=test",
        "resolver network=outside",
        "server   service=hello zone=a (2 replicas)",
    ];
    assert_eq!(lines, expected);
    let listed = board.part(&["ls", "--format", "json"], &["zone=a", "purpose=other"]).run();
    listed.expect_silent_success();
    let text = listed.text();
    let mut values: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    values.sort_by_key(|value| value["kind"].to_string());
    let expected = [
        json!({"kind": "resolver", "in_labels": {"network": "outside"}, "replicas": 1}),
        json!({"kind": "server", "in_labels": {"service": "hello", "zone": "a"}, "replicas": 2}),
    ];
    assert_eq!(values, expected);
    drop(again);
}

#[test]
fn a_watch_prints_decisions_as_they_fall() {
    let board = Board::start();
    let json = board.part(&["watch", "--format", "json"], &[]).start();
    let text = board.part(&["watch"], &[]).start();
    let refused = wait::for_some("both watches", || {
        // The first decisions may fall before the watches are there.
        let refused = board.part(&["cat"], &["service=none"]).run();
        let both = json.stdout().contains("none") && text.stdout().contains("none");
        both.then_some(refused)
    });
    assert!(refused.expect_complaint(125).contains("nothing is registered that matches"));
    let line = json.stdout();
    let decision: Value = line
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|value: &Value| value["request"] == "client-connect")
        .unwrap();
    assert_eq!(decision["from"], json!({"service": "none"}));
    assert_eq!(decision["allowed"], json!(false));
    assert_eq!(decision["failure"], json!("nothing is registered that matches"));
    assert!(text.stdout().contains("client-connect [service=none] refused: nothing is registered that matches"));
    // The switchboard's end is the watch's end.
    board.process().signal(Signal::TERM);
    json.wait().expect_code(0);
    text.wait().expect_code(0);
}

#[test]
fn an_ingress_hands_accepted_connections_to_a_server() {
    let board = Board::start();
    let mut served = server(&board, &["-v"], &["service=web"], 1);
    let ingress = board_ingress(&board, &["service=web"]);
    let mut outside = connect(ingress.1);
    outside.write_all(b"from outside\n").unwrap();
    served.wait_for_stdout("from outside\n");
    served.write("from inside\n");
    served.close_stdin();
    outside.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    outside.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "from inside\n");
    let from = outside.local_addr().unwrap();
    let outcome = served.wait();
    outcome.expect_code(0);
    let labels = outcome.complaints().concat();
    for label in [
        format!("client_address={}", from.ip()),
        format!("client_port={}", from.port()),
        format!("server_port={}", ingress.1.port()),
        "transport=tcp".to_owned(),
        "service=web".to_owned(),
    ] {
        assert!(labels.contains(&label), "{label} is not in {labels}");
    }
    // Nobody serves any more: whoever comes now is sent away, and the ingress lives on.
    let mut late = connect(ingress.1);
    assert!(matches!(late.read(&mut [0]), Ok(0) | Err(_)));
    let next = server(&board, &[], &["service=web"], 1);
    connect(ingress.1).write_all(b"again\n").unwrap();
    next.wait_for_stdout("again\n");
}

fn board_ingress(board: &Board, labels: &[&str]) -> (Running, SocketAddr) {
    let ingress = Cord::new(["ingress", "127.0.0.1:0"]).arguments([board.socket()]).arguments(labels).start();
    ingress.wait_for_stdout("\n");
    let address = ingress.stdout().trim().parse().unwrap();
    (ingress, address)
}

#[test]
fn an_ingress_says_when_it_cannot_listen() {
    let board = Board::start();
    let taken = cord_tests::servers::Listener::at(LOOPBACK);
    let address = taken.address().to_string();
    let outcome = Cord::new(["ingress", &address]).arguments([board.socket()]).run();
    assert!(outcome.expect_complaint(125).contains(&address));
}

#[test]
fn an_egress_dials_for_a_cat() {
    let (board, echo) = (Board::start(), Echo::start());
    let _egress = board.part(&["egress"], &[]).start();
    let _ = board.wait_for_targets(1);
    let port = format!("server_port={}", echo.port());
    for host in ["server_address=127.0.0.1", "server_hostname=localhost"] {
        let labels = ["transport=tcp", "network=outside", host, &port];
        let mut cat = board.part(&["cat", "-v"], &labels).piped_stdin().start();
        cat.write("there and back\n");
        cat.wait_for_stdout("there and back\n");
        let outcome = cat.wait();
        outcome.expect_code(0);
        let told = outcome.complaints().concat();
        assert!(told.contains("server_address=127.0.0.1") && told.contains(&port), "{outcome:#?}");
    }
}

#[test]
fn an_egress_tells_why_it_could_not_dial() {
    let (board, closed) = (Board::start(), ClosedPort::at(LOOPBACK));
    let _egress = board.part(&["egress"], &[]).start();
    let _ = board.wait_for_targets(1);
    let port = format!("server_port={}", closed.port());
    let labels = ["transport=tcp", "network=outside", "server_address=127.0.0.1", &port];
    assert!(board.part(&["cat"], &labels).run().expect_complaint(125).contains("connection refused"));
}

#[test]
fn an_egress_is_outside_and_nowhere_else() {
    let board = Board::start();
    for part in ["egress", "resolver"] {
        assert!(board.part(&[part], &["network=shop"]).run().expect_complaint(125).contains("network"));
    }
}

#[test]
fn the_parts_end_when_they_are_told_to() {
    let board = Board::start();
    let egress = board.part(&["egress"], &[]).start();
    let resolver = board.part(&["resolver"], &[]).start();
    let _ = board.wait_for_targets(2);
    let (ingress, _) = board_ingress(&board, &["service=web"]);
    for part in [egress, resolver, ingress] {
        part.signal(Signal::TERM);
        let outcome = part.wait();
        outcome.expect_code(0);
        assert_eq!(outcome.stderr, "");
    }
    let _ = board.wait_for_targets(0);
    let socket = board.socket().to_owned();
    let (process, _folder) = board.into_process();
    process.signal(Signal::INT);
    process.wait().expect_silent_success();
    assert!(!socket.exists(), "whoever comes later should see that nobody is there");
}

#[test]
fn the_edges_end_with_the_switchboard_and_say_so() {
    let board = Board::start();
    let egress = board.part(&["egress"], &[]).start();
    let resolver = board.part(&["resolver"], &[]).start();
    let _ = board.wait_for_targets(2);
    board.process().signal(Signal::KILL);
    for part in [egress, resolver] {
        assert!(part.wait().expect_complaint(125).contains("gone"));
    }
}

#[test]
fn a_socket_that_is_in_use_is_not_taken_over() {
    let board = Board::start();
    let second = board.part(&["switchboard"], &[]).run();
    assert!(second.expect_complaint(125).contains(&board.socket().display().to_string()));
    let _ = board.wait_for_targets(0);
}

#[test]
fn nothing_but_a_socket_that_is_left_over_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link, nowhere) = (folder.path().join("file"), folder.path().join("link"), folder.path().join("nowhere"));
    std::fs::write(&file, "precious").unwrap();
    std::os::unix::fs::symlink(&nowhere, &link).unwrap();
    for path in [&file, &link] {
        let refused = Cord::new(["switchboard"]).arguments([path]).run();
        assert!(refused.expect_complaint(125).contains("something that is no socket is there"), "{refused:#?}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert_eq!(std::fs::read_link(&link).unwrap(), nowhere);
}

#[test]
fn the_socket_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let board = Board::start();
    let mode = std::fs::metadata(board.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn without_a_switchboard_every_part_says_how_to_start_one() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let socket = nowhere.to_str().unwrap();
    for line in [
        &["ls", socket][..],
        &["watch", socket],
        &["cat", socket, "a=b"],
        &["cat", "-l", socket, "a=b"],
        &["egress", socket],
        &["resolver", socket],
        &["ingress", "127.0.0.1:0", socket],
    ] {
        let outcome = Cord::new(line).run();
        assert!(outcome.expect_complaint(125).contains("cord switchboard"), "{outcome:#?}");
    }
}

#[test]
fn labels_that_are_none_are_told() {
    let board = Board::start();
    let long = format!("key={}", "x".repeat(256));
    for (label, text) in [
        ("Key=value", "Key"),
        (&long, "255"),
        ("server_port=022", "server_port"),
        ("server_address=127.1", "server_address"),
        ("=value", "key"),
    ] {
        assert!(board.part(&["cat"], &[label]).run().expect_complaint(125).contains(text), "{label}");
    }
    assert!(board.part(&["ls"], &["a=1", "a=2"]).run().expect_complaint(125).contains('a'));
}
