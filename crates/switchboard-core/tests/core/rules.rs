//! A table for each rule of the switchboard.

use crate::desk::{Desk, labels};
use capability::{Constraint, Grant, LabelKey, Pattern, Refusal, Right, Rights};
use core::time::Duration;
use protocol::message::{Call, Decision, Failure, RequestBody, ResponseBody, TargetKind};
use std::collections::BTreeMap;
use switchboard_core::{Effect, Event, HandleId, Limits, TargetId};

fn ambiguous(keys: &[&str]) -> Refusal {
    let keys = keys.iter().map(|key| LabelKey::new(key).unwrap()).collect();
    Refusal::Ambiguous { keys }
}

/// The place in `servers` that a request reaches.
fn check(servers: &[&str], request: &str, expected: Result<usize, Refusal>) {
    let mut desk = Desk::new();
    let handle = desk.root();
    let targets: Vec<TargetId> = servers.iter().map(|server| desk.server(handle, server)).collect();
    let place = |target| targets.iter().position(|other| *other == target).unwrap();
    let found = desk.connect(handle, request).map(|(target, _)| place(target));
    assert_eq!(found, expected, "{servers:?} {request:?}");
}

#[test]
fn the_target_that_shares_most_keys_wins() {
    check(&[], "", Err(Refusal::NotFound));
    check(&[""], "", Ok(0));
    check(&[""], "a=1", Ok(0));
    check(&["a=1"], "a=1", Ok(0));
    check(&["a=1"], "a=2", Err(Refusal::NotFound));
    check(&["a=1"], "b=1", Ok(0));
    check(&["", "a=1", "a=1 b=1"], "a=1 b=1", Ok(2));
    check(&["", "a=1", "a=1 b=1"], "a=1 b=2", Ok(1));
    check(&["", "a=1", "a=1 b=1"], "a=2 b=2", Ok(0));
    check(&["a=1 c=9", "a=1 b=1"], "a=1 b=1", Ok(1));
    check(&["a=1 b=2", "a=1"], "a=1 b=1", Ok(1));
}

#[test]
fn a_tie_is_refused_and_the_keys_named_that_would_decide() {
    check(&["a=1 b=1", "a=1 b=2"], "a=1", Err(ambiguous(&["b"])));
    check(&["a=1 b=1", "a=1"], "a=1", Err(ambiguous(&["b"])));
    check(&["a=1 b=1 d=1", "a=1 c=2 d=1"], "a=1", Err(ambiguous(&["b", "c"])));
    check(&["a=1", "b=1"], "a=1 b=1", Err(ambiguous(&["a", "b"])));
    check(&["a=1 x=1", "b=1 x=2"], "a=1 b=1", Err(ambiguous(&["x"])));
    check(&["a=1", "b=1"], "", Err(ambiguous(&["a", "b"])));
}

#[test]
fn a_request_holds_every_reserved_label_of_its_target() {
    let outside = "network=outside transport=tcp";
    check(&[outside], "network=outside", Err(Refusal::NotFound));
    check(&[outside], "network=outside transport=udp", Err(Refusal::NotFound));
    check(&[outside], "network=outside transport=tcp server_port=22", Ok(0));
    // A service that happens to listen on port 22 is not the host's port 22.
    let service = "network=shop server_address=127.0.0.1 server_port=22";
    let host = "network=outside server_address=127.0.0.1 server_port=22";
    check(&[service, "network=outside"], host, Ok(1));
    check(&[service], "server_address=127.0.0.1 server_port=22", Err(Refusal::NotFound));
    // What is not reserved may be lacked.
    check(&["network=shop colour=red"], "network=shop", Ok(0));
}

#[test]
fn replicas_take_turns() {
    let mut desk = Desk::new();
    let handle = desk.root();
    let replicas: Vec<TargetId> = (0..3).map(|_| desk.server(handle, "a=1")).collect();
    let mut counts = BTreeMap::new();
    for _ in 0..30 {
        *counts.entry(desk.connect(handle, "a=1").unwrap().0).or_insert(0) += 1;
    }
    assert_eq!(counts, replicas.iter().map(|target| (*target, 10)).collect());
    // One goes, one comes: nobody is left out.
    desk.event(Event::TargetClosed(replicas[1]));
    let new = desk.server(handle, "a=1");
    let turns: Vec<TargetId> = (0..3).map(|_| desk.connect(handle, "a=1").unwrap().0).collect();
    assert_eq!(BTreeMap::from_iter(turns.iter().map(|target| (*target, ()))).len(), 3, "{turns:?}");
    assert!(turns.contains(&new));
}

