//! The switchboard as Flower had it, and what Flower never tested: through handles, against a real `cord switchboard`.

use crate::hostile_wire::settled;
use capability::{Constraint, Grant, Labels, Pattern, Refusal, Right, Rights};
use client::{Connection, Handle, RequestError};
use cord_tests::board::{Board, labels};
use cord_tests::servers::{LOOPBACK, Listener, connect};
use cord_tests::wait;
use protocol::message::TargetKind;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Runs a test with a switchboard of its own.
fn with_board(test: impl AsyncFnOnce(&Board)) {
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
fn refused<T: std::fmt::Debug>(answer: Result<T, RequestError>) -> Refusal {
    match answer {
        Err(RequestError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn constrain(
    handle: &Handle,
    rights: Rights,
    in_labels: Labels,
    out_labels: Labels,
) -> Result<Handle, RequestError> {
    let constraint = Constraint { rights, in_labels, out_labels, grants: None };
    Ok(Handle::new(handle.constrain(&constraint).await?)?)
}

fn rights<const N: usize>(rights: [Right; N]) -> Rights {
    rights.into_iter().collect()
}

/// Says `text` on one end and expects it on the other, both ways; then ends both.
fn expect_joined(one: OwnedFd, other: OwnedFd) {
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
        assert_eq!(refused_keys(handle.push(&other(), socket.as_fd()).await), ["service"]);
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

#[test]
fn a_listing_shows_what_the_handle_does_not_contradict() {
    with_board(async |board| {
        let root = board.handle();
        let _cart = root.serve(&labels([("service", "cart"), ("zone", "a")])).await.unwrap();
        let _carts = root.serve(&labels([("service", "cart"), ("zone", "a")])).await.unwrap();
        let _database = root.serve(&labels([("service", "db"), ("zone", "b")])).await.unwrap();
        let _egress = root.egress_start(&labels([("network", "outside")])).await.unwrap();
        let _resolver = root.resolver_start(&labels([("network", "outside")])).await.unwrap();
        let mut listed = root.list(&Labels::new()).await.unwrap();
        listed.sort_by_key(|target| (target.kind, target.in_labels.clone()));
        let shown: Vec<_> =
            listed.iter().map(|target| (target.kind, target.in_labels.to_string(), target.replicas)).collect();
        let expected = [
            (TargetKind::Server, "service=cart zone=a", 2),
            (TargetKind::Server, "service=db zone=b", 1),
            (TargetKind::Egress, "network=outside", 1),
            (TargetKind::Resolver, "network=outside", 1),
        ];
        assert_eq!(shown, expected.map(|(kind, labels, replicas)| (kind, labels.to_owned(), replicas)));
        // By what is asked, and by what the handle is bound to.
        let some = root.list(&labels([("zone", "b"), ("network", "inside")])).await.unwrap();
        assert_eq!(some.iter().map(|target| target.in_labels.to_string()).collect::<Vec<_>>(), ["service=db zone=b"]);
        let bound = labels([("zone", "a"), ("network", "inside")]);
        let bound = constrain(&root, rights([Right::List]), Labels::new(), bound).await.unwrap();
        assert_eq!(bound.list(&Labels::new()).await.unwrap().len(), 1);
    });
}

#[test]
fn a_long_listing_comes_whole() {
    with_board(async |board| {
        let root = board.handle();
        let mut servers = Vec::new();
        for number in 0..1000 {
            let long = "x".repeat(200);
            let own = labels([("number", number.to_string().as_str()), ("long", &long)]);
            servers.push(root.serve(&own).await.unwrap());
        }
        assert_eq!(root.list(&Labels::new()).await.unwrap().len(), 1000);
        drop(servers);
    });
}

#[test]
fn a_watch_tells_every_decision_with_its_reason() {
    with_board(async |board| {
        let root = board.handle();
        let decisions = root.watch(&Labels::new()).await.unwrap();
        let server = root.serve(&labels([("service", "db")])).await.unwrap();
        let named = constrain(&root, Rights::ALL, Labels::new(), labels([("client_service", "cart")])).await.unwrap();
        named.connect(&labels([("service", "db")])).await.unwrap();
        refused(named.connect(&labels([("service", "none")])).await);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let decision = decisions.next().await.unwrap();
            assert_eq!(decision.lost, 0);
            // That the watch itself was allowed may be told as well.
            if decision.request != "watch" {
                seen.push(decision);
            }
        }
        let requests: Vec<&str> = seen.iter().map(|decision| decision.request.as_str()).collect();
        assert_eq!(requests, ["server-start", "constrain", "client-connect", "client-connect"]);
        assert_eq!(seen[2].failure, None);
        assert_eq!(seen[2].from, labels([("client_service", "cart"), ("service", "db")]));
        assert_eq!(seen[2].to, labels([("service", "db")]));
        assert_eq!(seen[3].failure, Some(Refusal::NotFound.into()));
        assert_eq!(seen[3].from, labels([("client_service", "cart"), ("service", "none")]));
        assert!(seen[3].to.is_empty());
        drop(server);
    });
}

#[test]
fn a_watch_is_bound_by_its_handle() {
    with_board(async |board| {
        let root = board.handle();
        let bound = constrain(&root, rights([Right::Watch]), Labels::new(), labels([("zone", "a")])).await.unwrap();
        let decisions = bound.watch(&Labels::new()).await.unwrap();
        refused(root.connect(&labels([("zone", "b"), ("service", "hidden")])).await);
        refused(root.connect(&labels([("zone", "a"), ("service", "seen")])).await);
        let mut first = decisions.next().await.unwrap();
        if first.request == "watch" {
            first = decisions.next().await.unwrap();
        }
        assert_eq!(first.from.get("service"), Some("seen"));
    });
}

#[test]
fn an_ingress_pushes_an_accepted_socket_to_a_server() {
    with_board(async |board| {
        let root = board.handle();
        let server = root.serve(&labels([("service", "web")])).await.unwrap();
        let listener = Listener::at(LOOPBACK);
        let outside = connect(listener.address());
        let accepted = listener.accept();
        let from = outside.local_addr().unwrap();
        let (address, port) = (from.ip().to_string(), from.port().to_string());
        let stamped = labels([("service", "web"), ("client_address", &address), ("client_port", &port)]);
        let known_as = root.push(&stamped, accepted.as_fd()).await.unwrap();
        drop(accepted);
        let served = server.accept().await.unwrap();
        assert_eq!((&known_as, &served.labels), (&stamped, &stamped));
        expect_joined(OwnedFd::from(outside), served.socket);
    });
}

#[test]
fn an_ingress_does_not_reach_an_egress() {
    with_board(async |board| {
        let root = board.handle();
        let egress = root.egress_start(&labels([("network", "outside")])).await.unwrap();
        let (_near, far) = UnixStream::pair().unwrap();
        let asked = labels([
            ("transport", "tcp"),
            ("network", "outside"),
            ("server_address", "127.0.0.1"),
            ("server_port", "22"),
        ]);
        assert_eq!(refused(root.push(&asked, far.as_fd()).await), Refusal::NotFound);
        drop(egress);
    });
}

#[test]
fn a_label_with_a_nul_or_too_long_is_refused_and_the_handle_lives_on() {
    use protocol::message::RequestId;
    with_board(async |board| {
        // Our own types cannot hold such a label, so the bytes are made from one that is as long and put right after.
        let value = "x".repeat(200);
        let request = protocol::message::Request {
            id: RequestId(7),
            body: protocol::message::RequestBody::ClientConnect(labels([("service", value.as_str())])),
        };
        let good = protocol::Message::encode(&request).unwrap();
        let put = |at_value: &[u8]| {
            let at = good.windows(value.len()).position(|window| window == value.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[at..at + at_value.len()].copy_from_slice(at_value);
            bytes
        };
        let handle = board.connect();
        for bytes in [put(b"\0"), put(b"middle\0middle"), crate::hostile_wire::with_long_value(300)] {
            fdpass::send(handle.as_fd(), &bytes, &[]).unwrap();
            let response = crate::hostile_wire::receive_response(&handle);
            match response.body {
                protocol::message::ResponseBody::Failed(failure) => {
                    assert!(
                        matches!(failure, protocol::message::Failure::Refused(Refusal::Label { .. })),
                        "{failure:?}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        let handle = Handle::new(handle).unwrap();
        assert_eq!(handle.list(&Labels::new()).await.unwrap(), []);
    });
}

#[test]
fn too_many_labels_are_refused() {
    with_board(async |board| {
        let root = board.handle();
        let set = |prefix: &str, count: usize| {
            let keys: Vec<String> = (0..count).map(|number| format!("{prefix}{number}")).collect();
            labels(keys.iter().map(|key| (key.as_str(), "x")))
        };
        let full = constrain(&root, Rights::ALL, set("a", 32), set("a", 32)).await.unwrap();
        let limit = Refusal::Limit { limit: capability::LimitKind::Labels };
        assert_eq!(refused(full.serve(&set("b", 1)).await.map(drop)), limit);
        assert_eq!(refused(full.connect(&set("b", 1)).await), limit);
        // The union of both ends counts as well.
        let _server = root.serve(&set("c", 20)).await.unwrap();
        assert_eq!(refused(full.connect(&Labels::new()).await), limit);
    });
}

#[test]
fn a_hundred_handles_work_at_once() {
    with_board(async |board| {
        let root = board.handle();
        let server = root.serve(&labels([("service", "db")])).await.unwrap();
        let before = settled(board, &root).await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100 {
            let handle = if number % 2 == 0 {
                board.handle()
            } else {
                constrain(&root, Rights::ALL, Labels::new(), Labels::new()).await.unwrap()
            };
            tasks.spawn(async move {
                let number = number.to_string();
                let asked = labels([("service", "db"), ("number", &number)]);
                let connection = handle.connect(&asked).await.unwrap();
                (number, connection.socket)
            });
        }
        let mut served = std::collections::BTreeMap::new();
        for _ in 0..100 {
            let connection = server.accept().await.unwrap();
            served.insert(connection.labels.get("number").unwrap().to_owned(), connection.socket);
        }
        for (number, socket) in tasks.join_all().await {
            expect_joined(socket, served.remove(&number).unwrap());
        }
        assert!(served.is_empty());
        board.wait_for_descriptors(before);
    });
}

#[test]
fn a_client_that_never_reads_disturbs_nobody_else() {
    use protocol::Message;
    use protocol::message::{Request, RequestBody, RequestId};
    with_board(async |board| {
        let root = board.handle();
        let server = root.serve(&labels([("service", "db")])).await.unwrap();
        let before = settled(board, &root).await;
        let deaf = board.connect();
        // Asks until the switchboard stops reading it.
        let mut asked = 0_u64;
        loop {
            asked += 1;
            let request = Request { id: RequestId(asked), body: RequestBody::List(Labels::new()) };
            match fdpass::send(deaf.as_fd(), &request.encode().unwrap(), &[]) {
                Ok(()) => {}
                Err(fdpass::SendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
            assert!(asked < 1_000_000, "a client that never reads is read without end");
        }
        // A watcher that never reads, too.
        let watcher = root.watch(&Labels::new()).await.unwrap();
        for _ in 0..2000 {
            let client = root.connect(&labels([("service", "db")])).await.unwrap();
            drop((client, server.accept().await.unwrap()));
        }
        let mut lost = 0;
        while lost == 0 {
            // Each that is read makes room for one more, and the first of those tells how many did not fit.
            lost = watcher.next().await.unwrap().lost;
            drop(root.connect(&labels([("service", "db")])).await.unwrap());
            drop(server.accept().await.unwrap());
        }
        drop((deaf, watcher));
        drop(server);
        board.wait_for_descriptors(before - 1);
    });
}

#[test]
fn grants_bind_in_every_layer() {
    with_board(async |board| {
        let root = board.handle();
        let _server = root.serve(&labels([("service", "db"), ("zone", "a")])).await.unwrap();
        let grant = |key: &str, value: &str| {
            Grant::new(Right::ClientConnect).with(key, Pattern::exact(value).unwrap()).unwrap()
        };
        let layered = async |handle: &Handle, grants: Vec<Grant>| {
            let constraint =
                Constraint { rights: rights([Right::ClientConnect]), grants: Some(grants), ..Constraint::default() };
            Handle::new(handle.constrain(&constraint).await.unwrap()).unwrap()
        };
        let asked = labels([("service", "db"), ("zone", "a")]);
        let first = layered(&root, vec![grant("service", "db"), grant("service", "cart")]).await;
        first.connect(&asked).await.unwrap();
        let second = layered(&first, vec![grant("zone", "a")]).await;
        second.connect(&asked).await.unwrap();
        assert_eq!(refused(second.connect(&labels([("service", "db")])).await), Refusal::Grant);
        let third = layered(&second, vec![grant("service", "cart")]).await;
        assert_eq!(refused(third.connect(&asked).await), Refusal::Grant);
        let nothing = layered(&first, Vec::new()).await;
        assert_eq!(refused(nothing.connect(&asked).await), Refusal::Grant);
    });
}
