//! What becomes of a request whose target answers, lies, or goes away.

use crate::desk::{Desk, labels};
use capability::{Constraint, Grant, LimitKind, Pattern, Refusal, Right, Rights, UnreachableCause};
use protocol::message::{Call, CallId, Failure, ReplyBody, RequestBody, RequestId, ResponseBody};
use switchboard_core::{Closing, Effect, Event, HandleId, TargetId, Undone};

const TO_ADDRESS: &str = "network=outside server_address=192.0.2.1 server_port=22";
const TO_NAME: &str = "network=outside server_hostname=a.example server_port=22";

struct Dial {
    desk: Desk,
    handle: HandleId,
    egress: TargetId,
    id: RequestId,
    call: CallId,
}

/// A dial that the egress has been asked for, through a handle with a layer of one grant for names and one for 10/8.
fn dial(request: &str) -> Dial {
    let mut desk = Desk::new();
    let root = desk.root();
    let egress = desk.egress(root, "network=outside");
    let grant = |key: &str, pattern| {
        let grant = Grant::new(Right::ClientConnect).with("network", Pattern::Any);
        grant.and_then(|grant| grant.with("server_port", Pattern::Any)?.with(key, pattern)).unwrap()
    };
    let constraint = Constraint {
        rights: Rights::only(Right::ClientConnect),
        grants: Some(vec![
            grant("server_hostname", Pattern::Any),
            grant("server_address", Pattern::Cidr("10.0.0.0/8".parse().unwrap())),
            grant("server_address", Pattern::exact("192.0.2.1").unwrap()),
        ]),
        ..Constraint::default()
    };
    let handle = desk.constrain(root, constraint).unwrap();
    let (id, effects) = desk.ask_only(handle, RequestBody::ClientConnect(labels(request)));
    let [Effect::Call { target, call: Call::Dial { id: call, .. } }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(target, egress);
    Dial { desk, handle, egress, id, call }
}

impl Dial {
    fn reply(&mut self, body: ReplyBody) -> Vec<Effect> {
        let (target, call) = (self.egress, self.call);
        self.desk.event(Event::Replied { target, call, body })
    }

    fn failed(&self, failure: Failure) -> Effect {
        let (handle, id) = (self.handle, self.id);
        let body = ResponseBody::Failed(failure);
        Effect::Answer { handle, id, body }
    }
}

fn check_dialled(request: &str, reply: &str, expected: Result<&str, Failure>) {
    let mut dial = dial(request);
    let effects = dial.reply(ReplyBody::Dialled(labels(reply)));
    let expected = match expected {
        Ok(union) => Effect::PassOn { handle: dial.handle, id: dial.id, labels: labels(union) },
        Err(failure) => dial.failed(failure),
    };
    assert_eq!(effects, [expected], "{request} {reply}");
    // A second reply to the same call is a late one: nobody waits for it.
    assert_eq!(dial.reply(ReplyBody::Dialled(labels(reply))), []);
}

#[test]
fn a_dialled_socket_leads_where_it_was_sent() {
    let fault = || Err(Failure::Fault);
    let same = "server_address=192.0.2.1 server_port=22";
    check_dialled(TO_ADDRESS, same, Ok(TO_ADDRESS));
    check_dialled(TO_ADDRESS, "", Ok(TO_ADDRESS));
    check_dialled(TO_ADDRESS, "server_address=192.0.2.2 server_port=22", fault());
    check_dialled(TO_ADDRESS, "server_address=192.0.2.1 server_port=23", fault());
    // It speaks of nothing else, unless it says what is known.
    check_dialled(TO_ADDRESS, "client_service=web", fault());
    check_dialled(TO_ADDRESS, "colour=red", fault());
    check_dialled(TO_ADDRESS, "network=outside", Ok(TO_ADDRESS));
}

#[test]
fn a_name_leads_where_its_scope_permits() {
    let at = |address: &str| format!("{TO_NAME} server_address={address}");
    let reply = |address: &str| format!("server_address={address} server_port=22");
    check_dialled(TO_NAME, &reply("8.8.8.8"), Ok(&at("8.8.8.8")));
    check_dialled(TO_NAME, &reply("10.1.2.3"), Ok(&at("10.1.2.3")));
    check_dialled(TO_NAME, &reply("127.0.0.1"), Err(Failure::Fault));
    check_dialled(TO_NAME, &reply("192.168.1.1"), Err(Failure::Fault));
    check_dialled(TO_NAME, "server_port=23", Err(Failure::Fault));
}

#[test]
fn the_address_beside_a_name_is_replaced() {
    let mut desk = Desk::new();
    let root = desk.root();
    let egress = desk.egress(root, "network=outside");
    let request = format!("{TO_NAME} server_address=192.0.2.1");
    let (_, effects) = desk.ask_only(root, RequestBody::ClientConnect(labels(&request)));
    let [Effect::Call { call: Call::Dial { id, .. }, .. }] = effects[..] else { panic!("{effects:?}") };
    let body = ReplyBody::Dialled(labels("server_address=192.0.2.7"));
    let event = Event::Replied { target: egress, call: id, body };
    let effects = desk.event(event);
    let union = format!("{TO_NAME} server_address=192.0.2.7");
    assert!(matches!(&effects[..], [Effect::PassOn { labels: found, .. }] if *found == labels(&union)));
}

#[test]
fn an_edge_may_say_only_what_an_edge_can_know() {
    let refused = |refusal| Failure::Refused(refusal);
    let address = "127.0.0.1".parse().unwrap();
    let limit = LimitKind::Dials;
    let cause = UnreachableCause::ConnectionRefused;
    for failure in [
        refused(Refusal::PrivateName { address }),
        refused(Refusal::Limit { limit }),
        refused(Refusal::Unreachable { cause }),
        Failure::Fault,
    ] {
        let mut dial = dial(TO_NAME);
        assert_eq!(dial.reply(ReplyBody::Failed(failure.clone())), [dial.failed(failure)]);
    }
    let right = Right::List;
    for refusal in
        [Refusal::Grant, Refusal::Right { right }, Refusal::Label { keys: vec![] }, Refusal::Ambiguous { keys: vec![] }]
    {
        let mut dial = dial(TO_NAME);
        let effects = dial.reply(ReplyBody::Failed(refused(refusal)));
        assert_eq!(effects, [dial.failed(Failure::Fault)]);
    }
}

#[test]
fn an_answer_of_the_wrong_kind_closes_the_target() {
    let mut dial = dial(TO_NAME);
    let effects = dial.reply(ReplyBody::Addresses(vec![]));
    let close = Effect::CloseTarget { target: dial.egress, why: Closing::Breach };
    assert_eq!(effects, [dial.failed(Failure::Fault), close]);
    let mut desk = Desk::new();
    let root = desk.root();
    let target = desk.server(root, "");
    let body = ReplyBody::Failed(Failure::Fault);
    let call = CallId(1);
    let effects = desk.event(Event::Replied { target, call, body });
    assert_eq!(effects, [Effect::CloseTarget { target, why: Closing::Breach }]);
    assert_eq!(desk.connect(root, ""), Err(Refusal::NotFound));
}

#[test]
fn nobody_answers_the_call_of_another_target() {
    let mut dial = dial(TO_NAME);
    let root = dial.desk.root();
    let target = dial.desk.egress(root, "network=elsewhere");
    let (call, body) = (dial.call, ReplyBody::Dialled(labels("")));
    assert_eq!(dial.desk.event(Event::Replied { target, call, body }), []);
    assert_eq!(dial.reply(ReplyBody::Dialled(labels(""))).len(), 1);
}

#[test]
fn a_target_that_goes_away_has_answered() {
    let gone = Failure::from(Undone::TargetGone);
    let mut closed = dial(TO_NAME);
    let effects = closed.desk.event(Event::TargetClosed(closed.egress));
    assert_eq!(effects, [closed.failed(gone.clone())]);
    let mut failed = dial(TO_NAME);
    let (call, cause) = (failed.call, Undone::TargetGone);
    let effects = failed.desk.event(Event::CallFailed { call, cause });
    assert_eq!(effects, [failed.failed(gone)]);
    // The close that follows has nothing left to answer.
    assert_eq!(failed.desk.event(Event::TargetClosed(failed.egress)), []);
}

#[test]
fn an_asker_that_goes_away_cancels_its_calls() {
    let mut dial = dial(TO_NAME);
    let (target, id) = (dial.egress, dial.call);
    let effects = dial.desk.event(Event::HandleClosed(dial.handle));
    let call = Call::Cancel { id };
    assert_eq!(effects, [Effect::Call { target, call }]);
    assert_eq!(dial.reply(ReplyBody::Dialled(labels(""))), []);
    assert_eq!(dial.desk.switchboard.used().requests, 0);
}

#[test]
fn a_number_in_use_twice_closes_the_handle() {
    let mut dial = dial(TO_NAME);
    let (handle, id) = (dial.handle, dial.id);
    let body = RequestBody::ClientConnect(labels(TO_NAME));
    let effects = dial.desk.event(Event::Request { handle, id, body });
    let (target, call) = (dial.egress, Call::Cancel { id: dial.call });
    assert_eq!(effects, [Effect::CloseHandle { handle, why: Closing::Breach }, Effect::Call { target, call }]);
    assert_eq!(dial.desk.switchboard.capability(handle), None);
}

#[test]
fn a_dialled_socket_counts_until_it_is_on_its_way() {
    for outcome in [Ok(()), Err(Undone::Descriptors)] {
        let mut dial = dial(TO_NAME);
        let (handle, id) = (dial.handle, dial.id);
        assert_eq!(dial.reply(ReplyBody::Dialled(labels(""))).len(), 1);
        assert_eq!(dial.desk.switchboard.used().requests, 1);
        let effects = dial.desk.done(handle, id, outcome);
        let failed = outcome.err().map(|cause| dial.failed(cause.into()));
        assert_eq!(effects, Vec::from_iter(failed));
        assert_eq!(dial.desk.switchboard.used().requests, 0);
    }
}

#[test]
fn what_the_driver_could_not_make_out_is_answered_and_told() {
    let mut desk = Desk::new();
    let root = desk.root();
    let watch = desk.watch(root, "").unwrap();
    let constraint = Constraint { out_labels: labels("client_service=cart"), ..Constraint::default() };
    let handle = desk.constrain(root, constraint).unwrap();
    let (id, refusal) = (RequestId(3), Refusal::Label { keys: vec![] });
    let event = Event::Refused { handle, id, request: "client-connect", refusal: refusal.clone() };
    let effects = desk.event(event);
    let answer = Effect::Answer { handle, id, body: ResponseBody::Failed(refusal.clone().into()) };
    assert_eq!(effects[0], answer);
    let [_, Effect::Decided { decision, watches }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((decision.request.as_str(), &decision.from), ("client-connect", &labels("client_service=cart")));
    assert_eq!((&decision.failure, &watches[..]), (&Some(refusal.into()), &[watch][..]));
    assert_eq!(desk.switchboard.used().requests, 0);
}

#[test]
fn a_connection_that_a_server_does_not_take_is_answered() {
    for cause in [Undone::Backlog, Undone::TargetGone, Undone::Descriptors, Undone::Fault] {
        let mut desk = Desk::new();
        let handle = desk.root();
        desk.server(handle, "a=1");
        for body in [
            RequestBody::ClientConnect(labels("a=1")),
            RequestBody::IngressConnect { labels: labels("a=1"), datagrams: Vec::new() },
        ] {
            let (id, _) = desk.ask_only(handle, body);
            let effects = desk.done(handle, id, Err(cause));
            let body = ResponseBody::Failed(cause.into());
            assert_eq!(effects, [Effect::Answer { handle, id, body }]);
            assert_eq!(desk.done(handle, id, Err(cause)), [], "reported once");
        }
    }
}

#[test]
fn what_could_not_be_made_is_not_there() {
    let mut desk = Desk::new();
    let handle = desk.root();
    let before = desk.switchboard.used();
    let constraint = Constraint::default();
    for body in
        [RequestBody::Constrain(constraint), RequestBody::ServerStart(labels("a=1")), RequestBody::Watch(labels(""))]
    {
        for outcome in [Some(Undone::Descriptors), None] {
            let asker = desk.root();
            let (id, effects) = desk.ask_only(asker, body.clone());
            assert_eq!(effects.len(), 1);
            match outcome {
                Some(cause) => assert_eq!(desk.done(asker, id, Err(cause)).len(), 1),
                // The asker goes before it is told: then nobody holds the other end.
                None => assert_eq!(desk.event(Event::HandleClosed(asker)).len(), 1),
            }
            desk.event(Event::HandleClosed(asker));
            assert_eq!(desk.switchboard.used(), before, "{body:?} {outcome:?}");
        }
    }
    assert_eq!(desk.connect(handle, "a=1"), Err(Refusal::NotFound));
}