#[test]
fn closing_the_target_channel_removes_it_and_closing_the_handle_does_not() {
    let mut desk = Desk::new();
    let (client, server) = (desk.root(), desk.root());
    let target = desk.server(server, "a=1");
    desk.event(Event::HandleClosed(server));
    assert_eq!(desk.connect(client, "a=1").unwrap().0, target);
    desk.event(Event::TargetClosed(target));
    assert_eq!(desk.connect(client, "a=1"), Err(Refusal::NotFound));
}

#[test]
fn both_ends_get_the_union_with_the_labels_of_their_handles() {
    let mut desk = Desk::new();
    let root = desk.root();
    let web = Constraint {
        rights: Rights::ALL,
        in_labels: labels("network=shop"),
        out_labels: labels("client_service=web"),
        grants: None,
    };
    let web = desk.constrain(root, web).unwrap();
    let target = desk.server(web, "server_hostname=db version=2");
    let (found, union) = desk.connect(web, "network=shop server_hostname=db trace=on").unwrap();
    assert_eq!(found, target);
    let whole = "network=shop server_hostname=db version=2 client_service=web trace=on";
    assert_eq!(union, labels(whole));
    // And the handle's label cannot be overwritten.
    let key = LabelKey::new("network").unwrap();
    assert_eq!(
        desk.start(web, RequestBody::ServerStart(labels("network=other"))),
        Err(Refusal::Label { keys: vec![key] })
    );
}

#[test]
fn what_joins_what() {
    let mut desk = Desk::new();
    let handle = desk.root();
    let egress = desk.egress(handle, "network=outside");
    desk.resolver(handle, "network=outside");
    let outside = "network=outside server_hostname=a.example";
    // client -> egress: a call; ingress -> egress: nothing there; a resolver takes neither.
    assert_eq!(desk.connect(handle, outside).unwrap().0, egress);
    assert_eq!(desk.push(handle, outside), Err(Refusal::NotFound));
    desk.event(Event::TargetClosed(egress));
    assert_eq!(desk.connect(handle, outside), Err(Refusal::NotFound));
    // client -> server and ingress -> server.
    let server = desk.server(handle, "network=outside");
    assert_eq!(desk.connect(handle, outside).unwrap().0, server);
    assert_eq!(desk.push(handle, outside).unwrap().0, server);
}

#[test]
fn a_server_and_an_egress_compete_for_clients_only() {
    let mut desk = Desk::new();
    let handle = desk.root();
    let egress = desk.egress(handle, "network=outside");
    let server = desk.server(handle, "network=outside server_port=22");
    assert_eq!(desk.connect(handle, "network=outside server_port=22").unwrap().0, server);
    assert_eq!(desk.connect(handle, "network=outside server_port=23").unwrap().0, egress);
    // Of equal labels they are no replicas of each other, and no key decides.
    let twin = desk.server(handle, "network=outside");
    assert_eq!(desk.connect(handle, "network=outside"), Err(ambiguous(&[])));
    assert_eq!(desk.push(handle, "network=outside").unwrap().0, twin);
}

#[test]
fn only_a_resolver_is_asked_for_addresses() {
    let mut desk = Desk::new();
    let handle = desk.root();
    let name = labels("network=outside server_hostname=a.example");
    desk.egress(handle, "network=outside");
    desk.server(handle, "network=outside");
    let resolve = || RequestBody::Resolve(name.clone());
    assert_eq!(desk.ask(handle, resolve()), Err(Refusal::NotFound));
    let resolver = desk.resolver(handle, "network=outside");
    let Ok(Effect::Call { target, call: Call::Lookup { labels, .. } }) = desk.ask(handle, resolve()) else {
        panic!("no lookup");
    };
    assert_eq!((target, labels), (resolver, name));
}

