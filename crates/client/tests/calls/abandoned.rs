//! Requests that are given up: what comes for them later is closed.

use crate::fake::{ends, is_closed, labels, passenger, run};
use capability::Refusal;
use client::{MAX_REQUESTS_IN_FLIGHT, RequestError};
use protocol::message::{RequestBody, ResponseBody};
use std::time::Duration;
use tokio::task::JoinSet;

#[test]
fn a_connection_that_arrives_for_nobody_is_closed() {
    run(async || {
        let (handle, switchboard) = ends();
        let (socket, mut other_end) = passenger();
        let to = labels("given up");
        let id = tokio::select! {
            _ = handle.connect(&to) => panic!("not answered yet"),
            (id, _, _) = switchboard.request() => id,
        };
        switchboard.respond(id, ResponseBody::Connected(labels("x")), Some(socket)).await;
        // The next answer comes after that one.
        let wanted = labels("wanted");
        let answer = switchboard.answer(ResponseBody::Connected(labels("y")), Some(passenger().0));
        let (connection, asked) = tokio::join!(handle.connect(&wanted), answer);
        assert_eq!(asked, RequestBody::ClientConnect(labels("wanted")));
        assert_eq!(connection.unwrap().labels, labels("y"));
        assert!(is_closed(&mut other_end));
    });
}

#[test]
fn an_answer_that_was_on_its_way_to_its_asker_is_closed_with_it() {
    run(async || {
        let (handle, switchboard) = ends();
        let (socket, mut other_end) = passenger();
        let to = labels("db");
        {
            let mut connect = std::pin::pin!(handle.connect(&to));
            let id = tokio::select! {
                _ = &mut connect => panic!("not answered yet"),
                (id, _, _) = switchboard.request() => id,
            };
            switchboard.respond(id, ResponseBody::Connected(labels("x")), Some(socket)).await;
            // The reader has it, the asker has not looked.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(!is_closed(&mut other_end));
        }
        assert!(is_closed(&mut other_end));
    });
}

#[test]
fn requests_given_up_before_they_were_sent_never_were() {
    run(async || {
        let (handle, switchboard) = ends();
        // More than the socket holds: some wait for room.
        let mut askers = JoinSet::new();
        for _ in 0..1000 {
            let handle = handle.clone();
            askers.spawn(async move { handle.connect(&labels(&"v".repeat(255))).await });
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        askers.shutdown().await;

        let answer = || ResponseBody::Failed(Refusal::NotFound.into());
        let mut sent = 0;
        while let Ok((id, _, _)) = tokio::time::timeout(Duration::from_millis(50), switchboard.request()).await {
            switchboard.respond(id, answer(), None).await;
            sent += 1;
        }
        assert!((1..1000).contains(&sent), "{sent}");
        let to = labels("db");
        let (outcome, _) = tokio::join!(handle.connect(&to), switchboard.answer(answer(), None));
        assert!(matches!(outcome, Err(RequestError::Refused(Refusal::NotFound))), "{outcome:?}");
    });
}

#[test]
fn giving_up_makes_no_room_until_the_answer_came() {
    run(async || {
        let (handle, switchboard) = ends();
        let to = labels("db");
        let mut ids = Vec::new();
        for _ in 0..MAX_REQUESTS_IN_FLIGHT {
            tokio::select! {
                _ = handle.connect(&to) => panic!("not answered yet"),
                (id, _, _) = switchboard.request() => ids.push(id),
            }
        }
        let more = tokio::time::timeout(Duration::from_millis(20), handle.connect(&to)).await;
        assert!(more.is_err());
        for id in ids {
            switchboard.respond(id, ResponseBody::Connected(labels("x")), Some(passenger().0)).await;
        }
        let answer = switchboard.answer(ResponseBody::Connected(labels("y")), Some(passenger().0));
        let (connection, _) = tokio::join!(handle.connect(&to), answer);
        assert!(connection.is_ok());
    });
}
