//! Every way in which a request fails, and what becomes of the handle.

use crate::fake::{Switchboard, ends, is_closed, labels, passenger, run};
use capability::{Constraint, Grant, Labels, Pattern, Refusal, Right};
use client::{Handle, ProtocolError, RequestError};
use protocol::Message;
use protocol::message::{Failure, RequestId, Response, ResponseBody};
use std::os::fd::AsFd;

/// The handle answers as before.
async fn goes_on(handle: &Handle, switchboard: &Switchboard) {
    let answer = ResponseBody::Addresses(Vec::new());
    let (resolved, _) = tokio::join!(handle.resolve("db"), switchboard.answer(answer, None));
    assert!(resolved.is_ok(), "{resolved:?}");
}

#[test]
fn a_refusal_says_why_and_the_handle_goes_on() {
    run(async || {
        let (handle, switchboard) = ends();
        let to = labels("db");
        for refusal in [Refusal::Grant, Refusal::NotFound, Refusal::Right { right: Right::List }] {
            let failed = ResponseBody::Failed(refusal.clone().into());
            let (outcome, _) = tokio::join!(handle.connect(&to), switchboard.answer(failed, None));
            let error = outcome.unwrap_err();
            assert!(matches!(&error, RequestError::Refused(why) if *why == refusal), "{error:?}");
        }
        goes_on(&handle, &switchboard).await;
    });
}

#[test]
fn a_fault_is_not_a_refusal() {
    run(async || {
        let (handle, switchboard) = ends();
        let to = labels("db");
        let failed = ResponseBody::Failed(Failure::Fault);
        let (outcome, _) = tokio::join!(handle.serve(&to), switchboard.answer(failed, None));
        assert!(matches!(outcome, Err(RequestError::Fault)), "{outcome:?}");
        goes_on(&handle, &switchboard).await;
    });
}

#[test]
fn a_host_name_that_is_none_is_refused_without_asking() {
    run(async || {
        let (handle, switchboard) = ends();
        let outcome = handle.resolve("not a name").await;
        let Err(RequestError::Refused(Refusal::Label { keys })) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(keys[0].as_str(), "server_hostname");
        drop(handle);
        assert!(switchboard.channel.receive().await.unwrap().is_none());
    });
}

#[test]
fn a_dead_switchboard_fails_what_waits_and_what_comes_later() {
    run(async || {
        let (handle, switchboard) = ends();
        let (to, none) = (labels("db"), Labels::new());
        let die = async {
            switchboard.request().await;
            switchboard.request().await;
            drop(switchboard);
        };
        let (connect, list, ()) = tokio::join!(handle.connect(&to), handle.list(&none), die);
        assert!(matches!(connect, Err(RequestError::Gone)), "{connect:?}");
        assert!(matches!(list, Err(RequestError::Gone)), "{list:?}");
        let later = handle.connect(&to).await;
        assert!(matches!(later, Err(RequestError::Gone)), "{later:?}");
        let (socket, mut other_end) = passenger();
        let later = handle.push(&to, socket.as_fd(), Vec::new()).await;
        assert!(matches!(later, Err(RequestError::Gone)), "{later:?}");
        drop(socket);
        assert!(is_closed(&mut other_end));
    });
}

#[test]
fn a_switchboard_that_died_before_anything_was_asked_is_gone() {
    run(async || {
        let (handle, switchboard) = ends();
        drop(switchboard);
        let outcome = handle.resolve("db").await;
        assert!(matches!(outcome, Err(RequestError::Gone)), "{outcome:?}");
    });
}

#[test]
fn what_was_answered_before_the_switchboard_died_arrives() {
    run(async || {
        let (handle, switchboard) = ends();
        let to = labels("db");
        let (socket, _other_end) = passenger();
        let answer_and_die = async {
            let (id, _, _) = switchboard.request().await;
            switchboard.respond(id, ResponseBody::Connected(labels("db")), Some(socket)).await;
            drop(switchboard);
        };
        let (connection, ()) = tokio::join!(handle.connect(&to), answer_and_die);
        assert!(connection.is_ok());
    });
}

