//! What a compromised runner claims and asks for, each with the reason for which it is refused.

use super::Liar;
use crate::flower::{refused, rights};
use crate::hostile_wire::{client_connect, receive_response};
use capability::{
    Constraint, Grant, LabelKey, Labels, LimitKind, Pattern, Refusal, Right, Rights, UnreachableCause, keys,
};
use client::Handle;
use cord_tests::board::{Board, labels};
use cord_tests::namespace::with_hosts;
use cord_tests::runner::{SERVICE, constraint};
use cord_tests::servers::{Echo, LOOPBACK, Listener};
use cord_tests::wait;
use protocol::Message;
use protocol::message::{Failure, Request, RequestBody, RequestId, ResponseBody};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The flags of a guest that may do a little of everything.
const FLAGS: [&str; 5] =
    ["--connect=127.0.0.1:22", "--connect=*.example.test:443", "--connect=udp://10.0.0.0/8:53", "-p", "0:80"];

fn refused_labels(names: &[&str]) -> Refusal {
    Refusal::Label { keys: names.iter().map(|name| LabelKey::new(name).unwrap()).collect() }
}

fn outside(pairs: &[(&str, &str)]) -> Labels {
    let own = [("network", "outside"), ("transport", "tcp")];
    labels(own.iter().filter(|(key, _)| !pairs.iter().any(|(other, _)| other == key)).chain(pairs).copied())
}

/// What the guest itself may serve.
fn served(pairs: &[(&str, &str)]) -> Labels {
    labels([("transport", "tcp"), ("server_port", "80")].iter().chain(pairs).copied())
}

#[test]
fn nobody_says_of_himself_who_he_is() {
    wait::run(async {
        let liar = Liar::start(&FLAGS).await;
        let granted = [("server_address", "127.0.0.1"), ("server_port", "22")];
        // Not even the truth: it would be one more place to look for who somebody is.
        let claims = [
            (keys::CLIENT_SERVICE, "bank"),
            (keys::CLIENT_SERVICE, SERVICE),
            (keys::CLIENT_INSTANCE, "1"),
            (keys::CLIENT_ADDRESS, "127.0.0.1"),
            (keys::CLIENT_PORT, "80"),
        ];
        for claim in claims {
            let refusal = refused_labels(&[claim.0]);
            let asked = outside(&[granted[0], granted[1], claim]);
            liar.expect_refused("client-connect", liar.handle.connect(&asked).await, refusal.clone()).await;
            let asked = labels([("network", "outside"), ("server_hostname", "www.example.test"), claim]);
            liar.expect_refused("resolve", liar.handle.resolve_labels(&asked).await, refusal.clone()).await;
            let answer = liar.handle.serve(&served(&[claim])).await;
            liar.expect_refused("server-start", answer, refusal).await;
        }
    });
}

#[test]
fn what_no_flag_granted_is_refused() {
    wait::run(async {
        let listener = Listener::at(LOOPBACK);
        let port = listener.port();
        let liar = Liar::start(&FLAGS).await;
        let refused: &[&[(&str, &str)]] = &[
            // Another address, port, transport or name.
            &[("server_address", "127.0.0.2"), ("server_port", "22")],
            &[("server_address", "127.0.0.1"), ("server_port", &port)],
            &[("server_address", "::1"), ("server_port", "22")],
            &[("server_address", "127.0.0.1"), ("server_port", "22"), ("transport", "udp")],
            &[("server_address", "10.1.2.3"), ("server_port", "53")],
            &[("server_address", "11.1.2.3"), ("server_port", "53"), ("transport", "udp")],
            &[("server_hostname", "example.test"), ("server_port", "443")],
            &[("server_hostname", "evil-example.test"), ("server_port", "443")],
            &[("server_hostname", "www.example.test.evil.test"), ("server_port", "443")],
            &[("server_hostname", "www.example.test"), ("server_port", "22")],
            &[("server_hostname", "localhost"), ("server_port", "22")],
            // Half a destination.
            &[("server_address", "127.0.0.1")],
            &[("server_port", "22")],
            &[],
            // Another world, its own among them: it may serve there, not reach out.
            &[("server_address", "127.0.0.1"), ("server_port", "22"), ("network", "bank")],
            &[("network", "bank")],
            &[("network", SERVICE), ("server_hostname", SERVICE), ("server_port", "80")],
        ];
        for pairs in refused {
            let answer = liar.handle.connect(&outside(pairs)).await;
            liar.expect_refused("client-connect", answer, Refusal::Grant).await;
        }
        for name in ["www.example.org", "example.test", "localhost", "10.0.0.1"] {
            let asked = labels([("network", "outside"), ("server_hostname", name)]);
            liar.expect_refused("resolve", liar.handle.resolve_labels(&asked).await, Refusal::Grant).await;
        }
        let nameless = liar.handle.resolve_labels(&labels([("network", "outside")])).await;
        liar.expect_refused("resolve", nameless, refused_labels(&[keys::SERVER_HOSTNAME])).await;
        listener.expect_nobody();
    });
}

