//! An egress in the switchboard's own process: called, answered and gone, as one behind a socket would be.

use capability::{Capability, Labels, Refusal};
use channel::{Calls, Channel};
use protocol::message::{Call, Failure, Reply, ReplyBody, Request, RequestBody, RequestId, Response, ResponseBody};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use switchboard::{Limits, Switchboard};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::try_from_pairs(pairs.iter().copied()).expect("labels")
}

fn asker(switchboard: &Switchboard) -> Channel<Response, Request> {
    let (ours, theirs) = fdpass::pair().expect("a pair");
    switchboard.open(Capability::root(), theirs).expect("a handle");
    Channel::new(ours).expect("it is a seqpacket socket")
}

async fn ask(asker: &Channel<Response, Request>) {
    let wanted = [("network", "outside"), ("transport", "tcp"), ("server_address", "10.0.0.1"), ("server_port", "7")];
    let body = RequestBody::ClientConnect(labels(&wanted));
    asker.send(&Request { id: RequestId(1), body }, None).await.expect("the switchboard reads");
}

async fn answer(asker: &Channel<Response, Request>) -> (ResponseBody, Option<OwnedFd>) {
    let (Response { body, .. }, socket) = asker.receive().await.expect("an answer").expect("an open handle");
    (body, socket)
}

#[tokio::test]
async fn what_it_dials_reaches_who_asked() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    ask(&asker).await;
    let Some(Call::Dial { id, labels: asked, .. }) = egress.next().await.unwrap() else { panic!("no dial") };
    assert_eq!((asked.get("server_address"), asked.get("server_port")), (Some("10.0.0.1"), Some("7")));

    let (mut near, far) = UnixStream::pair().unwrap();
    let body = ReplyBody::Dialled(labels(&[("server_address", "10.0.0.1"), ("server_port", "7")]));
    egress.reply(Reply { id, body }, Some(far.into())).await.unwrap();
    let (ResponseBody::Connected(leads_to), Some(socket)) = answer(&asker).await else { panic!("not connected") };
    assert_eq!(leads_to.get("server_port"), Some("7"));
    UnixStream::from(socket).write_all(b"it is the one dialled").unwrap();
    let mut heard = String::new();
    near.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "it is the one dialled");
}

#[tokio::test]
async fn who_asked_and_has_gone_is_not_dialled_for() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    ask(&asker).await;
    let Some(Call::Dial { id, .. }) = egress.next().await.unwrap() else { panic!("no dial") };
    drop(asker);
    assert_eq!(egress.next().await.unwrap(), Some(Call::Cancel { id }));
}

#[tokio::test]
async fn once_it_is_dropped_there_is_no_egress() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    ask(&asker).await;
    assert!(matches!(egress.next().await.unwrap(), Some(Call::Dial { .. })));
    drop(egress);
    let refusal = |body| match body {
        ResponseBody::Failed(Failure::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    };
    // The call under way fails, and the next finds nobody.
    assert!(matches!(refusal(answer(&asker).await.0), Refusal::Unreachable { .. }));
    ask(&asker).await;
    assert!(matches!(refusal(answer(&asker).await.0), Refusal::NotFound));
}

#[tokio::test]
async fn it_hears_of_the_switchboards_end_and_is_no_reason_for_it_to_go_on() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    switchboard.serve().await;
    drop(switchboard);
    assert_eq!(egress.next().await.unwrap(), None);
}

#[tokio::test]
async fn there_are_as_many_as_there_may_be() {
    let mut limits = Limits::default();
    limits.total.targets = 1;
    let switchboard = Switchboard::new(limits);
    let outside = || labels(&[("network", "outside")]);
    let _egress = switchboard.start_egress(outside()).unwrap();
    let refused = switchboard.start_resolver(outside()).unwrap_err();
    assert!(matches!(refused, switchboard::OpenError::Refused(Refusal::Limit { .. })), "{refused:?}");
}
