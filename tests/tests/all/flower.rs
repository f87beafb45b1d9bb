//! The switchboard as Flower had it: through handles, against a real `cord switchboard`.

use capability::{Constraint, Labels, Refusal, Right, Rights};
use client::{Connection, Handle, RequestError};
use cord_tests::board::{Board, labels};
use cord_tests::wait;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Runs a test with a switchboard of its own.
pub(crate) fn with_board(test: impl AsyncFnOnce(&Board)) {
    let board = Board::start();
    wait::run(test(&board));
}

/// The labels of a refusal that names labels.
#[track_caller]
fn refused_keys<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> Vec<String> {
    match answer {
        Err(RequestError::Refused(Refusal::Label { keys })) => keys.iter().map(ToString::to_string).collect(),
        other => panic!("no refusal for its labels: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> Refusal {
    match answer {
        Err(RequestError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) async fn constrain(
    handle: &Handle,
    rights: Rights,
    in_labels: Labels,
    out_labels: Labels,
) -> Result<Handle, RequestError> {
    let constraint = Constraint { rights, in_labels, out_labels, grants: None };
    Ok(Handle::new(handle.constrain(&constraint).await?)?)
}

pub(crate) fn rights<const N: usize>(rights: [Right; N]) -> Rights {
    rights.into_iter().collect()
}

/// Says `text` on one end and expects it on the other, both ways; then ends both.
pub(crate) fn expect_joined(one: OwnedFd, other: OwnedFd) {
    let (mut one, mut other) = (UnixStream::from(one), UnixStream::from(other));
    for end in [&one, &other] {
        end.set_nonblocking(false).unwrap();
    }
    one.write_all(b"question").unwrap();
    other.write_all(b"answer").unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    other.shutdown(Shutdown::Write).unwrap();
    let (mut heard_by_one, mut heard_by_other) = (String::new(), String::new());
    one.read_to_string(&mut heard_by_one).unwrap();
    other.read_to_string(&mut heard_by_other).unwrap();
    assert_eq!((heard_by_one.as_str(), heard_by_other.as_str()), ("answer", "question"));
}

#[test]
fn a_handle_is_constrained_to_fewer_rights_and_more_labels() {
    with_board(async |board| {
        let root = board.handle();
        let server = constrain(
            &root,
            rights([Right::ServerStart, Right::ClientConnect]),
            labels([("application", "shop")]),
            labels([("team", "blue")]),
        );
        let server = server.await.unwrap();
        // The labels stick: what is registered carries them, whatever the request says.
        let started = server.serve(&labels([("service", "cart")])).await.unwrap();
        let listed = root.list(&Labels::new()).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].in_labels, labels([("application", "shop"), ("service", "cart")]));
        // The rights are gone.
        assert_eq!(refused(server.list(&Labels::new()).await), Refusal::Right { right: Right::List });
        assert_eq!(refused(server.egress_start(&Labels::new()).await), Refusal::Right { right: Right::EgressStart });
        // And again, from the weaker one: fewer still.
        let client = constrain(&server, rights([Right::ClientConnect]), Labels::new(), labels([("floor", "3")]));
        let client = client.await.unwrap();
        let refusal = refused(client.serve(&Labels::new()).await.map(drop));
        assert_eq!(refusal, Refusal::Right { right: Right::ServerStart });
        let connection = client.connect(&labels([("service", "cart")])).await.unwrap();
        let all = [("application", "shop"), ("service", "cart"), ("team", "blue"), ("floor", "3")];
        assert_eq!(connection.labels, labels(all));
        drop(started);
    });
}

#[test]
fn widening_rights_is_refused_and_the_right_named() {
    with_board(async |board| {
        let root = board.handle();
        let weak = constrain(&root, rights([Right::ClientConnect]), Labels::new(), Labels::new()).await.unwrap();
        for right in Right::ALL.into_iter().filter(|right| *right != Right::ClientConnect) {
            let asked = rights([Right::ClientConnect, right]);
            let answer = constrain(&weak, asked, Labels::new(), Labels::new()).await;
            assert_eq!(refused(answer), Refusal::Right { right });
        }
        // A refusal breaks nothing.
        constrain(&weak, rights([Right::ClientConnect]), Labels::new(), Labels::new()).await.unwrap();
        constrain(&weak, Rights::NONE, Labels::new(), Labels::new()).await.unwrap();
    });
}

#[test]
fn overwriting_an_in_label_or_an_out_label_is_refused_and_the_key_named() {
    with_board(async |board| {
        let own = |value| labels([("service", value), ("zone", "a")]);
        let handle = constrain(&board.handle(), Rights::ALL, own("cart"), own("shop")).await.unwrap();
        let other = || labels([("service", "other")]);
        assert_eq!(refused_keys(constrain(&handle, Rights::ALL, other(), Labels::new()).await), ["service"]);
        assert_eq!(refused_keys(constrain(&handle, Rights::ALL, Labels::new(), other()).await), ["service"]);
        let both = || labels([("service", "other"), ("zone", "b")]);
        assert_eq!(refused_keys(constrain(&handle, Rights::ALL, both(), Labels::new()).await), ["service", "zone"]);
        // The same holds for the labels of every request.
        assert_eq!(refused_keys(handle.serve(&other()).await.map(drop)), ["service"]);
        assert_eq!(refused_keys(handle.egress_start(&other()).await), ["service"]);
        assert_eq!(refused_keys(handle.resolver_start(&other()).await), ["service"]);
        assert_eq!(refused_keys(handle.connect(&other()).await), ["service"]);
        assert_eq!(refused_keys(handle.list(&other()).await), ["service"]);
        assert_eq!(refused_keys(handle.watch(&other()).await.map(drop)), ["service"]);
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(refused_keys(handle.push(&other(), socket.as_fd(), Vec::new()).await), ["service"]);
        // The value that is there already is no change.
        constrain(&handle, Rights::ALL, own("cart"), own("shop")).await.unwrap();
    });
}

#[test]
fn who_a_client_is_cannot_be_said_by_the_client() {
    with_board(async |board| {
        let root = board.handle();
        let stamp = labels([("client_service", "cart")]);
        assert_eq!(refused_keys(root.connect(&stamp).await), ["client_service"]);
        let stamped = constrain(&root, Rights::ALL, Labels::new(), stamp.clone()).await.unwrap();
        let lie = labels([("client_service", "bank")]);
        assert_eq!(refused_keys(constrain(&stamped, Rights::ALL, Labels::new(), lie).await), ["client_service"]);
        let server = root.serve(&labels([("service", "db")])).await.unwrap();
        stamped.connect(&labels([("service", "db")])).await.unwrap();
        let seen = server.accept().await.unwrap().labels;
        assert_eq!(seen.get("client_service"), Some("cart"));
    });
}

#[test]
fn a_client_and_a_server_are_joined_and_both_know_the_union_of_their_labels() {
    with_board(async |board| {
        let root = board.handle();
        let server = root.serve(&labels([("service", "db"), ("zone", "a")])).await.unwrap();
        let asked = labels([("service", "db"), ("purpose", "test")]);
        let client = root.connect(&asked).await.unwrap();
        let served = server.accept().await.unwrap();
        let union = labels([("service", "db"), ("zone", "a"), ("purpose", "test")]);
        assert_eq!((&client.labels, &served.labels), (&union, &union));
        expect_joined(client.socket, served.socket);
    });
}

#[test]
fn a_client_with_fewer_labels_connects_and_learns_the_rest() {
    with_board(async |board| {
        let root = board.handle();
        let all = labels([("service", "db"), ("zone", "a"), ("version", "3")]);
        let server = root.serve(&all).await.unwrap();
        for fewer in [labels([("zone", "a")]), Labels::new()] {
            let client = root.connect(&fewer).await.unwrap();
            assert_eq!(client.labels, all);
            expect_joined(client.socket, server.accept().await.unwrap().socket);
        }
    });
}

#[test]
fn a_joined_connection_goes_on_when_the_switchboard_is_killed() {
    let board = Board::start();
    wait::run(async {
        let root = board.handle();
        let server = root.serve(&labels([("service", "db")])).await.unwrap();
        let client = root.connect(&labels([("service", "db")])).await.unwrap();
        let served = server.accept().await.unwrap();
        board.process().signal(rustix::process::Signal::KILL);
        assert!(server.accept().await.is_none());
        expect_joined(client.socket, served.socket);
        let refusal = root.connect(&labels([("service", "db")])).await.unwrap_err();
        assert!(matches!(refusal, RequestError::Gone), "{refusal:?}");
    });
}

#[test]
fn no_match_is_not_found() {
    with_board(async |board| {
        let root = board.handle();
        let asked = labels([("service", "db")]);
        assert_eq!(refused(root.connect(&asked).await), Refusal::NotFound);
        let _server = root.serve(&labels([("service", "cart")])).await.unwrap();
        assert_eq!(refused(root.connect(&asked).await), Refusal::NotFound);
        // A reserved label of the target that the request does not hold is no match either.
        let egress = root.egress_start(&labels([("network", "outside"), ("service", "db")])).await.unwrap();
        assert_eq!(refused(root.connect(&asked).await), Refusal::NotFound);
        drop(egress);
        assert_eq!(refused(root.resolve("www.example.test").await), Refusal::NotFound);
    });
}

#[test]
fn two_matches_are_ambiguous_and_the_deciding_keys_are_named() {
    with_board(async |board| {
        let root = board.handle();
        let one = root.serve(&labels([("service", "db"), ("zone", "a")])).await.unwrap();
        let _other = root.serve(&labels([("service", "db"), ("zone", "b")])).await.unwrap();
        let asked = labels([("service", "db")]);
        match refused(root.connect(&asked).await) {
            Refusal::Ambiguous { keys } => {
                assert_eq!(keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(), ["zone"])
            }
            other => panic!("{other:?}"),
        }
        // Whoever may not list is not told.
        let blind = constrain(&root, rights([Right::ClientConnect]), Labels::new(), Labels::new()).await.unwrap();
        assert_eq!(refused(blind.connect(&asked).await), Refusal::Ambiguous { keys: Vec::new() });
        // The key decides.
        let decided = root.connect(&labels([("service", "db"), ("zone", "a")])).await.unwrap();
        expect_joined(decided.socket, one.accept().await.unwrap().socket);
    });
}

#[test]
fn the_target_that_shares_most_labels_wins_and_equal_ones_share_the_work() {
    with_board(async |board| {
        let root = board.handle();
        let general = root.serve(&labels([("service", "db")])).await.unwrap();
        let special = labels([("service", "db"), ("zone", "a")]);
        let replicas = [root.serve(&special).await.unwrap(), root.serve(&special).await.unwrap()];
        for _ in 0..10 {
            root.connect(&special).await.unwrap();
        }
        let mut clients = Vec::<Connection>::new();
        for replica in &replicas {
            for _ in 0..5 {
                clients.push(replica.accept().await.unwrap());
            }
        }
        assert_eq!(clients.len(), 10);
        drop(replicas);
        // As long as they are there it is ambiguous: both share one label with this.
        until(async || root.connect(&labels([("service", "db")])).await.is_ok()).await;
        general.accept().await.unwrap();
    });
}

#[test]
fn closing_the_servers_descriptor_removes_it() {
    with_board(async |board| {
        let root = board.handle();
        let asked = labels([("service", "db")]);
        let server = root.serve(&asked).await.unwrap();
        drop(root.connect(&asked).await.unwrap());
        drop(server);
        until(async || matches!(root.connect(&asked).await, Err(RequestError::Refused(Refusal::NotFound)))).await;
        assert_eq!(root.list(&Labels::new()).await.unwrap(), []);
        // The handle is still of use, and the labels are free again.
        let server = root.serve(&asked).await.unwrap();
        drop(root.connect(&asked).await.unwrap());
        drop(server);
    });
}

/// Waits until `holds`, letting the other tasks of this thread run.
async fn until(holds: impl AsyncFn() -> bool) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}
