//! Bytes that are no message: the handle that sent them is closed, what came with them is closed, and everybody else is
//! undisturbed.

use capability::Labels;
use client::Handle;
use cord_tests::board::{Board, labels};
use cord_tests::wait;
use protocol::Message;
use protocol::message::{Request, RequestBody, RequestId, Response};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A switchboard with a server, and a client that nobody should be able to disturb.
struct Witness {
    board: Board,
    root: Handle,
    server: client::Server,
    descriptors: usize,
}

impl Witness {
    async fn start() -> Self {
        let board = Board::start();
        let root = board.handle();
        let server = root.serve(&labels([("service", "db")])).await.unwrap();
        let descriptors = settled(&board, &root).await;
        let witness = Self { board, root, server, descriptors };
        witness.expect_undisturbed().await;
        witness
    }

    async fn expect_undisturbed(&self) {
        drop(self.root.connect(&labels([("service", "db")])).await.unwrap());
        drop(self.server.accept().await.unwrap());
        self.board.wait_for_descriptors(self.descriptors);
    }
}

/// How many descriptors the switchboard has open. It keeps its copy of one that it hands over until just after, so this
/// asks it for something else before it counts.
pub(crate) async fn settled(board: &Board, root: &Handle) -> usize {
    root.list(&Labels::new()).await.unwrap();
    board.descriptors()
}

/// Sends packets through a handle of their own, and expects that it is closed and nothing else happens.
fn closes_the_handle(packets: &[(&[u8], usize)]) {
    wait::run(async {
        let witness = Witness::start().await;
        let handle = witness.board.connect();
        for (bytes, descriptors) in packets {
            send_anything(&handle, bytes, *descriptors);
        }
        expect_closed(&handle);
        drop(handle);
        witness.expect_undisturbed().await;
    });
}

/// Sends a packet whatever it is. That the handle is closed already is no fault.
pub(crate) fn send_anything(handle: &OwnedFd, bytes: &[u8], count: usize) {
    let gift = std::fs::File::open("/dev/null").unwrap();
    let gifts: Vec<BorrowedFd<'_>> = std::iter::repeat_n(gift.as_fd(), count).collect();
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(count == 0 || control.push(SendAncillaryMessage::ScmRights(&gifts)));
    let _ = rustix::net::sendmsg(handle, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
}

/// Waits until the other end has closed it.
pub(crate) fn expect_closed(handle: &OwnedFd) {
    wait::until("the handle's end", || {
        let mut buffer = vec![0; protocol::MAX_MESSAGE_BYTES];
        match fdpass::receive(handle.as_fd(), &mut buffer, 1) {
            Ok(packet) => packet.length == 0,
            Err(fdpass::ReceiveError::Empty) => false,
            // Closed before it had read everything.
            Err(_) => true,
        }
    });
}

/// The next response on a raw handle.
pub(crate) fn receive_response(handle: &OwnedFd) -> Response {
    wait::for_some("a response", || {
        let mut buffer = vec![0; protocol::MAX_MESSAGE_BYTES];
        match fdpass::receive(handle.as_fd(), &mut buffer, 1) {
            Ok(packet) => Some(Response::decode(&buffer[..packet.length]).unwrap()),
            Err(fdpass::ReceiveError::Empty) => None,
            Err(error) => panic!("{error}"),
        }
    })
}

pub(crate) fn request(id: u64, body: RequestBody) -> Vec<u8> {
    Request { id: RequestId(id), body }.encode().unwrap()
}

/// The bytes of a client-connect whose one label has a value of this many bytes, which no value may have.
pub(crate) fn with_long_value(length: usize) -> Vec<u8> {
    client_connect(7, &[("service", &"x".repeat(length))])
}

/// The bytes of a client-connect with these labels, whether there are such labels or not.
pub(crate) fn client_connect(id: u8, pairs: &[(&str, &str)]) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let mut bytes = vec![number << 3 | 2];
        let mut rest = content.len();
        while rest >= 0x80 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes.extend_from_slice(content);
        bytes
    };
    // ClientConnect { out_labels: [Label { key, value }] } in field 3 of Request { id }, a number below 128.
    let label =
        |(key, value): &(&str, &str)| field(1, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let labels: Vec<u8> = pairs.iter().flat_map(label).collect();
    [vec![1 << 3, id], field(3, &labels)].concat()
}

#[test]
fn the_bytes_made_by_hand_are_right() {
    let good = request(7, RequestBody::ClientConnect(labels([("service", "x".repeat(200).as_str())])));
    assert_eq!(with_long_value(200), good);
}

#[test]
fn bytes_that_are_no_message() {
    closes_the_handle(&[(&[0xff; 100], 0)]);
    closes_the_handle(&[(b"GET / HTTP/1.1\r\n\r\n", 0)]);
    closes_the_handle(&[(&[0], 0)]);
}

#[test]
fn an_empty_packet() {
    closes_the_handle(&[(b"", 0)]);
    closes_the_handle(&[(b"", 1)]);
}

#[test]
fn a_request_that_asks_nothing() {
    // Only an id.
    closes_the_handle(&[(&[1 << 3, 7], 0)]);
}

