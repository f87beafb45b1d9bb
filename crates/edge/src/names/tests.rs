//! Which names are asked for, of whom, and what of an answer is kept; no name server is asked.

use super::*;
use crate::testing::{alone, alone_on_paused_clock, ip, ips};
use std::sync::Mutex;
use std::sync::mpsc;
use tokio::task::yield_now;

fn nobody() -> Names {
    Names::answered_by(|name| async move { panic!("{name} was asked for") })
}

#[test]
fn only_real_host_names_are_asked_for() {
    let check = |name: &str, expected| assert_eq!(NameKind::of(name), expected, "{name}");
    for name in ["localhost", "a.localhost", "a.b.localhost"] {
        check(name, NameKind::Loopback);
    }
    for name in ["db", "localhost4", "com", "7f000001"] {
        check(name, NameKind::SingleWord);
    }
    for name in ["2130706433", "0x7f000001", "127.0.0.1", "127.1", "10.0x1", "a.example.0", "a.0x", "8.0X8", "a.017"] {
        check(name, NameKind::NoHost);
    }
    for name in ["example.com", "localhost.com", "a.localhost.com", "1.example", "a.0xg", "a.x1", "a.1a"] {
        check(name, NameKind::Host);
    }
}

#[test]
fn localhost_is_loopback_and_a_number_has_no_address_without_asking() {
    alone_on_paused_clock(async {
        for name in ["localhost", "db.localhost"] {
            assert_eq!(nobody().lookup(name).await, Ok(ips(&["127.0.0.1", "::1"])));
        }
        for name in ["2130706433", "127.1"] {
            assert_eq!(nobody().lookup(name).await, Err(unreachable(UnreachableCause::NameNotFound)));
        }
    });
}

#[test]
fn a_single_word_is_asked_for_with_a_final_dot() {
    alone_on_paused_clock(async {
        let names = Names::answered_by(|name| async move {
            assert_eq!(name, "db.");
            Ok(ips(&["192.0.2.1"]))
        });
        assert_eq!(names.lookup("db").await, Ok(ips(&["192.0.2.1"])));
    });
}

#[test]
fn an_answer_keeps_its_order_and_each_address_once() {
    let check = |given: &[&str], kept: &[&str]| assert_eq!(keep(ips(given)), Ok(ips(kept)));
    check(&["2001:db8::1", "192.0.2.1"], &["2001:db8::1", "192.0.2.1"]);
    check(&["192.0.2.2", "192.0.2.1", "192.0.2.2"], &["192.0.2.2", "192.0.2.1"]);
    check(&["::ffff:127.0.0.1", "127.0.0.1", "::1"], &["127.0.0.1", "::1"]);
}

#[test]
fn an_answer_without_an_address_is_no_answer() {
    assert_eq!(keep(Vec::new()), Err(unreachable(UnreachableCause::NameNotFound)));
}

#[test]
fn an_answer_is_bounded() {
    let many = (0..1000).map(|number| Ipv4Addr::from_bits(number).into()).collect();
    assert_eq!(keep(many).map(|kept| kept.len()), Ok(MAX_ADDRESSES));
}

/// The codes are those of `<netdb.h>` on Linux, the same for every C library there.
#[test]
fn the_codes_of_getaddrinfo_have_their_causes() {
    for (code, cause) in [
        (-2, UnreachableCause::NameNotFound),
        (-5, UnreachableCause::NameNotFound),
        (-3, UnreachableCause::NameTemporary),
        (-10, UnreachableCause::NameTemporary),
        (-4, UnreachableCause::NamePermanent),
        (-6, UnreachableCause::NamePermanent),
    ] {
        assert_eq!(lookup_failure(LookupError::new(code)), unreachable(cause), "{code}");
    }
}

#[test]
fn a_lookup_without_descriptors_is_a_limit_and_any_other_system_error_may_pass() {
    let descriptors = Failure::Refused(Refusal::Limit { limit: LimitKind::Descriptors });
    for errno in [Errno::MFILE, Errno::NFILE] {
        assert_eq!(system_failure(&errno.into()), descriptors);
    }
    assert_eq!(system_failure(&Errno::NOMEM.into()), unreachable(UnreachableCause::NameTemporary));
}

/// Numbers reach the C library's resolver in this test only; it answers them without asking anybody.
#[test]
fn the_system_answers_both_families() {
    assert_eq!(ask_system("127.0.0.1"), Ok(ips(&["127.0.0.1"])));
    assert_eq!(ask_system("::1"), Ok(ips(&["::1"])));
    assert_eq!(ask_system("a\0b"), Err(unreachable(UnreachableCause::NamePermanent)));
}

/// What the questions on threads of this test wait for: one message lets one of them go on.
static GATE: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

fn ask_at_the_gate(name: &str) -> Answer {
    let gate = GATE.lock().expect("nobody panicked at the gate");
    gate.as_ref().expect("the gate is there").recv().expect("the gate opens");
    Ok(vec![ip(name.trim_end_matches(".example.com"))])
}

#[test]
fn a_question_that_hangs_keeps_its_place_when_its_asker_is_gone() {
    alone(async {
        let (open, gate) = mpsc::channel();
        *GATE.lock().expect("nobody panicked at the gate") = Some(gate);
        let names = Arc::new(Names::asked_on_threads(1, ask_at_the_gate));

        let mut gone = Box::pin(names.lookup("192.0.2.1.example.com"));
        assert!(poll_once(gone.as_mut()).await.is_none());
        drop(gone);
        let mut second = Box::pin(names.lookup("192.0.2.2.example.com"));
        assert!(poll_once(second.as_mut()).await.is_none());

        open.send(()).expect("the first question waits");
        open.send(()).expect("the second question will");
        assert_eq!(second.await, Ok(ips(&["192.0.2.2"])));
    });
}

async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        () = yield_now() => None,
    }
}

#[test]
fn a_question_that_panics_is_a_fault() {
    alone(async {
        let names = Names::asked_on_threads(1, |_| panic!("on purpose"));
        assert_eq!(names.lookup("a.example").await, Err(Failure::Fault));
        // And its place is free again.
        assert_eq!(names.lookup("a.example").await, Err(Failure::Fault));
    });
}
