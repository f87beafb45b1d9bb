//! How much one handle may take, and that it cannot take what others need (rule 9).

use crate::desk::{Desk, labels};
use capability::{Capability, Constraint, Grant, Labels, LimitKind, Pattern, Refusal, Right, Rights};
use protocol::message::RequestBody;
use switchboard_core::{Allowance, Effect, Event, HandleId, Limits};

const OPENED: Allowance = Allowance { handles: 16, targets: 16, key_sets: 8, watches: 8, requests: 64 };
const LIMITS: Limits = Limits {
    total: Allowance { handles: 24, targets: 24, key_sets: 12, watches: 12, requests: 96 },
    opened: OPENED,
    requests_per_handle: 8,
};

fn limit(limit: LimitKind) -> Refusal {
    Refusal::Limit { limit }
}

fn all_rights() -> Constraint {
    Constraint { rights: Rights::ALL, ..Constraint::default() }
}

/// Does `make` until it is refused, and says how often it was not.
fn fill(desk: &mut Desk, mut make: impl FnMut(&mut Desk, u32) -> Result<(), Refusal>) -> (u32, Refusal) {
    let mut made = 0;
    loop {
        match make(desk, made) {
            Ok(()) => made += 1,
            Err(refusal) => return (made, refusal),
        }
        assert!(made < 1_000);
    }
}

fn constrain_all(desk: &mut Desk, handle: HandleId) -> (u32, Refusal) {
    fill(desk, |desk, _| desk.constrain(handle, all_rights()).map(drop))
}

#[test]
fn a_handle_has_a_quarter_of_what_its_parent_has() {
    let mut desk = Desk::with(LIMITS);
    let root = desk.root();
    let guest = desk.constrain(root, all_rights()).unwrap();
    // Of four the guest's own is one; and 16 for the root less itself and those four.
    assert_eq!(constrain_all(&mut desk, guest), (3, limit(LimitKind::Handles)));
    assert_eq!(constrain_all(&mut desk, root), (11, limit(LimitKind::Handles)));
    // Another handle that was opened is not shut out, but the total holds.
    let other = desk.root();
    assert_eq!(constrain_all(&mut desk, other), (7, limit(LimitKind::Handles)));
    assert_eq!(desk.switchboard.used().handles, LIMITS.total.handles);
    assert_eq!(desk.switchboard.open(Capability::root()), Err(limit(LimitKind::Handles)));
    desk.event(Event::HandleClosed(guest));
    assert!(desk.switchboard.open(Capability::root()).is_ok());
}

#[test]
fn what_a_closed_handle_registered_still_counts() {
    let mut desk = Desk::with(LIMITS);
    let root = desk.root();
    let start = |desk: &mut Desk, handle, number: u32| {
        let own = labels(&format!("a={number}"));
        desk.start(handle, RequestBody::ServerStart(own))
    };
    let guest = desk.constrain(root, all_rights()).unwrap();
    let filled = fill(&mut desk, |desk, number| start(desk, guest, number).map(drop));
    assert_eq!(filled, (4, limit(LimitKind::Targets)));
    desk.event(Event::HandleClosed(guest));
    let filled = fill(&mut desk, |desk, number| start(desk, root, number).map(drop));
    assert_eq!(filled, (12, limit(LimitKind::Targets)));
    assert_eq!(desk.switchboard.used().targets, 16);
}

#[test]
fn key_sets_are_paid_for_by_who_brought_them() {
    let mut desk = Desk::with(LIMITS);
    let root = desk.root();
    let guest = desk.constrain(root, all_rights()).unwrap();
    let start = |desk: &mut Desk, number: u32| {
        let own = labels(&format!("key{number}=1"));
        desk.start(guest, RequestBody::ServerStart(own)).map(drop)
    };
    assert_eq!(fill(&mut desk, start), (2, limit(LimitKind::KeySets)));
    // What is known costs nothing more, and what was refused was not charged.
    let twin = desk.server(guest, "key0=2");
    assert_eq!(desk.switchboard.used().targets, 3);
    assert_eq!(desk.switchboard.used().key_sets, 2);
    desk.event(Event::TargetClosed(twin));
    assert_eq!(desk.switchboard.used().key_sets, 2);
}