#[test]
fn a_request_with_garbage_behind_it() {
    let mut bytes = request(1, RequestBody::List(Labels::new()));
    bytes.extend([0xff; 20]);
    closes_the_handle(&[(&bytes, 0)]);
}

#[test]
fn a_request_that_is_cut_short() {
    let bytes = request(1, RequestBody::ClientConnect(labels([("service", "db")])));
    for length in 1..bytes.len() {
        let whole_fields = Request::decode(&bytes[..length]).is_ok();
        assert!(!whole_fields, "{length}");
    }
    closes_the_handle(&[(&bytes[..bytes.len() - 1], 0)]);
    closes_the_handle(&[(&bytes[..bytes.len() / 2], 0)]);
}

#[test]
fn too_long_a_message() {
    closes_the_handle(&[(&vec![0; protocol::MAX_MESSAGE_BYTES + 1], 0)]);
    closes_the_handle(&[(&vec![0; 150_000], 1)]);
    // A request that is sound but for its length.
    closes_the_handle(&[(&with_long_value(protocol::MAX_MESSAGE_BYTES), 0)]);
}

#[test]
fn too_many_descriptors() {
    let bytes = request(1, RequestBody::IngressConnect { labels: labels([("service", "db")]), datagrams: Vec::new() });
    for count in [2, 4, 5, 6, 100, 253] {
        closes_the_handle(&[(&bytes, count)]);
    }
}

#[test]
fn another_number_of_descriptors_than_the_message_carries() {
    closes_the_handle(&[(
        &request(1, RequestBody::IngressConnect { labels: labels([("service", "db")]), datagrams: Vec::new() }),
        0,
    )]);
    closes_the_handle(&[(&request(1, RequestBody::List(Labels::new())), 1)]);
    closes_the_handle(&[(&request(1, RequestBody::ClientConnect(labels([("service", "db")]))), 1)]);
}

#[test]
fn good_requests_before_the_bad_one_are_answered() {
    wait::run(async {
        let witness = Witness::start().await;
        let handle = witness.board.connect();
        send_anything(&handle, &request(1, RequestBody::List(Labels::new())), 0);
        send_anything(&handle, &[0xff; 10], 0);
        assert_eq!(receive_response(&handle).id, RequestId(1));
        expect_closed(&handle);
        drop(handle);
        witness.expect_undisturbed().await;
    });
}

#[test]
fn a_request_number_that_is_in_use() {
    wait::run(async {
        let witness = Witness::start().await;
        // An egress that never answers, so that the first request waits.
        let egress = witness.root.egress_start(&labels([("network", "outside")])).await.unwrap();
        let outside = labels([
            ("transport", "tcp"),
            ("network", "outside"),
            ("server_address", "127.0.0.1"),
            ("server_port", "9"),
        ]);
        let handle = witness.board.connect();
        send_anything(&handle, &request(5, RequestBody::ClientConnect(outside.clone())), 0);
        // A request of another number tells that the first is waiting: answers come in order of the deciding.
        send_anything(&handle, &request(6, RequestBody::List(Labels::new())), 0);
        assert_eq!(receive_response(&handle).id, RequestId(6));
        send_anything(&handle, &request(5, RequestBody::ClientConnect(outside)), 0);
        expect_closed(&handle);
        drop((handle, egress));
        witness.expect_undisturbed().await;
    });
}

#[test]
fn a_target_that_answers_what_nobody_asked_is_closed() {
    wait::run(async {
        let witness = Witness::start().await;
        let raw = witness.board.connect();
        let start = RequestBody::EgressStart(labels([("network", "outside")]));
        send_anything(&raw, &request(1, start), 0);
        let channel = receive_descriptor(&raw);
        send_anything(&channel, &[0xff; 30], 0);
        expect_closed(&channel);
        drop((raw, channel));
        witness.expect_undisturbed().await;
        assert_eq!(witness.root.list(&Labels::new()).await.unwrap().len(), 1, "only the witness's own server");
    });
}

pub(crate) fn receive_descriptor(handle: &OwnedFd) -> OwnedFd {
    wait::for_some("a response with a descriptor", || {
        let mut buffer = vec![0; protocol::MAX_MESSAGE_BYTES];
        match fdpass::receive(handle.as_fd(), &mut buffer, 1) {
            Ok(packet) => packet.descriptors.unwrap().pop(),
            Err(fdpass::ReceiveError::Empty) => None,
            Err(error) => panic!("{error}"),
        }
    })
}

#[test]
fn random_bytes_with_descriptors_from_many_handles_at_once() {
    wait::run(async {
        let witness = Witness::start().await;
        let mut random = 42_u64;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        for round in 0..300 {
            let handle = witness.board.connect();
            for _ in 0..=next(3) {
                let length = next(200);
                let bytes: Vec<u8> = (0..length).map(|_| next(256) as u8).collect();
                send_anything(&handle, &bytes, next(4));
            }
            drop(handle);
            if round % 50 == 0 {
                witness.expect_undisturbed().await;
            }
        }
        witness.expect_undisturbed().await;
    });
}
