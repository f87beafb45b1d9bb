//! What is no honest packet: the handle it came through is closed, with what it carried; it is told in the log, by the
//! name of who sent it; and nobody else notices, not even another handle of the same runner.

use super::Liar;
use crate::hostile_wire::{expect_closed, receive_response, request, send_anything};
use capability::{Constraint, Labels, Refusal, Right};
use cord_tests::board::labels;
use cord_tests::process::descriptors;
use cord_tests::wait;
use protocol::message::{RequestBody, RequestId, ResponseBody};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// What the broker says of a handle that it closed.
const COMPLAINT: &str = "handle closed: its other end broke the protocol";

fn connect() -> RequestBody {
    RequestBody::ClientConnect(labels([("network", "bank")]))
}

/// Sends packets, each with so many descriptors, through a handle of a guest of its own.
fn expect_breach(packets: &[(Vec<u8>, usize)]) {
    wait::run(async {
        let liar = Liar::start(&["--connect=127.0.0.1:22"]).await;
        let pid = liar.broker.process().pid();
        let open = descriptors(pid);
        let raw = liar.broker.guest().await;
        for (bytes, count) in packets {
            send_anything(&raw, bytes, *count);
        }
        expect_closed(&raw);
        drop(raw);
        liar.broker.process().wait_for_stderr(COMPLAINT);
        let said = liar.broker.process().stderr();
        assert!(said.contains("client_service=cart"), "{said}");
        liar.expect_allowed("constrain").await;
        let answer = liar.handle.connect(&labels([("network", "bank")])).await;
        liar.expect_refused("client-connect", answer, Refusal::Grant).await;
        wait::until("the descriptors to be closed", || descriptors(pid) <= open);
    });
}

#[test]
fn descriptors_of_its_own_with_a_request_that_carries_none() {
    for count in [1, 2, 253] {
        expect_breach(&[(request(1, connect()), count)]);
    }
}

#[test]
fn bytes_that_are_no_request_or_too_many() {
    let mut behind = request(1, connect());
    behind.extend([0xff; 20]);
    let large = vec![0; protocol::MAX_MESSAGE_BYTES + 1];
    for (bytes, count) in [(vec![0xff; 100], 0), (vec![0xff; 100], 3), (behind, 0), (large, 1), (vec![1 << 3, 7], 0)] {
        expect_breach(&[(bytes, count)]);
    }
}

#[test]
fn a_descriptor_that_was_sent_along_is_closed_and_not_used() {
    wait::run(async {
        let liar = Liar::start(&["--connect=127.0.0.1:22"]).await;
        let raw = liar.broker.guest().await;
        liar.expect_allowed("constrain").await;
        // Even with a request that does carry one: it has no right to that.
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let body = RequestBody::IngressConnect { labels: Labels::new(), datagrams: Vec::new() };
        fdpass::send(raw.as_fd(), &request(1, body), &[far.as_fd()]).unwrap();
        let refusal = Refusal::Right { right: Right::IngressConnect };
        assert_eq!(receive_response(&raw).body, ResponseBody::Failed(refusal.clone().into()));
        liar.expect_told("ingress-connect", refusal).await;
        drop(far);
        wait::until("the end of what was sent along", || {
            std::io::Read::read(&mut &near, &mut [0]).is_ok_and(|n| n == 0)
        });
        // The handle lives on.
        fdpass::send(raw.as_fd(), &request(2, connect()), &[]).unwrap();
        assert_eq!(receive_response(&raw).id, RequestId(2));
    });
}

#[test]
fn a_number_that_waits_for_its_answer_said_again() {
    wait::run(async {
        // It resolves names, so that a request waits for somebody else.
        let liar = Liar::start(&["--connect=*.example.test:443"]).await;
        let raw = liar.broker.guest().await;
        liar.expect_allowed("constrain").await;
        let asked = labels([("network", "outside"), ("server_hostname", "www.example.test")]);
        // All at once, before any can have been looked up.
        for _ in 0..100 {
            send_anything(&raw, &request(5, RequestBody::Resolve(asked.clone())), 0);
        }
        expect_closed(&raw);
        liar.broker.process().wait_for_stderr(COMPLAINT);
        let said = liar.broker.process().stderr();
        assert!(said.contains("the number of a request is that of one that waits for its answer"), "{said}");
    });
}

#[test]
fn many_breaches_of_one_runner_are_few_lines_in_the_log_and_all_counted() {
    const BREACHES: usize = 300;
    wait::run(async {
        let liar = Liar::start(&["--connect=127.0.0.1:22"]).await;
        let mut breaches = 0;
        loop {
            let raw = liar.handle.constrain(&Constraint::default()).await.unwrap();
            send_anything(&raw, &[0xff; 10], 0);
            expect_closed(&raw);
            breaches += 1;
            let said = liar.broker.process().stderr();
            let told: Vec<&str> = said.lines().filter(|line| line.contains(COMPLAINT)).collect();
            // Each line ends with how many there were since the one before.
            let number = |line: &&str| line.rsplit(|char: char| !char.is_ascii_digit()).next()?.parse::<usize>().ok();
            let counted = told.len() + told.iter().filter_map(number).sum::<usize>();
            assert!(counted <= breaches && told.len() < BREACHES / 2, "{breaches} breaches: {said}");
            if counted >= BREACHES {
                break;
            }
        }
    });
}
