//! Each request says what it should, and its answer arrives.

use crate::fake::{ends, is_closed, labels, passenger, run};
use capability::{Constraint, Labels, Right, Rights};
use client::MAX_REQUESTS_IN_FLIGHT;
use protocol::message::{Call, CallId, Reply, ReplyBody, RequestBody, ResponseBody, TargetInfo, TargetKind};
use std::os::fd::AsFd;
use tokio::task::JoinSet;

#[test]
fn a_connection_comes_with_its_socket_and_the_labels_of_both_ends() {
    run(async || {
        let (handle, switchboard) = ends();
        let (socket, mut other_end) = passenger();
        let (asked, answered) = (labels("db"), labels("db at home"));
        let (connection, request) = tokio::join!(
            handle.connect(&asked),
            switchboard.answer(ResponseBody::Connected(answered.clone()), Some(socket)),
        );
        let connection = connection.unwrap();
        assert_eq!(request, RequestBody::ClientConnect(asked));
        assert_eq!(connection.labels, answered);
        // It goes on without handle and switchboard.
        drop((handle, switchboard));
        assert!(!is_closed(&mut other_end));
        drop(connection);
        assert!(is_closed(&mut other_end));
    });
}

#[test]
fn a_weaker_handle_is_a_handle() {
    run(async || {
        let (handle, switchboard) = ends();
        let constraint =
            Constraint { rights: Rights::only(Right::List), out_labels: labels("db"), ..Constraint::default() };
        let (near, far) = fdpass::pair().unwrap();
        let (weaker, request) =
            tokio::join!(handle.constrain(&constraint), switchboard.answer(ResponseBody::Handle, Some(near)),);
        assert_eq!(request, RequestBody::Constrain(constraint));
        let weaker = client::Handle::new(weaker.unwrap()).unwrap();
        let switchboard = crate::fake::Switchboard { channel: channel::Channel::new(far).unwrap() };
        let last = ResponseBody::Listing { targets: Vec::new(), last: true };
        let (none, nothing) = (Labels::new(), None);
        let (listing, _) = tokio::join!(weaker.list(&none), switchboard.answer(last, nothing));
        assert_eq!(listing.unwrap(), Vec::new());
    });
}

fn datagrams() -> Vec<Vec<u8>> {
    vec![b"first".to_vec(), Vec::new(), b"third".to_vec()]
}

#[test]
fn a_pushed_socket_reaches_the_switchboard_and_stays_with_the_caller() {
    run(async || {
        let (handle, switchboard) = ends();
        let (socket, mut other_end) = passenger();
        let (asked, answered) = (labels("web"), labels("web"));
        let take = async {
            let (id, body, pushed) = switchboard.request().await;
            assert_eq!(body, RequestBody::IngressConnect { labels: labels("web"), datagrams: datagrams() });
            switchboard.respond(id, ResponseBody::Delivered(answered.clone()), None).await;
            pushed.unwrap()
        };
        let (delivered, pushed) = tokio::join!(handle.push(&asked, socket.as_fd(), datagrams()), take);
        assert_eq!(delivered.unwrap(), answered);
        drop(pushed);
        assert!(!is_closed(&mut other_end));
        drop(socket);
        assert!(is_closed(&mut other_end));
    });
}

#[test]
fn an_egress_and_a_resolver_answer_on_their_channels() {
    run(async || {
        for is_egress in [true, false] {
            let (handle, switchboard) = ends();
            let (near, far) = fdpass::pair().unwrap();
            let asked = labels("edge");
            let start = async {
                match is_egress {
                    true => handle.egress_start(&asked).await,
                    false => handle.resolver_start(&asked).await,
                }
            };
            let (target, request) = tokio::join!(start, switchboard.answer(ResponseBody::Started, Some(near)));
            let expected = match is_egress {
                true => RequestBody::EgressStart(labels("edge")),
                false => RequestBody::ResolverStart(labels("edge")),
            };
            assert_eq!(request, expected);
            let target = target.unwrap();
            let side = channel::Channel::<Reply, Call>::new(far).unwrap();
            let id = CallId(4);
            let call = Call::Lookup { id, labels: labels("x") };
            side.send(&call, None).await.unwrap();
            assert_eq!(target.receive().await.unwrap().unwrap().0, call);
            let reply = Reply { id, body: ReplyBody::Addresses(vec!["192.0.2.1".parse().unwrap()]) };
            target.send(&reply, None).await.unwrap();
            assert_eq!(side.receive().await.unwrap().unwrap().0, reply);
        }
    });
}

