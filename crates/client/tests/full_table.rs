//! A process whose descriptor table is full: one request fails, and the handle goes on. Alone in its program, because
//! the limit holds for all of it.

use capability::Labels;
use channel::Channel;
use client::{Handle, RequestError};
use protocol::message::{Request, Response, ResponseBody};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsFd, OwnedFd};

#[tokio::test]
async fn a_full_table_fails_the_request_and_not_the_handle() {
    let (near, far) = fdpass::pair().unwrap();
    let handle = Handle::new(near).unwrap();
    let switchboard = Channel::<Request, Response>::new(far).unwrap();
    let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut fill = Vec::<OwnedFd>::new();
    while let Ok(another) = switchboard.as_fd().try_clone_to_owned() {
        fill.push(another);
    }

    let to = Labels::new();
    let answer = async || {
        let (request, _) = switchboard.receive().await.unwrap().unwrap();
        let body = ResponseBody::Connected(Labels::new());
        let response = Response { id: request.id, body };
        switchboard.send(&response, Some(switchboard.as_fd())).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(handle.connect(&to), answer());
    assert!(matches!(outcome, Err(RequestError::OutOfDescriptors)), "{outcome:?}");

    fill.pop();
    let (outcome, ()) = tokio::join!(handle.connect(&to), answer());
    assert!(outcome.is_ok(), "{outcome:?}");
}
