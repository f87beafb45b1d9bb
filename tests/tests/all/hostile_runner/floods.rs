//! How much a runner that asks without end, or reads nothing, can make the switchboard keep; and that others go on.

use super::{Rival, weaker};
use crate::hostile_wire::request;
use capability::{Constraint, LimitKind, Refusal, Right};
use client::{Handle, RequestError};
use cord_tests::board::{Board, labels};
use cord_tests::process::{descriptors, written_bytes};
use cord_tests::runner::Brokered;
use cord_tests::servers::{LOOPBACK, Listener};
use cord_tests::wait;
use protocol::message::RequestBody;
use std::os::fd::{AsFd, OwnedFd};

/// For five hundred handles, what waits to be sent to each, and one message at a time. Kept would be far more: a flood
/// is some hundred megabytes a second.
const MOST_BYTES: u64 = 16 << 20;

/// Answers with a socket that wait for a handle before no more is read from it (16), what was asked by then and is being
/// dialled, and the handle itself with what waits until it can be written to.
const MOST_WAITING: usize = 64;

#[test]
fn a_flood_is_kept_nowhere_and_others_go_on() {
    for kind in ["one", "many", "deaf", "large"] {
        let board = Board::start();
        let pid = board.process().pid();
        let _ = Rival::measure(&board, "100");
        let (memory, open) = (written_bytes(pid), board.descriptors());
        let flooder = Rival::flood(&board, kind);
        for _ in 0..5 {
            let _ = Rival::measure(&board, "200");
            let now = written_bytes(pid);
            assert!(now < memory + MOST_BYTES, "{kind}: {memory} bytes before, {now} under the flood");
            // 501 handles, and what the switchboard needs to wait until one may be written to.
            assert!(board.descriptors() <= open + 1100, "{kind}: {} descriptors", board.descriptors());
        }
        drop(flooder);
        board.wait_for_descriptors(open);
    }
}

#[test]
fn handles_are_given_up_to_a_limit_and_others_get_theirs() {
    wait::run(async {
        let board = Board::start();
        let hoarder = Handle::new(weaker(&board).await).unwrap();
        let open = board.descriptors();
        let none = Constraint { grants: Some(Vec::new()), ..Constraint::default() };
        let mut hoard = Vec::new();
        let refused = loop {
            match hoarder.constrain(&none).await {
                Ok(handle) => hoard.push(handle),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, RequestError::Refused(Refusal::Limit { limit: LimitKind::Handles })), "{refused:?}");
        assert!(board.descriptors() <= open + hoard.len() + 1);
        let other = Handle::new(weaker(&board).await).unwrap();
        drop(other.constrain(&none).await.unwrap());
        drop((hoard, other));
        wait::until("the handles to be closed", || board.descriptors() <= open);
    });
}

#[test]
fn dialled_sockets_for_one_who_never_reads_are_bounded_and_others_still_connect() {
    wait::run(async {
        let listener = Listener::at(LOOPBACK);
        let port = listener.port();
        std::thread::spawn(move || {
            loop {
                drop(listener.accept());
            }
        });
        let broker = Brokered::start(&[&format!("--connect=127.0.0.1:{port}")]);
        let asked = labels([
            ("network", "outside"),
            ("transport", "tcp"),
            ("server_address", "127.0.0.1"),
            ("server_port", port.as_str()),
        ]);
        let pid = broker.process().pid();
        let guest = Handle::new(broker.guest().await).unwrap();
        let other = Handle::new(broker.guest().await).unwrap();
        // Now the broker has all that it needs itself.
        drop(other.connect(&asked).await.unwrap());
        let open = descriptors(pid);
        let rights = [Right::ClientConnect].into_iter().collect();
        let mut deaf: Vec<OwnedFd> = Vec::new();
        for _ in 0..12 {
            deaf.push(guest.constrain(&Constraint { rights, ..Constraint::default() }).await.unwrap());
        }
        // Until none of them is read from any more.
        let mut packets = (0..).map(|id| request(id, RequestBody::ClientConnect(asked.clone())));
        let mut sent = 0;
        loop {
            let before = sent;
            for handle in (0..20).flat_map(|_| &deaf) {
                sent += usize::from(fdpass::send(handle.as_fd(), &packets.next().unwrap(), &[]).is_ok());
            }
            if sent == before {
                break;
            }
            (0..20).for_each(|_| wait::moment());
        }
        // Another guest of the same broker connects all the same.
        let mut most = 0;
        for _ in 0..300 {
            match other.connect(&asked).await {
                Ok(connection) => drop(connection),
                // The one egress is shared: it has its own limit.
                Err(RequestError::Refused(Refusal::Limit { limit: LimitKind::Backlog })) => wait::moment(),
                Err(error) => panic!("{error:?}"),
            }
            most = most.max(descriptors(pid));
        }
        assert!(most <= open + deaf.len() * MOST_WAITING, "{sent} requests: {most} descriptors, {open} without");
        drop(other.connect(&asked).await.unwrap());
        drop((deaf, guest, other));
        wait::until("the sockets to be closed", || descriptors(pid) <= open);
    });
}