#[test]
fn a_listing_in_pages_arrives_whole() {
    run(async || {
        let (handle, switchboard) = ends();
        let targets: Vec<_> = (0..=3000)
            .map(|index| TargetInfo {
                kind: TargetKind::Server,
                in_labels: labels(&format!("a server with the number {index}")),
                replicas: index,
            })
            .collect();
        let none = Labels::new();
        let pages = async {
            let (id, _, _) = switchboard.request().await;
            for page in targets.chunks(1000) {
                let last = page.len() == 1;
                switchboard.respond(id, ResponseBody::Listing { targets: page.to_vec(), last }, None).await;
            }
        };
        let (listing, ()) = tokio::join!(handle.list(&none), pages);
        assert_eq!(listing.unwrap(), targets);
    });
}

#[test]
fn a_name_is_resolved() {
    run(async || {
        let (handle, switchboard) = ends();
        let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        let answer = ResponseBody::Addresses(addresses.clone());
        let (resolved, request) = tokio::join!(handle.resolve("WWW.Example.com."), switchboard.answer(answer, None));
        assert_eq!(resolved.unwrap(), addresses);
        let asked = [("server_hostname", "www.example.com"), ("network", "outside")];
        assert_eq!(request, RequestBody::Resolve(Labels::try_from_pairs(asked).unwrap()));
    });
}

#[test]
fn responses_may_come_in_any_order() {
    run(async || {
        let (handle, switchboard) = ends();
        let mut askers = JoinSet::new();
        for index in 0..100 {
            let handle = handle.clone();
            askers.spawn(async move {
                let name = labels(&index.to_string());
                assert_eq!(handle.connect(&name).await.unwrap().labels, name);
            });
        }
        let mut requests = Vec::new();
        for _ in 0..100 {
            requests.push(switchboard.request().await);
        }
        for (id, body, _) in requests.into_iter().rev() {
            let RequestBody::ClientConnect(asked) = body else {
                panic!("{body:?}");
            };
            switchboard.respond(id, ResponseBody::Connected(asked), Some(passenger().0)).await;
        }
        askers.join_all().await;
    });
}

#[test]
fn a_request_beyond_the_limit_waits_until_another_is_answered() {
    run(async || {
        let (handle, switchboard) = ends();
        let mut askers = JoinSet::new();
        for _ in 0..=MAX_REQUESTS_IN_FLIGHT {
            let handle = handle.clone();
            askers.spawn(async move { handle.resolve("db").await.unwrap() });
        }
        let mut requests = Vec::new();
        for _ in 0..MAX_REQUESTS_IN_FLIGHT {
            requests.push(switchboard.request().await.0);
        }
        // All the others have had their turn: this one waits for an answer and not for the runtime.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), switchboard.request()).await;
        assert!(early.is_err());
        let answer = || ResponseBody::Addresses(Vec::new());
        switchboard.respond(requests.pop().unwrap(), answer(), None).await;
        requests.push(switchboard.request().await.0);
        for id in requests {
            switchboard.respond(id, answer(), None).await;
        }
        assert_eq!(askers.join_all().await.len(), MAX_REQUESTS_IN_FLIGHT + 1);
    });
}

#[test]
fn the_socket_is_closed_with_the_last_clone() {
    run(async || {
        let (handle, switchboard) = ends();
        let clone = handle.clone();
        drop(handle);
        let (resolved, _) =
            tokio::join!(clone.resolve("db"), switchboard.answer(ResponseBody::Addresses(Vec::new()), None),);
        resolved.unwrap();
        drop(clone);
        assert!(switchboard.channel.receive().await.unwrap().is_none());
    });
}
