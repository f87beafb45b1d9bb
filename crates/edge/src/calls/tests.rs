//! Calls are bounded, answered once, cancelled and timed, over a real channel.

use super::*;
use crate::testing::{FarEnd, alone, alone_on_paused_clock, next_reply, target_channel};
use std::future::pending;
use tokio::time::Instant;

const LIMITS: CallLimits =
    CallLimits { at_once: 2, time: Duration::from_secs(5), out_of_time: UnreachableCause::NameTemporary };

/// What the work of a test does: as the port in the call's labels says.
fn begin(call: Call, work: &Arc<()>) -> Option<Begun<impl Future<Output = Answer> + Send + 'static>> {
    let Call::Lookup { id, labels } = call else {
        return None;
    };
    let alive = Arc::clone(work);
    let work = async move {
        let _alive = alive;
        match labels.get("does") {
            Some("answer") => Answer::Addresses(vec![]),
            Some("panic") => panic!("on purpose"),
            _ => pending().await,
        }
    };
    Some((id, work))
}

/// Serves beside `test`, which also has the count of the works that are alive, and one more.
async fn during(test: impl AsyncFnOnce(&FarEnd, &Arc<()>)) {
    let (target, far) = target_channel();
    let work = Arc::new(());
    let testing = async {
        test(&far, &work).await;
        drop(far);
    };
    let (served, ()) = tokio::join!(serve(target, LIMITS, |call| begin(call, &work)), testing);
    assert!(matches!(served, Ok(())), "{served:?}");
    assert_eq!(Arc::strong_count(&work), 1, "no work outlives the channel");
}

async fn call(far: &FarEnd, id: u64, does: &str) {
    let call = Call::Lookup { id: CallId(id), labels: Labels::try_from_pairs([("does", does)]).expect("a label") };
    far.send(&call, None).await.expect("the target reads");
}

async fn failure(far: &FarEnd) -> (u64, Failure) {
    match next_reply(far).await {
        (CallId(id), ReplyBody::Failed(failure), None) => (id, failure),
        other => panic!("no failure: {other:?}"),
    }
}

async fn assert_answers(far: &FarEnd, id: u64) {
    call(far, id, "answer").await;
    assert!(matches!(next_reply(far).await, (CallId(answered), ReplyBody::Addresses(_), None) if answered == id));
}

#[test]
fn a_call_that_panics_is_a_fault_and_the_others_go_on() {
    alone(async {
        during(async |far, _| {
            call(far, 1, "hang").await;
            call(far, 2, "panic").await;
            assert_eq!(failure(far).await, (2, Failure::Fault));
            assert_answers(far, 3).await;
        })
        .await;
    });
}

#[test]
fn a_call_has_a_time_limit() {
    alone_on_paused_clock(async {
        during(async |far, work| {
            let start = Instant::now();
            call(far, 1, "hang").await;
            let cause = LIMITS.out_of_time;
            assert_eq!(failure(far).await, (1, Refusal::Unreachable { cause }.into()));
            assert!(start.elapsed() >= LIMITS.time);
            assert_answers(far, 2).await;
            assert_eq!(Arc::strong_count(work), 1);
        })
        .await;
    });
}

#[test]
fn calls_beyond_the_limit_are_refused_until_one_ends() {
    alone(async {
        during(async |far, _| {
            call(far, 1, "hang").await;
            call(far, 2, "hang").await;
            call(far, 3, "answer").await;
            let limit = LimitKind::Dials;
            assert_eq!(failure(far).await, (3, Refusal::Limit { limit }.into()));
            cancel(far, 2).await;
            assert_answers(far, 4).await;
        })
        .await;
    });
}

async fn cancel(far: &FarEnd, id: u64) {
    let call = Call::Cancel { id: CallId(id) };
    far.send(&call, None).await.expect("the target reads");
}

#[test]
fn a_cancelled_call_is_dropped_without_a_reply() {
    alone(async {
        during(async |far, work| {
            call(far, 1, "hang").await;
            cancel(far, 1).await;
            // Had the first had a reply, it would come before this one.
            assert_answers(far, 2).await;
            assert_eq!(Arc::strong_count(work), 1);
        })
        .await;
    });
}

#[test]
fn cancelling_what_is_not_under_way_does_nothing() {
    alone(async {
        during(async |far, _| {
            cancel(far, 9).await;
            assert_answers(far, 9).await;
            cancel(far, 9).await;
            assert_answers(far, 9).await;
        })
        .await;
    });
}

#[test]
fn closing_the_channel_drops_the_calls_under_way() {
    alone(async {
        during(async |far, _| {
            call(far, 1, "hang").await;
            assert_answers(far, 2).await;
        })
        .await;
    });
}

/// A reply that nobody is there to read is no failure of the target.
#[test]
fn a_switchboard_that_goes_away_in_between_is_no_error() {
    alone(async {
        during(async |far, _| {
            call(far, 1, "answer").await;
            call(far, 2, "panic").await;
        })
        .await;
    });
}