/// Sends `bytes` in answer to a connect, and says how that ended.
async fn let_down(bytes: impl FnOnce(RequestId) -> Vec<u8>, carries: bool) -> RequestError {
    let (handle, switchboard) = ends();
    let (socket, mut other_end) = passenger();
    let to = labels("db");
    let answer = async {
        let (id, _, _) = switchboard.request().await;
        let gift = carries.then(|| socket.as_fd());
        fdpass::send(switchboard.channel.as_fd(), &bytes(id), gift.as_slice()).unwrap();
        drop(socket);
    };
    let (outcome, ()) = tokio::join!(handle.connect(&to), answer);
    assert!(is_closed(&mut other_end));
    outcome.unwrap_err()
}

fn response(id: u64, body: ResponseBody) -> Vec<u8> {
    let id = RequestId(id);
    Response { id, body }.encode().unwrap()
}

#[test]
fn a_switchboard_that_breaks_the_protocol_is_found_out() {
    run(async || {
        let connected = || ResponseBody::Connected(labels("db"));
        let noise = let_down(|_| b"HTTP/1.1 400".to_vec(), true).await;
        let naked = let_down(|id| response(id.0, connected()), false).await;
        let stranger = let_down(|id| response(id.0 + 1, connected()), true).await;
        let other = let_down(|id| response(id.0, ResponseBody::Handle), true).await;
        let listing = |id: RequestId, last| {
            let targets = Vec::new();
            response(id.0, ResponseBody::Listing { targets, last })
        };
        let listed = let_down(|id| listing(id, true), false).await;
        let listed_by_stranger = let_down(|id| listing(RequestId(id.0 + 1), false), false).await;

        let cause = |error: &RequestError| match error {
            RequestError::Protocol(cause) => match **cause {
                ProtocolError::Receive(_) => "receive",
                ProtocolError::UnknownRequest { .. } => "unknown",
                ProtocolError::WrongResponse { .. } => "wrong",
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [&noise, &naked, &stranger, &other, &listed, &listed_by_stranger].map(cause),
            ["receive", "receive", "unknown", "wrong", "wrong", "unknown"]
        );
    });
}

#[test]
fn after_the_protocol_was_broken_every_request_says_so() {
    run(async || {
        let (handle, switchboard) = ends();
        let noise = async {
            switchboard.request().await;
            fdpass::send(switchboard.channel.as_fd(), b"noise", &[]).unwrap();
        };
        let (first, ()) = tokio::join!(handle.resolve("db"), noise);
        assert!(matches!(first, Err(RequestError::Protocol(_))), "{first:?}");
        let later = handle.resolve("db").await;
        assert!(matches!(later, Err(RequestError::Protocol(_))), "{later:?}");
    });
}

#[test]
fn a_request_too_long_is_not_sent_and_the_handle_goes_on() {
    run(async || {
        let (handle, switchboard) = ends();
        let value = "v".repeat(255);
        let grant = (0..30).fold(Grant::new(Right::ClientConnect), |grant, index| {
            grant.with(&format!("k{index}"), Pattern::exact(&value).unwrap()).unwrap()
        });
        let constraint = Constraint { grants: Some(vec![grant; 256]), ..Constraint::default() };
        let outcome = handle.constrain(&constraint).await;
        assert!(matches!(outcome, Err(RequestError::Unsendable(_))), "{outcome:?}");
        goes_on(&handle, &switchboard).await;
    });
}

#[test]
fn a_descriptor_that_is_no_socket_is_no_handle_and_no_channel() {
    run(async || {
        assert!(Handle::new(passenger().0).is_err());
        let (handle, switchboard) = ends();
        let to = labels("db");
        let started = switchboard.answer(ResponseBody::Started, Some(passenger().0));
        let (outcome, _) = tokio::join!(handle.serve(&to), started);
        assert!(matches!(outcome, Err(RequestError::Io(_))), "{outcome:?}");
        goes_on(&handle, &switchboard).await;
    });
}
