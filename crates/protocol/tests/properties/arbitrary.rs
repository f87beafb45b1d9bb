//! Arbitrary valid messages.

use capability::{
    AddressScope, Cidr, Constraint, Grant, LabelKey, Labels, LimitKind, Pattern, PortRange, Refusal, Right,
    UnreachableCause,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use protocol::message::*;
use protocol::{MAX_DATAGRAM_BYTES, MAX_DATAGRAMS};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

fn key() -> impl Strategy<Value = String> {
    "x[a-z0-9_.-]{0,62}"
}

fn value() -> impl Strategy<Value = String> {
    "[^\0]{0,60}"
}

fn hostname() -> impl Strategy<Value = String> {
    "[a-z0-9_-]{1,20}(\\.[a-z0-9-]{1,20}){0,3}"
}

pub(crate) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
    ]
}

fn reserved() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        select(vec!["tcp", "udp"]).prop_map(|value| ("transport", value.to_owned())),
        (1..=u16::MAX).prop_map(|port| ("server_port", port.to_string())),
        address().prop_map(|address| ("server_address", address.to_canonical().to_string())),
        hostname().prop_map(|name| ("server_hostname", name)),
        value().prop_map(|value| ("client_service", value)),
    ]
}

pub(crate) fn labels() -> impl Strategy<Value = Labels> {
    (btree_map(key(), value(), 0..6), vec(reserved(), 0..4)).prop_map(|(free, reserved)| {
        let mut labels =
            Labels::try_from_pairs(free.iter().map(|(key, value)| (key.as_str(), value.as_str()))).unwrap();
        for (key, value) in reserved {
            if labels.get(key).is_none() {
                labels.insert(key, &value).unwrap();
            }
        }
        labels
    })
}

pub(crate) fn datagrams() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![
        3 => Just(Vec::new()),
        1 => vec(vec(any::<u8>(), 0..40), 0..=MAX_DATAGRAMS),
        1 => Just(vec![vec![7; MAX_DATAGRAM_BYTES]]),
    ]
}

fn range() -> impl Strategy<Value = Cidr> {
    (address(), 0..=128_u8).prop_filter_map("a range", |(address, prefix)| match Cidr::new(address, prefix) {
        Ok(range) => Some(range),
        Err(capability::ParseCidrError::HostBits { meant }) => Some(meant),
        Err(_) => None,
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        Just(Pattern::Any),
        value().prop_map(|value| Pattern::exact(&value).unwrap()),
        hostname().prop_map(|name| Pattern::Suffix(format!("*.{name}").parse().unwrap())),
        range().prop_map(Pattern::Cidr),
        (1..=u16::MAX, 1..=u16::MAX)
            .prop_map(|(one, other)| Pattern::Ports(PortRange::new(one.min(other), one.max(other)).unwrap())),
    ]
}

pub(crate) fn grant() -> impl Strategy<Value = Grant> {
    let right = select(Right::ALL.to_vec());
    (right, btree_map(key(), pattern(), 0..5), any::<bool>()).prop_map(|(right, patterns, private)| {
        let with = |grant: Grant, (key, pattern): (String, Pattern)| grant.with(&key, pattern).unwrap();
        let grant = patterns.into_iter().fold(Grant::new(right), with);
        if private { grant.marked_private() } else { grant }
    })
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let rights = vec(select(Right::ALL.to_vec()), 0..8);
    (rights, labels(), labels(), proptest::option::of(vec(grant(), 0..5))).prop_map(
        |(rights, in_labels, out_labels, grants)| Constraint {
            rights: rights.into_iter().collect(),
            in_labels,
            out_labels,
            grants,
        },
    )
}

fn keys() -> impl Strategy<Value = Vec<LabelKey>> {
    vec(key().prop_map(|key| LabelKey::new(&key).unwrap()), 0..5)
}

const LIMITS: [LimitKind; 10] = [
    LimitKind::Labels,
    LimitKind::Grants,
    LimitKind::Handles,
    LimitKind::Targets,
    LimitKind::KeySets,
    LimitKind::Requests,
    LimitKind::Backlog,
    LimitKind::Dials,
    LimitKind::Descriptors,
    LimitKind::Datagrams,
];

const CAUSES: [UnreachableCause; 11] = [
    UnreachableCause::ConnectionRefused,
    UnreachableCause::TimedOut,
    UnreachableCause::HostUnreachable,
    UnreachableCause::NetworkUnreachable,
    UnreachableCause::AddressNotAvailable,
    UnreachableCause::NameNotFound,
    UnreachableCause::NameTemporary,
    UnreachableCause::NamePermanent,
    UnreachableCause::ConnectionReset,
    UnreachableCause::TargetGone,
    UnreachableCause::Other,
];

pub(crate) fn failure() -> impl Strategy<Value = Failure> {
    let refusal = prop_oneof![
        select(Right::ALL.to_vec()).prop_map(|right| Refusal::Right { right }),
        keys().prop_map(|keys| Refusal::Label { keys }),
        Just(Refusal::Grant),
        address().prop_map(|address| Refusal::PrivateName { address }),
        select(LIMITS.to_vec()).prop_map(|limit| Refusal::Limit { limit }),
        Just(Refusal::NotFound),
        keys().prop_map(|keys| Refusal::Ambiguous { keys }),
        select(CAUSES.to_vec()).prop_map(|cause| Refusal::Unreachable { cause }),
    ];
    prop_oneof![8 => refusal.prop_map(Failure::Refused), 1 => Just(Failure::Fault)]
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        constraint().prop_map(RequestBody::Constrain),
        labels().prop_map(RequestBody::ClientConnect),
        labels().prop_map(RequestBody::ServerStart),
        (labels(), datagrams()).prop_map(|(labels, datagrams)| RequestBody::IngressConnect { labels, datagrams }),
        labels().prop_map(RequestBody::EgressStart),
        labels().prop_map(RequestBody::ResolverStart),
        labels().prop_map(RequestBody::List),
        labels().prop_map(RequestBody::Watch),
        labels().prop_map(RequestBody::Resolve),
    ];
    (any::<u64>().prop_map(RequestId), body).prop_map(|(id, body)| Request { id, body })
}

