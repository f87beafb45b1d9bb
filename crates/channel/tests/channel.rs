//! Messages over real socket pairs: order, waiting, and every way in which a peer does not keep to the protocol. Each
//! test compares this process's descriptors before and after.

#![expect(clippy::unwrap_used, reason = "what a helper cannot set up fails the test")]

use capability::{LabelKey, Labels, Refusal};
use channel::{Channel, ReceiveError, SendError};
use protocol::Message;
use protocol::message::{Call, CallId, Reply, ReplyBody, Request, RequestBody, RequestId, Response, ResponseBody};
use std::convert::Infallible;
use std::io::{ErrorKind, Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

type Switchboard = Channel<Request, Response>;
type Client = Channel<Response, Request>;

/// Descriptors are counted for the whole process, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn count_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs a test alone on a runtime of its own, and holds it to the descriptors that were there before.
fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let _alone: MutexGuard<'_, ()> = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The first runtime of a process makes descriptors that stay, if another crate of the build wants signals of it.
    drop(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());
    let before = count_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test()).await.unwrap() });
    drop(runtime);
    assert_eq!(count_descriptors(), before);
}

fn labels(value: &str) -> Labels {
    Labels::try_from_pairs([("service", value)]).unwrap()
}

fn push_body(labels: Labels) -> RequestBody {
    RequestBody::IngressConnect { labels, datagrams: Vec::new() }
}

fn request(id: u64, body: fn(Labels) -> RequestBody) -> Request {
    Request { id: RequestId(id), body: body(labels("db")) }
}

fn ends() -> (Client, Switchboard) {
    let (near, far) = fdpass::pair().unwrap();
    (Channel::new(near).unwrap(), Channel::new(far).unwrap())
}

/// A switchboard's end, and the bare socket of a peer that sends what it likes.
fn bare() -> (OwnedFd, Switchboard) {
    let (near, far) = fdpass::pair().unwrap();
    (near, Channel::new(far).unwrap())
}

/// A descriptor to pass, and the end that tells whether it was closed.
fn passenger() -> (OwnedFd, impl FnOnce()) {
    let (mut reader, writer) = pipe().unwrap();
    let is_closed = move || {
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
        assert!(matches!(reader.read(&mut [0]), Ok(0)), "still open");
    };
    (writer.into(), is_closed)
}

#[test]
fn messages_arrive_in_order_with_what_they_carry() {
    run(async || {
        let (client, switchboard) = ends();
        let (descriptor, is_closed) = passenger();
        let plain = request(1, RequestBody::ClientConnect);
        let carrying = request(2, push_body);
        client.send(&plain, None).await.unwrap();
        client.send(&carrying, Some(descriptor.as_fd())).await.unwrap();
        drop(descriptor);
        let (first, nothing) = switchboard.receive().await.unwrap().unwrap();
        assert_eq!(first, plain);
        assert!(nothing.is_none());
        let (second, carried) = switchboard.receive().await.unwrap().unwrap();
        assert_eq!(second, carrying);
        drop(carried.unwrap());
        is_closed();
        drop(client);
        assert!(switchboard.receive().await.unwrap().is_none());
        assert!(switchboard.receive().await.unwrap().is_none());
    });
}

#[test]
fn a_message_is_never_sent_with_the_wrong_number_of_descriptors() {
    run(async || {
        let (client, switchboard) = ends();
        let (descriptor, _) = passenger();
        let push = request(1, push_body);
        let connect = request(2, RequestBody::ClientConnect);
        let none = client.try_send(&push, None).unwrap_err();
        assert!(matches!(none, SendError::WrongDescriptors { expected: 1, given: 0 }), "{none:?}");
        let one = client.send(&connect, Some(descriptor.as_fd())).await.unwrap_err();
        assert!(matches!(one, SendError::WrongDescriptors { expected: 0, given: 1 }), "{one:?}");
        drop(client);
        assert!(switchboard.receive().await.unwrap().is_none());
    });
}

