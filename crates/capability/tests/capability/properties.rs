//! What holds for all capabilities: constrain never widens, repeats change nothing, order is irrelevant.
//!
//! Keys, values and patterns are few, so that they meet; each test counts how often each outcome occurred and fails if
//! one hardly did.

use capability::right::RightKind;
use capability::{
    AddressScope, Capability, Cidr, Constraint, Grant, Labels, Pattern, Permit, Refusal, Right, Rights, keys, right,
};
use core::net::IpAddr;
use proptest::prelude::*;
use std::cell::Cell;

const SETS: [(&str, &[&str]); 7] = [
    ("transport", &["tcp", "udp"]),
    ("network", &["outside", "shop"]),
    ("server_address", &["10.0.0.1", "10.0.1.1", "::1"]),
    ("server_port", &["22", "80"]),
    ("server_hostname", &["a.example", "b.example"]),
    ("client_service", &["web", "db"]),
    ("colour", &["red", "blue"]),
];

fn any_labels(likely: f64) -> impl Strategy<Value = Labels> {
    let choice = proptest::option::weighted(likely, any::<prop::sample::Index>());
    proptest::collection::vec(choice, SETS.len()).prop_map(|choices| {
        let pairs = SETS.iter().zip(choices);
        let chosen = pairs.filter_map(|((key, values), choice)| Some((*key, *choice?.get(values))));
        Labels::try_from_pairs(chosen).unwrap()
    })
}

/// The keys of a connection by name, by address, and by neither: requests and grants of one shape meet often.
const SHAPES: [&[&str]; 3] =
    [&["network", "server_hostname", "server_port"], &["network", "server_address", "server_port"], &["network"]];

fn any_shape() -> impl Strategy<Value = &'static [&'static str]> {
    prop::sample::select(SHAPES.to_vec())
}

/// Labels of some shape, and now and then one more.
fn any_request() -> impl Strategy<Value = Labels> {
    let choices = proptest::collection::vec(any::<prop::sample::Index>(), SETS.len());
    (any_shape(), choices, any_labels(0.03)).prop_map(|(shape, choices, more)| {
        let pairs = SETS.iter().zip(choices);
        let chosen = pairs.filter(|((key, _), _)| shape.contains(key));
        let labels = Labels::try_from_pairs(chosen.map(|((key, values), choice)| (*key, *choice.get(values))));
        let labels = labels.unwrap();
        labels.merge(&more).unwrap_or(labels)
    })
}

fn any_pattern(place: usize) -> impl Strategy<Value = Pattern> {
    let (key, values) = SETS[place];
    let exact = prop::sample::select(values).prop_map(|value| Pattern::exact(value).unwrap());
    let ranges: Vec<Pattern> = match key {
        "server_address" => {
            ["10.0.0.0/24", "10.0.0.0/8", "::/0"].map(|range| Pattern::Cidr(range.parse().unwrap())).to_vec()
        }
        "server_port" => vec![Pattern::Ports("22-23".parse().unwrap())],
        "server_hostname" => vec![Pattern::Suffix("*.example".parse().unwrap())],
        _ => vec![Pattern::Any],
    };
    prop_oneof![2 => Just(Pattern::Any), 1 => exact, 2 => prop::sample::select(ranges)]
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let rights = [Right::ClientConnect, Right::ClientConnect, Right::IngressConnect, Right::ServerStart];
    let patterns: Vec<_> = (0..SETS.len()).map(any_pattern).collect();
    let more = prop::sample::select(vec!["", "", "", "colour", "transport"]);
    let all = (prop::sample::select(rights.to_vec()), any_shape(), more, patterns, 0..4_u8);
    all.prop_map(|(right, shape, more, patterns, mark)| {
        let pairs = SETS.iter().zip(patterns);
        let grant = pairs
            .filter(|((key, _), _)| shape.contains(key) || *key == more)
            .fold(Grant::new(right), |grant, ((key, _), pattern)| grant.with(key, pattern).unwrap());
        if mark == 0 { grant.marked_private() } else { grant }
    })
}

fn any_rights() -> impl Strategy<Value = Rights> {
    let some = proptest::sample::subsequence(Right::ALL.to_vec(), 5..=7).prop_map(Rights::from_iter);
    prop_oneof![3 => Just(Rights::ALL), 1 => some]
}

fn any_constraint() -> impl Strategy<Value = Constraint> {
    let grants = proptest::option::weighted(0.5, proptest::collection::vec(any_grant(), 1..9));
    (any_rights(), any_labels(0.1), any_labels(0.1), grants)
        .prop_map(|(rights, in_labels, out_labels, grants)| Constraint { rights, in_labels, out_labels, grants })
}

/// The capability that these make, of which the refused ones are left out.
fn constrained(constraints: &[Constraint]) -> Capability {
    constraints
        .iter()
        .fold(Capability::root(), |capability, constraint| capability.constrain(constraint).unwrap_or(capability))
}

fn any_capability() -> impl Strategy<Value = Capability> {
    proptest::collection::vec(any_constraint(), 0..3).prop_map(|constraints| constrained(&constraints))
}