#[test]
fn watches_and_requests_are_counted() {
    let mut desk = Desk::with(LIMITS);
    let root = desk.root();
    let filled = fill(&mut desk, |desk, _| desk.watch(root, "").map(drop));
    assert_eq!(filled, (8, limit(LimitKind::Handles)));
    let mut desk = Desk::with(LIMITS);
    let root = desk.root();
    let egress = desk.egress(root, "");
    let filled = fill(&mut desk, |desk, _| desk.connect(root, "").map(drop));
    assert_eq!(filled, (8, limit(LimitKind::Requests)));
    // Constraining is a request too; what is answered makes room.
    assert_eq!(desk.constrain(root, all_rights()), Err(limit(LimitKind::Requests)));
    assert_eq!(desk.switchboard.used().requests, 8);
    desk.event(Event::TargetClosed(egress));
    assert_eq!(desk.switchboard.used().requests, 0);
    assert!(desk.constrain(root, all_rights()).is_ok());
}

#[test]
fn labels_of_both_ends_fit_into_one_set() {
    let set = |prefix: char, count: usize| {
        let mut set = Labels::new();
        for number in 0..count {
            set.insert(&format!("{prefix}{number}"), "1").unwrap();
        }
        set
    };
    let mut desk = Desk::new();
    let root = desk.root();
    desk.start(root, RequestBody::ServerStart(set('a', 20))).unwrap();
    let fits = desk.ask(root, RequestBody::ClientConnect(set('b', 12)));
    assert!(matches!(fits, Ok(Effect::Join { labels, .. }) if labels.len() == 32));
    let refused = desk.ask(root, RequestBody::ClientConnect(set('b', 13)));
    assert_eq!(refused, Err(limit(LimitKind::Labels)));
}

#[test]
fn a_dial_fits_into_one_message() {
    let range = |number: u32| {
        let range = Pattern::Cidr(format!("10.{}.{}.0/24", number / 256, number % 256).parse().unwrap());
        Grant::new(Right::ClientConnect).with("server_address", range).unwrap()
    };
    let name = Grant::new(Right::ClientConnect).with("server_hostname", Pattern::Any).unwrap();
    let layer = |layer: u32| {
        let ranges = (0..255).map(|number| range(layer * 255 + number));
        Constraint {
            rights: Rights::only(Right::ClientConnect),
            grants: Some(ranges.chain([name.clone()]).collect()),
            ..Constraint::default()
        }
    };
    let mut desk = Desk::new();
    let root = desk.root();
    desk.egress(root, "");
    let mut capability = Capability::root();
    for depth in 1..=16 {
        capability = capability.constrain(&layer(depth)).unwrap();
        let handle = desk.switchboard.open(capability.clone()).unwrap();
        let refused = desk.connect(handle, "server_hostname=a.example").err();
        // 255 ranges a layer, 23 bytes each at most: ten layers fit into 64,000 bytes.
        assert_eq!(refused, (depth > 10).then(|| limit(LimitKind::Grants)), "{depth}");
    }
}

#[test]
fn requests_of_unlike_shapes_cannot_grow_the_index_without_end() {
    let mut desk = Desk::new();
    let root = desk.root();
    for number in 0..2_100 {
        desk.server(root, &format!("a={number} b=1 c=1 d=1 e=1 f=1"));
    }
    let keys = ["b=1", "c=1", "d=1", "e=1", "f=1"];
    let mut refusals = Vec::new();
    for shape in 1..32 {
        let request: Vec<&str> = (0..5).filter(|bit| shape >> bit & 1 == 1).map(|bit| keys[bit]).collect();
        refusals.push(desk.connect(root, &request.join(" ")).unwrap_err());
    }
    let full = refusals.iter().filter(|refusal| **refusal == limit(LimitKind::KeySets)).count();
    assert_eq!(full, 31 - 16, "{refusals:?}");
    // Whoever names every key is not concerned, and after a while others have their turn.
    assert!(desk.connect(root, "a=7 b=1 c=1 d=1 e=1 f=1").is_ok());
    desk.now += core::time::Duration::from_secs(60);
    assert!(desk.connect(root, "a=7 b=1").is_ok());
}