pub(crate) fn target() -> impl Strategy<Value = TargetInfo> {
    let kind = select(vec![TargetKind::Server, TargetKind::Egress, TargetKind::Resolver]);
    (kind, labels(), any::<u32>()).prop_map(|(kind, in_labels, replicas)| TargetInfo { kind, in_labels, replicas })
}

pub(crate) fn response() -> impl Strategy<Value = Response> {
    let body = prop_oneof![
        Just(ResponseBody::Handle),
        labels().prop_map(ResponseBody::Connected),
        Just(ResponseBody::Started),
        labels().prop_map(ResponseBody::Delivered),
        (vec(target(), 0..5), any::<bool>()).prop_map(|(targets, last)| ResponseBody::Listing { targets, last }),
        Just(ResponseBody::Watching),
        vec(address(), 0..8).prop_map(ResponseBody::Addresses),
        failure().prop_map(ResponseBody::Failed),
    ];
    (any::<u64>().prop_map(RequestId), body).prop_map(|(id, body)| Response { id, body })
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let id = || any::<u64>().prop_map(CallId);
    let scope = vec(vec(range(), 0..4), 0..3).prop_map(AddressScope::new);
    prop_oneof![
        (labels(), datagrams()).prop_map(|(labels, datagrams)| Call::Connection { labels, datagrams }),
        (id(), labels(), scope).prop_map(|(id, labels, scope)| Call::Dial { id, labels, scope }),
        (id(), labels()).prop_map(|(id, labels)| Call::Lookup { id, labels }),
        id().prop_map(|id| Call::Cancel { id }),
    ]
}

pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let body = prop_oneof![
        labels().prop_map(ReplyBody::Dialled),
        vec(address(), 0..8).prop_map(ReplyBody::Addresses),
        failure().prop_map(ReplyBody::Failed),
    ];
    (any::<u64>().prop_map(CallId), body).prop_map(|(id, body)| Reply { id, body })
}

pub(crate) fn decision() -> impl Strategy<Value = Decision> {
    let counts = (any::<u64>().prop_map(Duration::from_micros), any::<u64>());
    let failure = proptest::option::of(failure());
    ("[a-z-]{1,20}", labels(), labels(), failure, counts)
        .prop_map(|(request, from, to, failure, (took, lost))| Decision { request, from, to, failure, took, lost })
}