#[test]
fn a_message_with_the_wrong_number_of_descriptors_is_refused_and_they_are_closed() {
    run(async || {
        let (peer, switchboard) = bare();
        let (descriptor, is_closed) = passenger();
        let connect = request(1, RequestBody::ClientConnect).encode().unwrap();
        fdpass::send(peer.as_fd(), &connect, &[descriptor.as_fd()]).unwrap();
        drop(descriptor);
        let error = switchboard.receive().await.unwrap_err();
        assert!(matches!(error, ReceiveError::WrongDescriptors { expected: 0, received: 1 }), "{error:?}");
        assert!(!error.is_about_one_message());
        is_closed();

        let push = request(2, push_body).encode().unwrap();
        fdpass::send(peer.as_fd(), &push, &[]).unwrap();
        let error = switchboard.receive().await.unwrap_err();
        assert!(matches!(error, ReceiveError::WrongDescriptors { expected: 1, received: 0 }), "{error:?}");
    });
}

#[test]
fn too_many_descriptors_are_refused_and_closed() {
    run(async || {
        let (peer, switchboard) = bare();
        let (descriptor, is_closed) = passenger();
        let push = request(1, push_body).encode().unwrap();
        fdpass::send(peer.as_fd(), &push, &[descriptor.as_fd(), descriptor.as_fd()]).unwrap();
        drop(descriptor);
        let error = switchboard.receive().await.unwrap_err();
        assert!(matches!(error, ReceiveError::TooManyDescriptors), "{error:?}");
        is_closed();
    });
}

#[test]
fn bytes_that_are_no_message_are_refused_and_what_came_with_them_is_closed() {
    run(async || {
        let (peer, switchboard) = bare();
        let (descriptor, is_closed) = passenger();
        fdpass::send(peer.as_fd(), b"GET / HTTP/1.1\r\n", &[descriptor.as_fd()]).unwrap();
        drop(descriptor);
        let error = switchboard.receive().await.unwrap_err();
        assert!(matches!(error, ReceiveError::Malformed(_)), "{error:?}");
        is_closed();
    });
}

#[test]
fn a_packet_longer_than_a_message_is_refused_and_what_came_with_it_is_closed() {
    run(async || {
        let (peer, switchboard) = bare();
        let (descriptor, is_closed) = passenger();
        let long = vec![0; protocol::MAX_MESSAGE_BYTES + 1];
        fdpass::send(peer.as_fd(), &long, &[descriptor.as_fd()]).unwrap();
        drop(descriptor);
        let error = switchboard.receive().await.unwrap_err();
        assert!(matches!(error, ReceiveError::TooLong), "{error:?}");
        is_closed();
    });
}

#[test]
fn an_invalid_request_names_its_refusal_and_the_channel_goes_on() {
    run(async || {
        let (peer, switchboard) = bare();
        let (descriptor, is_closed) = passenger();
        let good = Request { id: RequestId(9), body: push_body(labels("db")) };
        let mut bad = good.encode().unwrap();
        // The last byte is the last of the label's value.
        *bad.last_mut().unwrap() = 0;
        fdpass::send(peer.as_fd(), &bad, &[descriptor.as_fd()]).unwrap();
        let error = switchboard.receive().await.unwrap_err();
        assert!(error.is_about_one_message());
        let ReceiveError::Invalid { id, request, refusal } = error else {
            panic!("{error:?}");
        };
        assert_eq!((id, request), (good.id, good.body.name()));
        let keys = vec![LabelKey::new("service").unwrap()];
        assert_eq!(refusal, Refusal::Label { keys });

        fdpass::send(peer.as_fd(), &good.encode().unwrap(), &[descriptor.as_fd()]).unwrap();
        drop(descriptor);
        let (request, carried) = switchboard.receive().await.unwrap().unwrap();
        assert_eq!(request, good);
        drop(carried);
        is_closed();
    });
}

#[test]
fn a_direction_in_which_nothing_is_said_takes_nothing() {
    run(async || {
        let (near, far) = fdpass::pair().unwrap();
        let silent = Channel::<Infallible, Response>::new(far).unwrap();
        fdpass::send(near.as_fd(), b"hello", &[]).unwrap();
        let error = silent.receive().await.unwrap_err();
        assert!(matches!(error, ReceiveError::Malformed(_)), "{error:?}");
        drop(near);
        assert!(silent.receive().await.unwrap().is_none());
    });
}

