//! An egress or a resolver in the switchboard's own process: called, answered and gone, as one behind a socket would be.

use capability::{Capability, Labels, LimitKind, Refusal};
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

async fn ask(asker: &Channel<Response, Request>, id: u64, body: RequestBody) {
    asker.send(&Request { id: RequestId(id), body }, None).await.expect("the switchboard reads");
}

async fn dial(asker: &Channel<Response, Request>, id: u64) {
    let wanted = [("network", "outside"), ("transport", "tcp"), ("server_address", "10.0.0.1"), ("server_port", "7")];
    ask(asker, id, RequestBody::ClientConnect(labels(&wanted))).await;
}

async fn answer(asker: &Channel<Response, Request>) -> (ResponseBody, Option<OwnedFd>) {
    let (Response { body, .. }, socket) = asker.receive().await.expect("an answer").expect("an open handle");
    (body, socket)
}

async fn refusal(asker: &Channel<Response, Request>) -> Option<Refusal> {
    match answer(asker).await.0 {
        ResponseBody::Failed(Failure::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

#[tokio::test]
async fn what_it_dials_reaches_who_asked() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    dial(&asker, 1).await;
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
async fn what_it_resolves_reaches_who_asked() {
    let switchboard = Switchboard::new(Limits::default());
    let resolver = switchboard.start_resolver(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    let wanted = [("network", "outside"), ("server_hostname", "a.example")];
    ask(&asker, 1, RequestBody::Resolve(labels(&wanted))).await;
    let Some(Call::Lookup { id, labels: asked }) = resolver.next().await.unwrap() else { panic!("no lookup") };
    assert_eq!(asked.get("server_hostname"), Some("a.example"));

    let addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    resolver.reply(Reply { id, body: ReplyBody::Addresses(addresses.clone()) }, None).await.unwrap();
    let (told, socket) = answer(&asker).await;
    assert_eq!((told, socket.is_none()), (ResponseBody::Addresses(addresses), true));
}

#[tokio::test]
async fn calls_for_which_there_is_no_room_are_refused_and_the_others_are_heard() {
    const ROOM: u64 = 256;
    const ABOVE: u64 = 8;
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    for id in 0..ROOM + ABOVE {
        dial(&asker, id).await;
    }
    let backlog = || ResponseBody::Failed(Refusal::Limit { limit: LimitKind::Backlog }.into());
    for id in ROOM..ROOM + ABOVE {
        let (response, _) = asker.receive().await.unwrap().unwrap();
        assert_eq!(response, Response { id: RequestId(id), body: backlog() });
    }

    let mut heard = Vec::new();
    for _ in 0..ROOM {
        let Some(Call::Dial { id, .. }) = egress.next().await.unwrap() else { panic!("no dial") };
        heard.push(id);
    }
    assert!(heard.is_sorted(), "{heard:?}");
    // There is room again, and nothing was left before it.
    dial(&asker, ROOM).await;
    let Some(Call::Dial { id, .. }) = egress.next().await.unwrap() else { panic!("no dial") };
    let body = ReplyBody::Failed(Refusal::NotFound.into());
    egress.reply(Reply { id, body }, None).await.unwrap();
    let (response, _) = asker.receive().await.unwrap().unwrap();
    let body = ResponseBody::Failed(Refusal::NotFound.into());
    assert_eq!(response, Response { id: RequestId(ROOM), body });
}

#[tokio::test]
async fn one_that_gives_an_answer_of_the_wrong_kind_is_closed_and_who_asked_is_told() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    dial(&asker, 1).await;
    let Some(Call::Dial { id, .. }) = egress.next().await.unwrap() else { panic!("no dial") };
    let body = ReplyBody::Addresses(vec!["10.0.0.1".parse().unwrap()]);
    egress.reply(Reply { id, body }, None).await.unwrap();
    assert_eq!(answer(&asker).await.0, ResponseBody::Failed(Failure::Fault));
    assert_eq!(egress.next().await.unwrap(), None);
    dial(&asker, 2).await;
    assert_eq!(refusal(&asker).await, Some(Refusal::NotFound));
}

#[tokio::test]
async fn who_asked_and_has_gone_is_not_dialled_for() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    dial(&asker, 1).await;
    let Some(Call::Dial { id, .. }) = egress.next().await.unwrap() else { panic!("no dial") };
    drop(asker);
    assert_eq!(egress.next().await.unwrap(), Some(Call::Cancel { id }));
}

#[tokio::test]
async fn once_it_is_dropped_there_is_no_egress() {
    let switchboard = Switchboard::new(Limits::default());
    let egress = switchboard.start_egress(labels(&[("network", "outside")])).unwrap();
    let asker = asker(&switchboard);
    dial(&asker, 1).await;
    assert!(matches!(egress.next().await.unwrap(), Some(Call::Dial { .. })));
    drop(egress);
    // The call under way fails, and the next finds nobody.
    assert!(matches!(refusal(&asker).await, Some(Refusal::Unreachable { .. })));
    dial(&asker, 1).await;
    assert_eq!(refusal(&asker).await, Some(Refusal::NotFound));
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