#[test]
fn what_it_has_no_right_to_is_refused() {
    wait::run(async {
        let liar = Liar::start(&FLAGS).await;
        let any = labels([("network", "outside")]);
        let (near, far) = UnixStream::pair().unwrap();
        let right = |right| Refusal::Right { right };
        let answer = liar.handle.push(&served(&[("network", SERVICE)]), far.as_fd(), Vec::new()).await;
        liar.expect_refused("ingress-connect", answer, right(Right::IngressConnect)).await;
        liar.expect_refused("egress-start", liar.handle.egress_start(&any).await, right(Right::EgressStart)).await;
        let answer = liar.handle.resolver_start(&any).await;
        liar.expect_refused("resolver-start", answer, right(Right::ResolverStart)).await;
        liar.expect_refused("list", liar.handle.list(&Labels::new()).await, right(Right::List)).await;
        liar.expect_refused("watch", liar.handle.watch(&Labels::new()).await, right(Right::Watch)).await;
        // The pushed socket is closed, and was given to nobody.
        drop(far);
        assert_eq!((&near).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_guest_that_may_only_connect_serves_nothing_and_the_reverse() {
    wait::run(async {
        let client = Liar::start(&["--connect=127.0.0.1:22"]).await;
        let refusal = Refusal::Right { right: Right::ServerStart };
        client.expect_refused("server-start", client.handle.serve(&served(&[])).await, refusal).await;
        let server = Liar::start(&["-p", "0:80"]).await;
        let refusal = Refusal::Right { right: Right::ClientConnect };
        let asked = outside(&[("server_address", "127.0.0.1"), ("server_port", "22")]);
        server.expect_refused("client-connect", server.handle.connect(&asked).await, refusal.clone()).await;
        let asked = labels([("network", "outside"), ("server_hostname", "www.example.test")]);
        server.expect_refused("resolve", server.handle.resolve_labels(&asked).await, refusal).await;
    });
}

#[test]
fn a_server_under_other_labels_is_refused() {
    wait::run(async {
        let liar = Liar::start(&FLAGS).await;
        for (asked, refusal) in [
            (served(&[("network", "bank")]), refused_labels(&["network"])),
            (served(&[("network", "outside")]), refused_labels(&["network"])),
            (served(&[("server_hostname", "bank")]), refused_labels(&["server_hostname"])),
            (served(&[("server_address", "127.0.0.1")]), Refusal::Grant),
            (labels([("transport", "tcp"), ("server_port", "81")]), Refusal::Grant),
            (labels([("transport", "udp"), ("server_port", "80")]), Refusal::Grant),
            (labels([("transport", "tcp")]), Refusal::Grant),
            (Labels::new(), Refusal::Grant),
        ] {
            liar.expect_refused("server-start", liar.handle.serve(&asked).await, refusal).await;
        }
        // What it may serve is its own whatever it asks for: the labels of its handle are on it.
        let _server = liar.handle.serve(&served(&[("colour", "red")])).await.unwrap();
        liar.expect_allowed("server-start").await;
        let listed = liar.broker.strong().list(&labels([("network", SERVICE)])).await.unwrap();
        let want = served(&[("network", SERVICE), ("server_hostname", SERVICE), ("colour", "red")]);
        assert_eq!(listed.iter().map(|target| &target.in_labels).collect::<Vec<_>>(), [&want]);
    });
}

#[test]
fn a_handle_is_not_made_stronger() {
    wait::run(async {
        let liar = Liar::start(&FLAGS).await;
        let own = constraint(liar.broker.plan());
        for right in Right::ALL.into_iter().filter(|right| !own.rights.contain(*right)) {
            let asked = Constraint { rights: own.rights.and(right), ..Constraint::default() };
            let answer = liar.handle.constrain(&asked).await;
            liar.expect_refused("constrain", answer, Refusal::Right { right }).await;
        }
        let out = |key, value| Constraint { out_labels: labels([(key, value)]), ..Constraint::default() };
        let inwards = |key, value| Constraint { in_labels: labels([(key, value)]), ..Constraint::default() };
        for (asked, named) in [
            (out(keys::CLIENT_SERVICE, "bank"), keys::CLIENT_SERVICE),
            (out(keys::CLIENT_INSTANCE, "1"), keys::CLIENT_INSTANCE),
            (out(keys::CLIENT_ADDRESS, "127.0.0.1"), keys::CLIENT_ADDRESS),
            (out(keys::CLIENT_PORT, "80"), keys::CLIENT_PORT),
            (inwards(keys::CLIENT_SERVICE, "bank"), keys::CLIENT_SERVICE),
            (inwards(keys::NETWORK, "bank"), keys::NETWORK),
            (inwards(keys::SERVER_HOSTNAME, "bank"), keys::SERVER_HOSTNAME),
        ] {
            liar.expect_refused("constrain", liar.handle.constrain(&asked).await, refused_labels(&[named])).await;
        }
        let refusal = Refusal::Limit { limit: LimitKind::Grants };
        let grants = Some(vec![Grant::new(Right::ClientConnect); capability::MAX_GRANTS_PER_LAYER + 1]);
        let asked = Constraint { grants, ..Constraint::default() };
        liar.expect_refused("constrain", liar.handle.constrain(&asked).await, refusal).await;
        // Layer upon layer, until there is no room for another: each handle has a part of what its parent may hold.
        let mut handle = liar.handle.clone();
        let mut layers = 1;
        let refused = loop {
            let colour = Pattern::exact(&layers.to_string()).unwrap();
            let grants = Some(vec![Grant::new(Right::ClientConnect).with("colour", colour).unwrap()]);
            let asked = Constraint { rights: own.rights, grants, ..Constraint::default() };
            match handle.constrain(&asked).await {
                Ok(weaker) => handle = Handle::new(weaker).unwrap(),
                refused => break refused,
            }
            liar.expect_allowed("constrain").await;
            layers += 1;
        };
        let refusal = Refusal::Limit { limit: LimitKind::Handles };
        liar.expect_refused("constrain", refused, refusal).await;
        assert!((2..capability::MAX_GRANT_LAYERS).contains(&layers), "{layers}");
    });
}

#[test]
fn a_wider_layer_of_grants_grants_nothing() {
    wait::run(async {
        let listener = Listener::at(LOOPBACK);
        let port = listener.port();
        let liar = Liar::start(&FLAGS).await;
        // As wide as there is, for every right it has; and without any label of its own changed.
        let wide = |right| {
            let grant = Grant::new(right).marked_private();
            keys::DESTINATION.into_iter().try_fold(grant, |grant, key| grant.with(key, Pattern::Any)).unwrap()
        };
        let by = |right, without: &str| {
            let grant = Grant::new(right).marked_private();
            let keys = keys::DESTINATION.into_iter().filter(|key| *key != without);
            keys.into_iter().try_fold(grant, |grant, key| grant.with(key, Pattern::Any)).unwrap()
        };
        let all = |right| [wide(right), by(right, keys::SERVER_ADDRESS), by(right, keys::SERVER_HOSTNAME)];
        let grants = Some(all(Right::ClientConnect).into_iter().chain(all(Right::ServerStart)).collect());
        let rights = rights([Right::ClientConnect, Right::ServerStart]);
        let asked = Constraint { rights, grants, ..Constraint::default() };
        let wider = Handle::new(liar.handle.constrain(&asked).await.unwrap()).unwrap();
        liar.expect_allowed("constrain").await;
        for pairs in [
            [("server_address", "127.0.0.1"), ("server_port", port.as_str())],
            [("server_hostname", "localhost"), ("server_port", port.as_str())],
            [("server_hostname", "www.example.org"), ("server_port", "443")],
        ] {
            liar.expect_refused("client-connect", wider.connect(&outside(&pairs)).await, Refusal::Grant).await;
        }
        let other_port = labels([("transport", "tcp"), ("server_port", "81")]);
        liar.expect_refused("server-start", wider.serve(&other_port).await, Refusal::Grant).await;
        // Labels on the handle are no way around either: they are judged with those of the request.
        let stamped = outside(&[("server_address", "127.0.0.1"), ("server_port", &port)]);
        let asked = Constraint { rights, out_labels: stamped, ..Constraint::default() };
        let stamped = Handle::new(wider.constrain(&asked).await.unwrap()).unwrap();
        liar.expect_allowed("constrain").await;
        liar.expect_refused("client-connect", stamped.connect(&Labels::new()).await, Refusal::Grant).await;
        listener.expect_nobody();
    });
}

#[test]
fn an_address_claimed_beside_a_granted_name_is_not_dialled() {
    let folder = tempfile::tempdir().unwrap();
    // The name leads to an echo on 127.0.0.2; somebody else listens on the same port of 127.0.0.1.
    let echo = Echo::at("127.0.0.2:0".parse().unwrap());
    let port = echo.port();
    let victim = Listener::at(format!("127.0.0.1:{port}").parse().unwrap());
    let hosts = || with_hosts(folder.path(), "127.0.0.2 granted.example.test\n");
    let name = ("server_hostname", "granted.example.test");
    let claimed = outside(&[name, ("server_address", "127.0.0.1"), ("server_port", &port)]);
    let target = format!("--connect=granted.example.test:{port},private");
    wait::run(async {
        // The flags of `cord run` make no grant for both at once, not even `*`.
        for flag in [target.as_str(), &format!("--connect=*:{port}")] {
            let liar = Liar::start_in(hosts(), &[flag]).await;
            let answer = liar.handle.connect(&claimed).await;
            liar.expect_refused("client-connect", answer, Refusal::Grant).await;
        }
        // A grant for both, made by hand: the name counts, and the labels of the connection say where it leads.
        let liar = Liar::start_in(hosts(), &[&target]).await;
        let pairs = [(keys::SERVER_HOSTNAME, "granted.example.test"), (keys::SERVER_PORT, &port)];
        let any = [keys::NETWORK, keys::TRANSPORT, keys::SERVER_ADDRESS].map(|key| (key, Pattern::Any));
        let exact = pairs.map(|(key, value)| (key, Pattern::exact(value).unwrap()));
        let grant = Grant::new(Right::ClientConnect).marked_private();
        let grant = any.into_iter().chain(exact).try_fold(grant, |grant, (key, pattern)| grant.with(key, pattern));
        let by_hand = Constraint { grants: Some(vec![grant.unwrap()]), ..constraint(liar.broker.plan()) };
        let handle = Handle::new(liar.broker.strong().constrain(&by_hand).await.unwrap()).unwrap();
        let connection = handle.connect(&claimed).await.unwrap();
        assert_eq!(connection.labels.get(keys::SERVER_ADDRESS), Some("127.0.0.2"));
        let mut stream = std::net::TcpStream::from(connection.socket);
        stream.set_nonblocking(false).unwrap();
        stream.write_all(b"echo").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "echo");
    });
    victim.expect_nobody();
}

/// Asks by bytes, as our own types hold no such label.
fn ask_by_bytes(handle: &OwnedFd, id: u8, pairs: &[(&str, &str)]) -> Failure {
    fdpass::send(handle.as_fd(), &client_connect(id, pairs), &[]).unwrap();
    let response = receive_response(handle);
    assert_eq!(response.id, RequestId(id.into()));
    match response.body {
        ResponseBody::Failed(failure) => failure,
        other => panic!("{pairs:?}: {other:?}"),
    }
}

#[test]
fn an_address_in_another_spelling_is_no_address() {
    wait::run(async {
        let listener = Listener::at(LOOPBACK);
        let port = listener.port();
        let liar = Liar::start(&[&format!("--connect=*:{port}"), &format!("--connect=0.0.0.0/0:{port}")]).await;
        let raw = liar.broker.guest().await;
        liar.expect_allowed("constrain").await;
        let spellings = [
            "127.1",
            "127.0.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.000.000.001",
            "127.0.0.1 ",
            " 127.0.0.1",
            "127.0.0.1.",
            "127.0.0.1/32",
            "127.0.0.1%lo",
            "[127.0.0.1]",
            "[::1]",
            "::ffff:127.0.0.1",
            "::FFFF:7f00:1",
            "::ffff:7f00:1",
            "::1%lo",
            "::1%1",
            "0:0:0:0:0:0:0:1",
            "0::1",
            "::0001",
            "FE80::1",
            "localhost",
            "１２７.0.0.1",
            "127。0。0。1",
            "",
        ];
        for (id, spelling) in (1..).zip(spellings) {
            let pairs =
                [("network", "outside"), ("transport", "tcp"), ("server_address", spelling), ("server_port", &port)];
            let want = refused_labels(&[keys::SERVER_ADDRESS]);
            assert_eq!(ask_by_bytes(&raw, id, &pairs), want.clone().into(), "{spelling:?}");
            liar.expect_told("client-connect", want).await;
        }
        for (id, odd) in (100..).zip(["0", "00022", "+22", "65536", "22 ", "0x16", "ssh", ""]) {
            let pairs =
                [("network", "outside"), ("transport", "tcp"), ("server_address", "127.0.0.1"), ("server_port", odd)];
            let want = refused_labels(&[keys::SERVER_PORT]);
            assert_eq!(ask_by_bytes(&raw, id, &pairs), want.clone().into(), "{odd:?}");
            liar.expect_told("client-connect", want).await;
        }
        listener.expect_nobody();
    });
}

#[test]
fn a_name_in_another_spelling_is_no_name() {
    wait::run(async {
        let listener = Listener::at(LOOPBACK);
        let port = listener.port();
        let folder = tempfile::tempdir().unwrap();
        let hosts = with_hosts(folder.path(), "127.0.0.1 granted.example.test\n");
        let liar = Liar::start_in(hosts, &[&format!("--connect=granted.example.test:{port},private")]).await;
        let raw = liar.broker.guest().await;
        liar.expect_allowed("constrain").await;
        let name = |spelling| {
            [
                ("network", "outside"),
                ("transport", "tcp"),
                ("server_hostname", spelling),
                ("server_port", port.as_str()),
            ]
        };
        // No label has these spellings...
        let (long, longest) = ("a".repeat(64), ["a".repeat(63).as_str(); 4].join("."));
        let spellings = [
            "GRANTED.example.test",
            "granted.example.test.",
            ".granted.example.test",
            "granted..example.test",
            "granted.example.test ",
            "granted.example.test\t",
            "granted.example.test/",
            "granted.example.test:22",
            "gränted.example.test",
            "granted。example。test",
            "granted.example.test\u{200b}",
            "ｇranted.example.test",
            "127.0.0.1%lo",
            "::1",
            "[::1]",
            "",
            ".",
            &long,
            &longest,
        ];
        for (id, spelling) in (1..).zip(spellings) {
            let want = refused_labels(&[keys::SERVER_HOSTNAME]);
            assert_eq!(ask_by_bytes(&raw, id, &name(spelling)), want.clone().into(), "{spelling:?}");
            liar.expect_told("client-connect", want).await;
        }
        // ... and these are other names than the granted one.
        for (id, other) in
            (100..).zip(["xn--grnted-bua.example.test", "example.test", "granted.example.test.evil", "granted"])
        {
            assert_eq!(ask_by_bytes(&raw, id, &name(other)), Refusal::Grant.into(), "{other:?}");
            liar.expect_told("client-connect", Refusal::Grant).await;
        }
        // With a NUL in it, or one key twice, it is no label at all.
        let twice =
            [("network", "outside"), ("server_hostname", "granted.example.test"), ("server_hostname", "evil.test")];
        assert_eq!(ask_by_bytes(&raw, 120, &twice), refused_labels(&[keys::SERVER_HOSTNAME]).into());
        liar.expect_told("client-connect", refused_labels(&[keys::SERVER_HOSTNAME])).await;
        let nul = name("granted.example.test\0.evil.test");
        assert_eq!(ask_by_bytes(&raw, 121, &nul), refused_labels(&[keys::SERVER_HOSTNAME]).into());
        liar.expect_told("client-connect", refused_labels(&[keys::SERVER_HOSTNAME])).await;
        listener.expect_nobody();
    });
}

#[test]
fn an_address_in_disguise_of_a_name_is_nobody() {
    wait::run(async {
        let listener = Listener::at(LOOPBACK);
        let port = listener.port();
        // Every name is granted, and no address.
        let plan = format!("--connect=*:{port}");
        let liar = Liar::start(&[&plan]).await;
        let mut names_only = constraint(liar.broker.plan());
        let grants = names_only.grants.as_mut().unwrap();
        grants.retain(|grant| grant.patterns().any(|(key, _)| key.as_str() == keys::SERVER_HOSTNAME));
        *grants = grants.iter().cloned().map(Grant::marked_private).collect();
        assert_eq!(grants.len(), 1);
        let handle = Handle::new(liar.broker.strong().constrain(&names_only).await.unwrap()).unwrap();
        liar.expect_allowed("constrain").await;
        let not_found = Refusal::Unreachable { cause: UnreachableCause::NameNotFound };
        for name in ["127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0x1", "a.127.1"] {
            let asked = outside(&[("server_hostname", name), ("server_port", &port)]);
            match handle.connect(&asked).await {
                Err(client::RequestError::Refused(refusal)) => assert_eq!(refusal, not_found, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
            let told = liar.seen.next().await.unwrap();
            assert_eq!(told.failure, Some(not_found.clone().into()), "{name}");
        }
        // That the listener can be reached by a name at all:
        let asked = outside(&[("server_hostname", "localhost"), ("server_port", &port)]);
        drop(handle.connect(&asked).await.unwrap());
        drop(listener.accept());
        listener.expect_nobody();
    });
}

#[test]
fn what_another_may_is_not_had_by_repeating_his_words() {
    wait::run(async {
        let liar = Liar::start(&FLAGS).await;
        let raw = liar.broker.guest().await;
        liar.expect_allowed("constrain").await;
        // Packets of the strongest handle, as somebody might have seen them: they carry no authority.
        let strong = [
            (RequestBody::List(Labels::new()), Right::List),
            (RequestBody::Watch(Labels::new()), Right::Watch),
            (RequestBody::EgressStart(labels([("network", "outside")])), Right::EgressStart),
            (
                RequestBody::Constrain(Constraint { rights: Rights::ALL, ..Constraint::default() }),
                Right::IngressConnect,
            ),
        ];
        for (id, (body, right)) in (1_u64..).zip(strong) {
            let name = body.name();
            fdpass::send(raw.as_fd(), &Request { id: RequestId(id), body }.encode().unwrap(), &[]).unwrap();
            let refusal = Refusal::Right { right };
            assert_eq!(receive_response(&raw).body, ResponseBody::Failed(refusal.clone().into()));
            liar.expect_told(name, refusal).await;
        }
        // The packet of a guest, on a handle that may less.
        let weaker = Constraint { rights: rights([Right::ServerStart]), ..Constraint::default() };
        let weaker = liar.handle.constrain(&weaker).await.unwrap();
        liar.expect_allowed("constrain").await;
        let pairs =
            [("network", "outside"), ("transport", "tcp"), ("server_address", "127.0.0.1"), ("server_port", "22")];
        let refusal = Refusal::Right { right: Right::ClientConnect };
        assert_eq!(ask_by_bytes(&weaker, 1, &pairs), refusal.clone().into());
        liar.expect_told("client-connect", refusal).await;
        // An answered request said again is one more request, judged as the first.
        for _ in 0..2 {
            let pairs = [("network", "bank")];
            assert_eq!(ask_by_bytes(&raw, 9, &pairs), Refusal::Grant.into());
            liar.expect_told("client-connect", Refusal::Grant).await;
        }
    });
}

#[test]
fn cord_watch_shows_who_lied_and_why_it_was_refused() {
    let board = Board::start();
    let watch = board.part(&["watch", "--format", "json"], &[]).start();
    wait::run(async {
        let own = constraint(&cord_tests::runner::plan(&FLAGS));
        let handle = Handle::new(board.handle().constrain(&own).await.unwrap()).unwrap();
        let asked = outside(&[("server_address", "192.0.2.1"), ("server_port", "22")]);
        // The first may fall before the watch is there.
        while !watch.stdout().contains("192.0.2.1") {
            assert_eq!(refused(handle.connect(&asked).await), Refusal::Grant);
            wait::moment();
        }
    });
    let shown = watch.stdout();
    let line = shown.lines().find(|line| line.contains("192.0.2.1")).unwrap();
    let decision: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(decision["request"], "client-connect");
    assert_eq!(decision["from"]["client_service"], SERVICE);
    assert_eq!((&decision["allowed"], &decision["failure"]), (&false.into(), &"no grant covers it".into()));
}
