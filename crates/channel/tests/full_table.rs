//! A process whose descriptor table is full: the message is known, what it carried is lost, and the channel goes on.
//! Alone in its program, because the limit holds for all of it.

use channel::{Channel, ReceiveError};
use protocol::message::{Request, RequestBody, RequestId, Response};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::fd::{AsFd, OwnedFd};

#[tokio::test]
async fn a_full_table_loses_a_descriptor_and_not_the_channel() {
    let (near, far) = fdpass::pair().unwrap();
    let client = Channel::<Response, Request>::new(near).unwrap();
    let switchboard = Channel::<Request, Response>::new(far).unwrap();
    let limit = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut fill = Vec::<OwnedFd>::new();
    while let Ok(another) = client.as_fd().try_clone_to_owned() {
        fill.push(another);
    }

    let push = Request {
        id: RequestId(5),
        body: RequestBody::IngressConnect { labels: capability::Labels::new(), datagrams: Vec::new() },
    };
    client.send(&push, Some(client.as_fd())).await.unwrap();
    let error = switchboard.receive().await.unwrap_err();
    assert!(matches!(error, ReceiveError::OutOfDescriptors { id: Some(5) }), "{error:?}");
    assert!(error.is_about_one_message());

    fill.pop();
    client.send(&push, Some(client.as_fd())).await.unwrap();
    let (request, descriptor) = switchboard.receive().await.unwrap().unwrap();
    assert_eq!(request, push);
    assert!(descriptor.is_some());
}
