//! What goes on after its request: a server takes connections, a watcher reads decisions.

use crate::fake::{ends, is_closed, labels, passenger, run};
use capability::{Labels, Refusal};
use channel::Channel;
use client::{Decisions, Server};
use protocol::message::{Call, CallId, Decision, Reply, RequestBody, ResponseBody};
use std::convert::Infallible;
use std::os::fd::AsFd;
use std::time::Duration;

async fn server() -> (Server, Channel<Reply, Call>) {
    let (handle, switchboard) = ends();
    let (near, far) = fdpass::pair().unwrap();
    let name = labels("web");
    let (server, asked) = tokio::join!(handle.serve(&name), switchboard.answer(ResponseBody::Started, Some(near)),);
    assert_eq!(asked, RequestBody::ServerStart(labels("web")));
    (server.unwrap(), Channel::new(far).unwrap())
}

#[test]
fn a_server_takes_connections_until_the_switchboard_is_gone() {
    run(async || {
        let (server, switchboard) = server().await;
        for index in 0..10_u8 {
            let (socket, mut other_end) = passenger();
            let call = Call::Connection { labels: labels(&index.to_string()), datagrams: vec![vec![index; 3]] };
            switchboard.send(&call, Some(socket.as_fd())).await.unwrap();
            switchboard.send(&Call::Cancel { id: CallId(index.into()) }, None).await.unwrap();
            drop(socket);
            let connection = server.accept().await.unwrap();
            assert_eq!(connection.labels, labels(&index.to_string()));
            assert_eq!(connection.datagrams, [[index; 3]]);
            assert!(!is_closed(&mut other_end));
            drop(connection);
            assert!(is_closed(&mut other_end));
        }
        drop(switchboard);
        assert!(server.accept().await.is_none());
        assert!(server.accept().await.is_none());
    });
}

#[test]
fn a_server_that_is_dropped_is_seen_to_go() {
    run(async || {
        let (server, switchboard) = server().await;
        drop(server);
        assert!(switchboard.receive().await.unwrap().is_none());
    });
}

#[test]
fn a_server_does_not_dial() {
    run(async || {
        let (server, switchboard) = server().await;
        let lookup = Call::Lookup { id: CallId(1), labels: Labels::new() };
        switchboard.send(&lookup, None).await.unwrap();
        assert!(server.accept().await.is_none());
    });
}

async fn watch() -> (Decisions, Channel<Infallible, Decision>) {
    let (handle, switchboard) = ends();
    let (near, far) = fdpass::pair().unwrap();
    let of = labels("web");
    let (decisions, asked) = tokio::join!(handle.watch(&of), switchboard.answer(ResponseBody::Watching, Some(near)),);
    assert_eq!(asked, RequestBody::Watch(labels("web")));
    (decisions.unwrap(), Channel::new(far).unwrap())
}

#[test]
fn decisions_are_read_in_their_order() {
    run(async || {
        let (decisions, switchboard) = watch().await;
        let made = |index: u64| Decision {
            request: "client-connect".to_owned(),
            from: labels("a"),
            to: Labels::new(),
            failure: (index % 2 == 1).then(|| Refusal::NotFound.into()),
            took: Duration::from_micros(index),
            lost: index,
        };
        for index in 0..10 {
            switchboard.try_send(&made(index), None).unwrap();
        }
        for index in 0..10 {
            assert_eq!(decisions.next().await.unwrap(), made(index));
        }
        drop(switchboard);
        assert!(decisions.next().await.is_none());
    });
}

#[test]
fn a_watch_that_is_dropped_is_seen_to_end() {
    run(async || {
        let (decisions, switchboard) = watch().await;
        drop(decisions);
        assert!(switchboard.receive().await.unwrap().is_none());
    });
}