#[test]
fn a_peer_that_does_not_read_makes_send_wait_and_try_send_fail() {
    run(async || {
        let (client, switchboard) = ends();
        let response = |id| Response { id: RequestId(id), body: ResponseBody::Delivered(labels(&"v".repeat(255))) };
        let mut sent = 0;
        let error = loop {
            match switchboard.try_send(&response(sent), None) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SendError::Full), "{error:?}");
        // Given up while it waits, nothing of it is sent.
        let never_sent = response(u64::MAX);
        let abandoned = switchboard.send(&never_sent, None);
        assert!(tokio::time::timeout(Duration::from_millis(20), abandoned).await.is_err());

        // Several wait at once; each is sent once the peer reads.
        let (first, second) = (response(sent), response(sent + 1));
        let sends = async { tokio::join!(switchboard.send(&first, None), switchboard.send(&second, None)) };
        let reads = async {
            let mut ids = Vec::new();
            for _ in 0..sent + 2 {
                ids.push(client.receive().await.unwrap().unwrap().0.id.0);
            }
            ids
        };
        let (sent_both, mut ids) = tokio::join!(sends, reads);
        assert!(sent_both.0.is_ok() && sent_both.1.is_ok());
        ids.sort_unstable();
        assert_eq!(ids, (0..sent + 2).collect::<Vec<_>>());
    });
}

#[test]
fn a_sender_that_waits_learns_that_the_peer_is_gone() {
    run(async || {
        let (client, switchboard) = ends();
        let message = request(1, RequestBody::List);
        while client.try_send(&message, None).is_ok() {}
        let waiting = client.send(&message, None);
        let gone = async { drop(switchboard) };
        let (outcome, ()) = tokio::join!(waiting, gone);
        let error = outcome.unwrap_err();
        assert!(matches!(error, SendError::Gone), "{error:?}");
        let error = client.try_send(&message, None).unwrap_err();
        assert!(matches!(error, SendError::Gone), "{error:?}");
    });
}

#[test]
fn a_receive_that_is_given_up_loses_no_message() {
    run(async || {
        let (client, switchboard) = ends();
        for id in 0..20 {
            let receive = switchboard.receive();
            assert!(tokio::time::timeout(Duration::ZERO, receive).await.is_err());
            client.send(&request(id, RequestBody::List), None).await.unwrap();
            let (request, _) = switchboard.receive().await.unwrap().unwrap();
            assert_eq!(request.id.0, id);
        }
    });
}

#[test]
fn many_tasks_send_on_one_channel() {
    run(async || {
        let (client, switchboard) = ends();
        let client = std::sync::Arc::new(client);
        let mut senders = JoinSet::new();
        for id in 0..500 {
            let client = std::sync::Arc::clone(&client);
            senders.spawn(async move { client.send(&request(id, RequestBody::List), None).await.unwrap() });
        }
        let mut ids = Vec::new();
        for _ in 0..500 {
            ids.push(switchboard.receive().await.unwrap().unwrap().0.id.0);
        }
        senders.join_all().await;
        ids.sort_unstable();
        assert_eq!(ids, (0..500).collect::<Vec<_>>());
    });
}

#[test]
fn calls_and_replies_cross_a_target_channel() {
    run(async || {
        let (near, far) = fdpass::pair().unwrap();
        let switchboard = Channel::<Reply, Call>::new(near).unwrap();
        let egress = Channel::<Call, Reply>::new(far).unwrap();
        let id = CallId(3);
        let call = Call::Dial { id, labels: labels("db"), scope: capability::AddressScope::default() };
        switchboard.send(&call, None).await.unwrap();
        assert_eq!(egress.receive().await.unwrap().unwrap().0, call);
        let (descriptor, is_closed) = passenger();
        let reply = Reply { id, body: ReplyBody::Dialled(labels("db")) };
        egress.send(&reply, Some(descriptor.as_fd())).await.unwrap();
        drop(descriptor);
        let (answer, carried) = switchboard.receive().await.unwrap().unwrap();
        assert_eq!(answer, reply);
        drop(carried.unwrap());
        is_closed();
    });
}

#[test]
fn only_a_seqpacket_socket_becomes_a_channel() {
    run(async || {
        let (reader, _writer) = pipe().unwrap();
        let error = Switchboard::new(reader.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}
