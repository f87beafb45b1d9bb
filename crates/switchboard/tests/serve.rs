//! How long a switchboard has something to do.

use capability::{Capability, Constraint};
use channel::Channel;
use protocol::message::{Request, RequestBody, RequestId, Response};
use switchboard::{Limits, Switchboard};

/// More turns of the event loop than anything here takes.
const TURNS: usize = 10_000;

/// Whether it has nothing to do, now or as soon as it has seen what was closed.
async fn is_done(switchboard: &Switchboard) -> bool {
    let turns = async {
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = switchboard.serve() => true,
        () = turns => false,
    }
}

#[tokio::test]
async fn a_handle_aside_alone_is_no_reason_to_go_on() {
    let switchboard = Switchboard::new(Limits::default());
    let (aside, theirs) = fdpass::pair().unwrap();
    switchboard.open_aside(Capability::root(), theirs).unwrap();
    assert!(is_done(&switchboard).await);

    let (main, theirs) = fdpass::pair().unwrap();
    switchboard.open(Capability::root(), theirs).unwrap();
    assert!(!is_done(&switchboard).await);
    drop(main);
    assert!(is_done(&switchboard).await);
    drop(aside);
    assert!(is_done(&switchboard).await);
}

#[tokio::test]
async fn a_handle_made_of_another_keeps_the_switchboard_at_work() {
    for aside in [false, true] {
        let switchboard = Switchboard::new(Limits::default());
        let (ours, theirs) = fdpass::pair().unwrap();
        let opened = match aside {
            true => switchboard.open_aside(Capability::root(), theirs),
            false => switchboard.open(Capability::root(), theirs),
        };
        opened.unwrap();
        let handle = Channel::<Response, Request>::new(ours).unwrap();
        let body = RequestBody::Constrain(Constraint::default());
        handle.send(&Request { id: RequestId(1), body }, None).await.unwrap();
        let (_, weaker) = handle.receive().await.unwrap().unwrap();
        drop(handle);
        assert!(!is_done(&switchboard).await, "aside: {aside}");
        drop(weaker);
        assert!(is_done(&switchboard).await, "aside: {aside}");
    }
}