/// What a lookup comes to: `Ok(None)` if nobody is asked and no address is the answer, or the resolver.
fn lookup(desk: &mut Desk, handle: HandleId, name: &str) -> Result<Option<TargetId>, Refusal> {
    match desk.ask(handle, RequestBody::Resolve(labels(name)))? {
        Effect::Answer { body: ResponseBody::Addresses(addresses), .. } if addresses.is_empty() => Ok(None),
        Effect::Call { target, call: Call::Lookup { .. } } => Ok(Some(target)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_switchboard_answers_for_services_itself() {
    let mut desk = Desk::new();
    let root = desk.root();
    let resolver = desk.resolver(root, "network=outside");
    // Even a resolver of the application is not asked, and neither is an egress a service.
    desk.resolver(root, "network=shop");
    desk.egress(root, "network=shop server_hostname=db");
    let db = "network=shop server_hostname=db";
    assert_eq!(lookup(&mut desk, root, db), Err(Refusal::NotFound));
    let tcp = desk.server(root, "network=shop server_hostname=db transport=tcp server_port=5432");
    let udp = desk.server(root, "network=shop server_hostname=db transport=udp server_port=5432");
    let replica = desk.server(root, "network=shop server_hostname=db transport=udp server_port=5432");
    desk.server(root, "network=shop transport=tcp server_port=80");
    assert_eq!(lookup(&mut desk, root, db), Ok(None));
    for (name, expected) in [
        ("network=shop server_hostname=web", Err(Refusal::NotFound)),
        ("network=mall server_hostname=db", Err(Refusal::NotFound)),
        // A name in no network could be anywhere.
        ("server_hostname=db", Err(Refusal::NotFound)),
        ("network=outside server_hostname=db", Ok(Some(resolver))),
        ("network=outside server_hostname=db.example", Ok(Some(resolver))),
    ] {
        assert_eq!(lookup(&mut desk, root, name), expected, "{name}");
    }
    // It is there as long as one of its servers is.
    for (gone, expected) in [(udp, Ok(None)), (tcp, Ok(None)), (replica, Err(Refusal::NotFound))] {
        desk.event(Event::TargetClosed(gone));
        assert_eq!(lookup(&mut desk, root, db), expected);
    }
}

#[test]
fn a_service_is_looked_up_by_who_may_connect_to_it() {
    let mut desk = Desk::new();
    let root = desk.root();
    desk.server(root, "network=shop server_hostname=db transport=tcp server_port=5432");
    let grant = Grant::new(Right::ClientConnect)
        .with("network", Pattern::exact("shop").unwrap())
        .and_then(|grant| grant.with("server_hostname", Pattern::exact("web").unwrap()))
        .and_then(|grant| grant.with("server_port", Pattern::Any))
        .and_then(|grant| grant.with("transport", Pattern::Any))
        .unwrap();
    let connect = Rights::only(Right::ClientConnect);
    let guest = Constraint { rights: connect, grants: Some(vec![grant]), ..Constraint::default() };
    let guest = desk.constrain(root, guest).unwrap();
    // Not granted, whether it is there or not; granted, and not there.
    for (name, expected) in [("db", Refusal::Grant), ("other", Refusal::Grant), ("web", Refusal::NotFound)] {
        let name = format!("network=shop server_hostname={name}");
        assert_eq!(lookup(&mut desk, guest, &name), Err(expected), "{name}");
    }
    desk.server(root, "network=shop server_hostname=web transport=tcp server_port=80");
    assert_eq!(lookup(&mut desk, guest, "network=shop server_hostname=web"), Ok(None));
    let rights = Rights::only(Right::ServerStart);
    let server = desk.constrain(root, Constraint { rights, ..Constraint::default() }).unwrap();
    let right = Right::ClientConnect;
    assert_eq!(lookup(&mut desk, server, "network=shop server_hostname=web"), Err(Refusal::Right { right }));
}

#[test]
fn deciding_keys_are_told_only_to_a_handle_with_list() {
    let mut desk = Desk::new();
    let root = desk.root();
    desk.server(root, "a=1 b=1");
    desk.server(root, "a=1 b=2");
    let with = |rights| Constraint { rights, ..Constraint::default() };
    let connect = Rights::only(Right::ClientConnect);
    let blind = desk.constrain(root, with(connect)).unwrap();
    let seeing = desk.constrain(root, with(connect.and(Right::List))).unwrap();
    assert_eq!(desk.connect(blind, "a=1"), Err(ambiguous(&[])));
    assert_eq!(desk.connect(seeing, "a=1"), Err(ambiguous(&["b"])));
    // A right to list that no grant covers lists nothing, and so tells nothing.
    let grant = Grant::new(Right::ClientConnect).with("a", Pattern::Any).unwrap();
    let granted = Constraint { rights: connect.and(Right::List), grants: Some(vec![grant]), ..Constraint::default() };
    let granted = desk.constrain(root, granted).unwrap();
    assert_eq!(desk.connect(granted, "a=1"), Err(ambiguous(&[])));
}

#[test]
fn each_request_takes_its_right() {
    for right in Right::ALL {
        let mut desk = Desk::new();
        let root = desk.root();
        let constraint = Constraint {
            rights: Right::ALL.into_iter().filter(|other| *other != right).collect(),
            ..Constraint::default()
        };
        let without = desk.constrain(root, constraint).unwrap();
        let own = labels("server_hostname=a.example");
        let bodies = match right {
            Right::ClientConnect => vec![RequestBody::ClientConnect(own.clone()), RequestBody::Resolve(own)],
            Right::ServerStart => vec![RequestBody::ServerStart(own)],
            Right::IngressConnect => vec![RequestBody::IngressConnect { labels: own, datagrams: Vec::new() }],
            Right::EgressStart => vec![RequestBody::EgressStart(own)],
            Right::ResolverStart => vec![RequestBody::ResolverStart(own)],
            Right::List => vec![RequestBody::List(own)],
            Right::Watch => vec![RequestBody::Watch(own)],
        };
        for body in bodies {
            assert_eq!(desk.ask(without, body), Err(Refusal::Right { right }));
        }
    }
}

#[test]
fn a_listing_comes_in_pages_and_shows_nothing_that_contradicts() {
    let mut desk = Desk::with(Limits::default());
    let root = desk.root();
    let long = "v".repeat(255);
    for number in 0..1_500 {
        desk.server(root, &format!("app=mine number={number} filler={long}"));
        desk.server(root, &format!("app=theirs number={number}"));
    }
    desk.egress(root, "app=mine");
    desk.resolver(root, "app=mine");
    desk.resolver(root, "app=mine");
    let constraint =
        Constraint { rights: Rights::only(Right::List), out_labels: labels("app=mine"), ..Constraint::default() };
    let lister = desk.constrain(root, constraint).unwrap();
    let (id, mut effects) = desk.ask_only(lister, RequestBody::List(labels("")));
    let mut listed = Vec::new();
    let mut pages = 0;
    loop {
        let Some(Effect::Page { targets, last, .. }) = effects.pop() else { panic!("no page") };
        assert!(targets.len() <= 64_000 / 255, "{}", targets.len());
        assert!(targets.iter().all(|target| target.in_labels.get("app") == Some("mine")));
        listed.extend(targets);
        pages += 1;
        effects = desk.done(lister, id, Ok(()));
        if last {
            break;
        }
    }
    assert_eq!(effects, []);
    assert!(pages > 3, "{pages}");
    let count = |kind| listed.iter().filter(|target| target.kind == kind).count();
    assert_eq!(count(TargetKind::Server), 1_500);
    assert_eq!(count(TargetKind::Egress), 1);
    let resolvers: Vec<u32> =
        listed.iter().filter(|target| target.kind == TargetKind::Resolver).map(|target| target.replicas).collect();
    assert_eq!(resolvers, [2]);
}

fn decisions(effects: &[Effect]) -> Vec<&Decision> {
    let decided = effects.iter().filter_map(|effect| match effect {
        Effect::Decided { decision, .. } => Some(decision),
        _ => None,
    });
    decided.collect()
}

#[test]
fn a_watcher_sees_every_decision_that_does_not_contradict_it() {
    let mut desk = Desk::new();
    let root = desk.root();
    desk.server(root, "app=mine");
    let watch = desk.watch(root, "app=mine").unwrap();
    desk.now = Duration::from_millis(5);
    let (id, _) = desk.ask_only(root, RequestBody::ClientConnect(labels("app=mine trace=1")));
    desk.now = Duration::from_millis(7);
    let effects = desk.done(root, id, Ok(()));
    let expected = Decision {
        request: "client-connect".to_owned(),
        from: labels("app=mine trace=1"),
        to: labels("app=mine"),
        failure: None,
        took: Duration::from_millis(2),
        lost: 0,
    };
    let watches = vec![watch];
    assert_eq!(effects, [Effect::Decided { decision: expected, watches }]);
    let (_, refused) = desk.ask_only(root, RequestBody::ClientConnect(labels("app=mine network=x colour=1")));
    assert_eq!(decisions(&refused).len(), 0, "waits for the driver");
    let (_, refused) =
        desk.ask_only(root, RequestBody::IngressConnect { labels: labels("app=theirs"), datagrams: Vec::new() });
    assert_eq!(decisions(&refused).len(), 0, "another application");
    let (_, refused) = desk.ask_only(root, RequestBody::Resolve(labels("server_hostname=a")));
    assert_eq!(decisions(&refused)[0].failure, Some(Failure::Refused(Refusal::NotFound)));
    desk.event(Event::WatchClosed(watch));
    let (_, refused) = desk.ask_only(root, RequestBody::Resolve(labels("server_hostname=a")));
    assert_eq!(decisions(&refused).len(), 0, "nobody watches any more");
}

#[test]
fn datagrams_go_with_a_pushed_socket_unseen() {
    let mut desk = Desk::new();
    let root = desk.root();
    let server = desk.server(root, "service=dns");
    let datagrams = vec![b"first".to_vec(), Vec::new()];
    let body = RequestBody::IngressConnect { labels: labels("service=dns"), datagrams: datagrams.clone() };
    match desk.ask(root, body) {
        Ok(Effect::Deliver { target, datagrams: delivered, .. }) => {
            assert_eq!((target, delivered), (server, datagrams));
        }
        other => panic!("{other:?}"),
    }
}
