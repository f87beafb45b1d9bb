//! What Flower never tested of its switchboard: list, watch, ingress, bad labels, crowds, and grants, which are ours.

use crate::flower::{constrain, expect_joined, refused, rights, with_board};
use crate::hostile_wire::{receive_response, settled, with_long_value};
use capability::{Constraint, Grant, Labels, LimitKind, Pattern, Refusal, Right, Rights};
use client::Handle;
use cord_tests::board::labels;
use cord_tests::servers::{LOOPBACK, Listener, connect};
use protocol::Message;
use protocol::message::{Failure, Request, RequestBody, RequestId, ResponseBody, TargetKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

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
        let known_as = root.push(&stamped, accepted.as_fd(), Vec::new()).await.unwrap();
        drop(accepted);
        let served = server.accept().await.unwrap();
        assert_eq!((&known_as, &served.labels), (&stamped, &stamped));
        expect_joined(OwnedFd::from(outside), served.socket);
    });
}

#[test]
fn datagrams_reach_the_server_with_the_socket_they_came_for() {
    with_board(async |board| {
        let root = board.handle();
        let service = labels([("service", "dns"), ("transport", "udp")]);
        let server = root.serve(&service).await.unwrap();
        let largest = vec![7; protocol::MAX_DATAGRAM_BYTES];
        for datagrams in [vec![b"first".to_vec(), Vec::new(), b"third".to_vec()], vec![largest], Vec::new()] {
            let (near, far) = UnixStream::pair().unwrap();
            root.push(&service, far.as_fd(), datagrams.clone()).await.unwrap();
            let served = server.accept().await.unwrap();
            assert_eq!(served.datagrams, datagrams);
            drop(far);
            expect_joined(near.into(), served.socket);
        }
        // A client's connection has none: it comes with a socket pair.
        let (_client, served) = tokio::join!(root.connect(&service), server.accept());
        assert_eq!(served.unwrap().datagrams, Vec::<Vec<u8>>::new());
    });
}

#[test]
fn floods_leave_an_ingress_served() {
    with_board(async |board| {
        let root = board.handle();
        let web = labels([("service", "web")]);
        let server = root.serve(&web).await.unwrap();
        // One asks as much as it may and reads each answer; one asks until there is no room and reads none.
        let guest = constrain(&root, rights([Right::ClientConnect]), Labels::new(), Labels::new()).await.unwrap();
        let mut busy = tokio::task::JoinSet::new();
        for _ in 0..client::MAX_REQUESTS_IN_FLIGHT {
            let guest = guest.clone();
            busy.spawn(async move {
                loop {
                    assert_eq!(refused(guest.connect(&labels([("service", "none")])).await), Refusal::NotFound);
                }
            });
        }
        let weaker = Constraint { rights: rights([Right::ClientConnect]), ..Constraint::default() };
        let deaf = root.constrain(&weaker).await.unwrap();
        let ask = |id| Request { id: RequestId(id), body: RequestBody::ClientConnect(labels([("service", "none")])) };
        let mut asked = 0;
        for _ in 0..300 {
            while fdpass::send(deaf.as_fd(), &ask(asked).encode().unwrap(), &[]).is_ok() {
                asked += 1;
            }
            let (near, far) = UnixStream::pair().unwrap();
            assert_eq!(root.push(&web, far.as_fd(), Vec::new()).await.unwrap(), web);
            drop(far);
            expect_joined(near.into(), server.accept().await.unwrap().socket);
        }
        assert!(asked > 0);
        busy.shutdown().await;
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
        assert_eq!(refused(root.push(&asked, far.as_fd(), Vec::new()).await), Refusal::NotFound);
        drop(egress);
    });
}

#[test]
fn a_label_with_a_nul_or_too_long_is_refused_and_the_handle_lives_on() {
    with_board(async |board| {
        // Our own types cannot hold such a label, so the bytes are made from one that is as long and put right after.
        let value = "x".repeat(200);
        let request =
            Request { id: RequestId(7), body: RequestBody::ClientConnect(labels([("service", value.as_str())])) };
        let good = Message::encode(&request).unwrap();
        let put = |at_value: &[u8]| {
            let at = good.windows(value.len()).position(|window| window == value.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[at..at + at_value.len()].copy_from_slice(at_value);
            bytes
        };
        let handle = board.connect();
        for bytes in [put(b"\0"), put(b"middle\0middle"), with_long_value(300)] {
            fdpass::send(handle.as_fd(), &bytes, &[]).unwrap();
            let response = receive_response(&handle);
            match response.body {
                ResponseBody::Failed(failure) => {
                    assert!(matches!(failure, Failure::Refused(Refusal::Label { .. })), "{failure:?}");
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
        let limit = Refusal::Limit { limit: LimitKind::Labels };
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
