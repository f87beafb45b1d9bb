//! However a guest ends, whoever takes its answer knows whether it is whole.

use wasi::{HttpFailure, LinkError};

use crate::guests::{Served, link};
use crate::{ask, exchange, get, receive, start};

const SITES: [&str; 2] = ["http-site.wasm", "http-site-p3.wasm"];

#[tokio::test]
async fn a_trap_before_the_answer_leaves_none() {
    for site in SITES {
        let served = Served::new(site, 1);
        let (received, ended) = exchange(start(&served.program).await, get("/trap")).await;
        assert!(received.is_none());
        assert!(matches!(ended, Err(HttpFailure::Trapped(_))), "{site}: {ended:?}");
    }
}

#[tokio::test]
async fn a_trap_in_the_middle_of_a_body_reaches_its_receiver() {
    for site in SITES {
        let served = Served::new(site, 1);
        let (received, ended) = exchange(start(&served.program).await, get("/trap-mid")).await;
        let received = received.unwrap();
        assert_eq!(received.status, 200, "{site}");
        assert!(received.data.starts_with(b"chunk 0\n"), "{site}: {:?}", received.data);
        assert_eq!(received.error.as_deref(), Some("Unfinished"), "{site}");
        assert!(matches!(ended, Err(HttpFailure::Trapped(_))), "{site}: {ended:?}");
    }
}

#[tokio::test]
async fn an_exit_is_no_answer() {
    for site in SITES {
        let served = Served::new(site, 1);
        let (received, ended) = exchange(start(&served.program).await, get("/exit")).await;
        assert!(received.is_none());
        assert!(matches!(ended, Err(HttpFailure::Exited(0))), "{site}: {ended:?}");
    }
}

#[tokio::test]
async fn a_guest_that_is_ended_breaks_its_answer_off() {
    for site in SITES {
        let served = Served::new(site, 1);
        let asked = ask(start(&served.program).await, get("/big?bytes=1000000000000"));
        let mut work = Box::pin(asked.work);
        let head = tokio::select! {
            head = asked.answer => head.unwrap(),
            _ = &mut work => panic!("{site} is through"),
        };
        let mut body = head.into_body();
        let first = tokio::select! {
            first = http_body_util::BodyExt::frame(&mut body) => first.unwrap(),
            _ = &mut work => panic!("{site} is through"),
        };
        assert!(first.is_ok());
        drop(work);
        let (left, error) = receive(body).await;
        assert!(left.len() <= 4 * 65_536, "{site}: {}", left.len());
        assert_eq!(error.as_deref(), Some("Unfinished"), "{site}");
        // Its place is free again.
        let (received, _) = exchange(start(&served.program).await, get("/")).await;
        assert_eq!(received.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_guest_that_never_ends_can_be_ended() {
    for site in SITES {
        let served = Served::new(site, 1);
        served.program.take_turns().unwrap();
        for path in ["/spin", "/sleep-forever"] {
            let asked = ask(start(&served.program).await, get(path));
            let patience = std::time::Duration::from_millis(30);
            assert!(tokio::time::timeout(patience, asked.work).await.is_err(), "{site}{path}");
            assert!(asked.answer.await.is_err(), "{site}{path}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_has_a_name() {
    let served = Served::new("http-odd.wasm", 1);
    let check = async |path: &str, status: Option<u16>, data: &str, error: bool, failure: &str| {
        let (received, ended) = exchange(start(&served.program).await, get(path)).await;
        assert_eq!(received.as_ref().map(|received| received.status), status, "{path}");
        if let Some(received) = received {
            assert_eq!(String::from_utf8_lossy(&received.data), data, "{path}");
            assert_eq!(received.error.is_some(), error, "{path}: {:?}", received.error);
        }
        let told = ended.map_or_else(|failure| failure.to_string(), |_instance| "well".to_owned());
        assert!(told.contains(failure), "{path}: {told}");
    };
    check("/never", None, "", false, "returned without an answer").await;
    check("/error/timeout", None, "", false, "answered with an error: ErrorCode::HttpResponseTimeout").await;
    check("/error/internal", None, "", false, "the inside of the guest").await;
    check("/too-long", Some(200), "", true, "").await;
    check("/too-short", Some(200), "01234", true, "the answer is not whole").await;
    check("/unfinished", Some(200), "the begin of something\n", true, "the answer is not whole").await;
    check("/no-body-taken", Some(200), "", false, "well").await;
    check("/finish-at-once", Some(200), "", false, "well").await;
    check("/trap-after", Some(200), "complete\n", false, "the guest trapped: wasm trap: wasm `unreachable`").await;
    check("/stream-kept", Some(200), "some\n", true, "the guest trapped").await;
    check("/trailers", Some(200), "see the trailers\n", false, "well").await;
    check("/one-byte-writes", Some(200), &".".repeat(1000), false, "well").await;
}

#[tokio::test]
async fn a_guest_of_0_3_gives_its_answer_up() {
    let served = Served::new("http-site-p3.wasm", 1);
    let (received, ended) = exchange(start(&served.program).await, get("/bad-end")).await;
    let received = received.unwrap();
    assert_eq!(received.data, b"the begin of something\n");
    assert!(received.error.is_some_and(|error| error.starts_with("GivenUp")));
    assert!(matches!(ended, Err(HttpFailure::Incomplete(_))), "{ended:?}");
    let (received, ended) = exchange(start(&served.program).await, get("/error")).await;
    assert!(received.is_none());
    assert!(matches!(ended, Err(HttpFailure::Refused { .. })), "{ended:?}");
}

#[test]
fn what_answers_no_requests_is_told_what_to_do() {
    assert!(matches!(link("hello.wasm", 1), Err(LinkError::IsCommand)));
    assert!(matches!(link("hello-p3.wasm", 1), Err(LinkError::IsCommand)));
    assert!(matches!(link("hello-p1.wasm", 1), Err(LinkError::IsModule)));
}
