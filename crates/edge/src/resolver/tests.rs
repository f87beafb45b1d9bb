//! Each name gets its addresses or the cause why not, over a real channel with answers of the test's own.

use super::*;
use crate::testing::{FarEnd, alone, alone_on_paused_clock, ips, next_reply, target_channel};
use capability::LimitKind;
use protocol::message::{CallId, Failure, ReplyBody};
use std::os::fd::AsFd;

/// A name server that knows two names, answers one never, and breaks on another.
fn names() -> Names {
    Names::answered_by(|name| async move {
        let no = |cause| Err(Failure::Refused(Refusal::Unreachable { cause }));
        match name.as_str() {
            "both.example" => Ok(ips(&["2001:db8::1", "192.0.2.1", "192.0.2.1"])),
            "private.example" => Ok(ips(&["10.0.0.1"])),
            "later.example" => no(UnreachableCause::NameTemporary),
            "broken.example" => no(UnreachableCause::NamePermanent),
            "silent.example" => std::future::pending().await,
            _ => no(UnreachableCause::NameNotFound),
        }
    })
}

async fn during(limits: ResolverLimits, test: impl AsyncFnOnce(&FarEnd)) {
    let (target, far) = target_channel();
    let testing = async move {
        test(&far).await;
        drop(far);
    };
    let (served, ()) = tokio::join!(run_with(target, names(), limits), testing);
    assert!(matches!(served, Ok(())), "{served:?}");
}

async fn ask(far: &FarEnd, id: u64, name: &str) {
    let call = Call::Lookup {
        id: CallId(id),
        labels: Labels::try_from_pairs([(keys::NETWORK, keys::OUTSIDE), (keys::SERVER_HOSTNAME, name)])
            .expect("they are labels"),
    };
    far.send(&call, None).await.expect("the resolver reads");
}

async fn answer_to(far: &FarEnd, name: &str) -> ReplyBody {
    ask(far, 7, name).await;
    let (id, body, socket) = next_reply(far).await;
    assert_eq!((id, socket.is_none()), (CallId(7), true));
    body
}

fn failed(cause: UnreachableCause) -> ReplyBody {
    ReplyBody::Failed(Refusal::Unreachable { cause }.into())
}

#[test]
fn a_name_has_its_addresses_or_a_cause_why_not() {
    alone(async {
        during(ResolverLimits::default(), async |far| {
            for (name, addresses) in [
                ("both.example", ["2001:db8::1", "192.0.2.1"].as_slice()),
                // Where a name may lead is judged when it is dialled.
                ("private.example", &["10.0.0.1"]),
                ("localhost", &["127.0.0.1", "::1"]),
                ("db.localhost", &["127.0.0.1", "::1"]),
            ] {
                assert_eq!(answer_to(far, name).await, ReplyBody::Addresses(ips(addresses)), "{name}");
            }
            for (name, cause) in [
                ("gone.example", UnreachableCause::NameNotFound),
                ("db", UnreachableCause::NameNotFound),
                ("later.example", UnreachableCause::NameTemporary),
                ("broken.example", UnreachableCause::NamePermanent),
            ] {
                assert_eq!(answer_to(far, name).await, failed(cause), "{name}");
            }
        })
        .await;
    });
}

#[test]
fn a_lookup_without_a_name_is_refused_and_the_label_named() {
    alone(async {
        during(ResolverLimits::default(), async |far| {
            let call = Call::Lookup { id: CallId(1), labels: Labels::new() };
            far.send(&call, None).await.expect("the resolver reads");
            let keys = vec![LabelKey::new(keys::SERVER_HOSTNAME).expect("a key")];
            let (_, body, _) = next_reply(far).await;
            assert_eq!(body, ReplyBody::Failed(Refusal::Label { keys }.into()));
        })
        .await;
    });
}

#[test]
fn a_lookup_that_nobody_answers_may_succeed_later() {
    alone_on_paused_clock(async {
        during(ResolverLimits::default(), async |far| {
            assert_eq!(answer_to(far, "silent.example").await, failed(UnreachableCause::NameTemporary));
        })
        .await;
    });
}

#[test]
fn one_lookup_too_many_is_refused() {
    alone(async {
        let limits = ResolverLimits { lookups: 1, ..ResolverLimits::default() };
        during(limits, async |far| {
            ask(far, 1, "silent.example").await;
            let limit = LimitKind::Dials;
            assert_eq!(answer_to(far, "both.example").await, ReplyBody::Failed(Refusal::Limit { limit }.into()));
        })
        .await;
    });
}

#[test]
fn calls_for_other_targets_end_the_resolver() {
    alone(async {
        for call in [
            Call::Connection { labels: Labels::new(), datagrams: Vec::new() },
            Call::Dial { id: CallId(1), labels: Labels::new(), scope: capability::AddressScope::default() },
        ] {
            let (target, far) = target_channel();
            let gift = matches!(call, Call::Connection { .. }).then(|| far.as_fd());
            far.send(&call, gift).await.expect("there is room");
            let served = run_with(target, names(), ResolverLimits::default()).await;
            assert!(matches!(served, Err(ServeError::Misdirected)), "{served:?}");
        }
    });
}