/// How often something was so, and how often it was not.
#[derive(Default)]
struct Seen(Cell<u32>, Cell<u32>);

impl Seen {
    fn count(&self, was_so: bool) {
        let cell = if was_so { &self.0 } else { &self.1 };
        cell.set(cell.get() + 1);
    }

    fn both(&self, least: u32) {
        let (so, not) = (self.0.get(), self.1.get());
        assert!(so >= least && not >= least, "{so} were so and {not} were not");
    }
}

/// The request that the stronger handle must make to stand for the same as the weaker one: the union, of which it may
/// not say itself what was stamped since.
fn unstamped<R: RightKind>(labels: &Labels) -> Labels {
    if R::RIGHT == Right::IngressConnect {
        return labels.clone();
    }
    keys::SOURCE.iter().fold(labels.clone(), |labels, key| labels.without(key))
}

fn addresses() -> [IpAddr; 6] {
    ["10.0.0.1", "10.0.0.9", "10.9.0.1", "::1", "8.8.8.8", "127.0.0.1"].map(|text| text.parse().unwrap())
}

fn leads_no_further(weaker: &AddressScope, stronger: &AddressScope) -> bool {
    addresses().into_iter().all(|address| !weaker.permits(address) || stronger.permits(address))
}

fn never_wider<R: RightKind>(
    seen: &Seen,
    stronger: &Capability,
    weaker: &Capability,
    request: &Labels,
) -> Result<(), TestCaseError> {
    let permit: Result<Permit<R>, Refusal> = weaker.permit(request);
    seen.count(permit.is_ok());
    let Ok(permit) = permit else {
        return Ok(());
    };
    let same = unstamped::<R>(permit.labels());
    let by_stronger: Result<Permit<R>, Refusal> = stronger.permit(&same);
    let by_stronger = match by_stronger {
        Ok(permit) => permit,
        Err(refusal) => return Err(TestCaseError::fail(format!("the stronger one is refused: {refusal:?}"))),
    };
    prop_assert!(leads_no_further(permit.scope(), by_stronger.scope()));
    // It stands for the same, but what was stamped since.
    let both = by_stronger.labels().merge(permit.labels());
    prop_assert_eq!(both, Ok(permit.labels().clone()));
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig::with_cases(2_000)
}

#[test]
fn what_a_weaker_handle_may_do_the_stronger_one_may() {
    let (connects, starts, pushes) = (Seen::default(), Seen::default(), Seen::default());
    let (lookups, limited) = (Seen::default(), Seen::default());
    proptest!(config(), |(stronger in any_capability(), by in any_constraint(), request in any_request())| {
        let Ok(weaker) = stronger.constrain(&by) else { return Ok(()); };
        never_wider::<right::ClientConnect>(&connects, &stronger, &weaker, &request)?;
        never_wider::<right::ServerStart>(&starts, &stronger, &weaker, &request)?;
        never_wider::<right::IngressConnect>(&pushes, &stronger, &weaker, &request)?;
        let lookup = weaker.permit_lookup(&request);
        lookups.count(lookup.is_ok());
        if let Ok(lookup) = lookup {
            let same = unstamped::<right::ClientConnect>(lookup.labels());
            prop_assert!(stronger.permit_lookup(&same).is_ok());
        }
        if let Ok(permit) = weaker.permit::<right::ClientConnect>(&request) {
            limited.count(addresses().into_iter().any(|address| !permit.scope().permits(address)));
        }
    });
    [connects, starts, pushes, lookups].iter().for_each(|seen| seen.both(20));
    limited.both(10);
}

#[test]
fn a_weaker_handle_holds_fewer_rights_and_more_labels() {
    let made = Seen::default();
    proptest!(config(), |(stronger in any_capability(), by in any_constraint())| {
        let weaker = stronger.constrain(&by);
        made.count(weaker.is_ok());
        if let Ok(weaker) = weaker {
            prop_assert!(weaker.rights().beyond(stronger.rights()).is_empty());
            prop_assert_eq!(weaker.rights(), by.rights);
            for (less, more, added) in [
                (stronger.in_labels(), weaker.in_labels(), &by.in_labels),
                (stronger.out_labels(), weaker.out_labels(), &by.out_labels),
            ] {
                prop_assert_eq!(less.merge(added), Ok(more.clone()));
                prop_assert!(less.iter().all(|(key, value)| more.get(key.as_str()) == Some(value.as_str())));
            }
            let kept: Vec<&[Grant]> = weaker.layers().take(stronger.layers().len()).collect();
            prop_assert!(stronger.layers().eq(kept));
        }
    });
    made.both(100);
}

#[test]
fn repeating_a_constrain_changes_nothing() {
    let made = Seen::default();
    proptest!(config(), |(capability in any_capability(), by in any_constraint())| {
        let once = capability.constrain(&by);
        made.count(once.is_ok());
        if let Ok(once) = once {
            prop_assert_eq!(once.constrain(&by), Ok(once.clone()));
        }
    });
    made.both(100);
}

/// Layers are a set: their order shows in the list and nowhere else.
fn means_the_same(one: &Capability, other: &Capability) -> bool {
    let sorted = |capability: &Capability| {
        let shown = |layer: &[Grant]| layer.iter().map(Grant::to_string).collect::<Vec<_>>();
        let mut layers: Vec<Vec<String>> = capability.layers().map(shown).collect();
        layers.sort();
        layers
    };
    let labels = |capability: &Capability| (capability.in_labels().clone(), capability.out_labels().clone());
    one.rights() == other.rights() && labels(one) == labels(other) && sorted(one) == sorted(other)
}

#[test]
fn the_order_of_constraining_is_irrelevant_unless_a_step_is_refused() {
    let made = Seen::default();
    let steps = || (any_constraint(), any_constraint());
    proptest!(config(), |(capability in any_capability(), (a, b) in steps(), request in any_request())| {
        let one = capability.constrain(&a).and_then(|weaker| weaker.constrain(&b));
        let other = capability.constrain(&b).and_then(|weaker| weaker.constrain(&a));
        made.count(one.is_ok() && other.is_ok());
        if let (Ok(one), Ok(other)) = (one, other) {
            prop_assert!(means_the_same(&one, &other), "{one:?} {other:?}");
            let permits = (
                one.permit::<right::ClientConnect>(&request),
                other.permit::<right::ClientConnect>(&request),
            );
            match permits {
                (Ok(one), Ok(other)) => {
                    prop_assert_eq!(one.labels(), other.labels());
                    prop_assert!(leads_no_further(one.scope(), other.scope()));
                    prop_assert!(leads_no_further(other.scope(), one.scope()));
                }
                (one, other) => prop_assert_eq!(one.map(drop), other.map(drop)),
            }
        }
    });
    made.both(100);
}

#[test]
fn one_constrain_does_what_two_do() {
    let made = Seen::default();
    proptest!(config(), |(capability in any_capability(), a in any_constraint(), b in any_constraint())| {
        let (a, b) = (Constraint { grants: None, rights: Rights::ALL, ..a }, b);
        let two = capability.constrain(&a).and_then(|weaker| weaker.constrain(&b));
        let merged = a.in_labels.merge(&b.in_labels).and_then(|in_labels| {
            let out_labels = a.out_labels.merge(&b.out_labels)?;
            Ok(Constraint { in_labels, out_labels, ..b.clone() })
        });
        made.count(two.is_ok());
        if let Ok(two) = two {
            prop_assert_eq!(capability.constrain(&merged.unwrap()), Ok(two));
        }
    });
    made.both(100);
}

#[test]
fn merge_is_commutative_associative_and_idempotent() {
    let merged = Seen::default();
    let three = || (any_labels(0.2), any_labels(0.2), any_labels(0.2));
    proptest!(config(), |((a, b, c) in three())| {
        let union = a.merge(&b);
        merged.count(union.is_ok());
        prop_assert_eq!(&union, &b.merge(&a));
        prop_assert_eq!(a.merge(&a), Ok(a.clone()));
        prop_assert_eq!(a.merge(&Labels::new()), Ok(a.clone()));
        prop_assert_eq!(union.is_ok(), a.contradictions(&b).is_empty());
        let left = union.and_then(|union| union.merge(&c)).ok();
        let right = b.merge(&c).and_then(|union| a.merge(&union)).ok();
        prop_assert_eq!(left, right);
    });
    merged.both(200);
}

#[test]
fn a_grant_covers_nothing_by_a_right_it_is_not_for() {
    let covered = Seen::default();
    proptest!(config(), |(grant in any_grant(), request in any_request())| {
        for right in Right::ALL {
            let covers = grant.covers(right, &request);
            prop_assert!(!covers || right == grant.right());
            covered.count(covers);
            // What it covers it mentions, and each pattern finds its label.
            if covers {
                let mentioned = |key: &str| grant.patterns().any(|(mentioned, _)| mentioned.as_str() == key);
                let leads = |key: &&&str| request.get(key).is_some();
                prop_assert!(keys::DESTINATION.iter().filter(leads).all(|key| mentioned(key)));
                prop_assert!(grant.patterns().all(|(key, _)| request.get(key.as_str()).is_some()));
            }
        }
    });
    covered.both(20);
}

#[test]
fn a_range_holds_what_shares_its_leading_bits() {
    let held = Seen::default();
    proptest!(config(), |(network: u32, prefix in 0..=32_u8, flipped in 0..32_u32)| {
        let network = network & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let range = Cidr::new(core::net::Ipv4Addr::from_bits(network).into(), prefix).unwrap();
        prop_assert_eq!(range.to_string().parse(), Ok(range));
        let other = core::net::Ipv4Addr::from_bits(network ^ (1 << (31 - flipped)));
        let holds = range.contains(other.into());
        held.count(holds);
        prop_assert_eq!(holds, flipped >= u32::from(prefix));
    });
    held.both(100);
}
