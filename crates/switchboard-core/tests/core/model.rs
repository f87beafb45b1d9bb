//! The directory against a plain scan of everything: the same target, the same tie, the same keys.

use capability::{Capability, LabelKey, Labels, Refusal, keys, right};
use core::time::Duration;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;
use switchboard_core::{Directory, TargetId};

/// Few keys and values, so that targets collide; two of the keys are reserved.
const KEYS: [&str; 6] = ["network", "server_hostname", "a", "b", "c", "d"];

fn any_labels() -> impl Strategy<Value = Labels> {
    let value = prop_oneof![3 => Just(None), 2 => Just(Some("x")), 1 => Just(Some("y"))];
    proptest::array::uniform6(value).prop_map(|values| {
        let pairs = KEYS.iter().zip(values);
        Labels::try_from_pairs(pairs.filter_map(|(key, value)| Some((*key, value?)))).unwrap()
    })
}

/// The replicas among which a target may be chosen, or the refusal.
fn scan(targets: &[(TargetId, Labels)], request: &Labels) -> Result<BTreeSet<TargetId>, Refusal> {
    let holds_reserved =
        |own: &Labels| own.keys().all(|key| !keys::is_reserved(key.as_str()) || request.get(key.as_str()).is_some());
    let shared = |own: &Labels| own.keys().filter(|key| request.get(key.as_str()).is_some()).count();
    let matching: Vec<&(TargetId, Labels)> =
        targets.iter().filter(|(_, own)| own.contradictions(request).is_empty() && holds_reserved(own)).collect();
    let most = matching.iter().map(|(_, own)| shared(own)).max();
    let best: Vec<_> = matching.iter().filter(|(_, own)| Some(shared(own)) == most).collect();
    let sets: BTreeSet<&Labels> = best.iter().map(|(_, own)| own).collect();
    match sets.len() {
        0 => Err(Refusal::NotFound),
        1 => Ok(best.iter().map(|(target, _)| *target).collect()),
        _ => Err(Refusal::Ambiguous { keys: deciding(&sets, request) }),
    }
}

fn deciding(sets: &BTreeSet<&Labels>, request: &Labels) -> Vec<LabelKey> {
    let differing: Vec<LabelKey> = KEYS
        .iter()
        .filter(|key| sets.iter().any(|one| sets.iter().any(|other| one.get(key) != other.get(key))))
        .map(|key| LabelKey::new(key).unwrap())
        .collect();
    let lacked = |key: &&LabelKey| request.get(key.as_str()).is_none();
    let mut lacking: Vec<LabelKey> = differing.iter().filter(lacked).cloned().collect();
    lacking = if lacking.is_empty() { differing } else { lacking };
    lacking.sort();
    lacking
}

struct Registered {
    directory: Directory,
    targets: Vec<(TargetId, Labels)>,
}

impl Registered {
    fn new(all: &[Labels]) -> Self {
        let mut directory = Directory::new();
        let register = |labels: &Labels| {
            let permit = Capability::root().permit::<right::ServerStart>(labels).unwrap();
            (directory.register(&permit).0, labels.clone())
        };
        Self { targets: all.iter().map(register).collect(), directory }
    }

    fn choose(&mut self, request: &Labels) -> Result<TargetId, Refusal> {
        let permit = Capability::root().permit::<right::ClientConnect>(request).unwrap();
        let choice = self.directory.connect(&permit, Duration::ZERO)?;
        Ok(choice.target)
    }

    fn labels_of(&self, target: TargetId) -> Labels {
        let (_, labels) = self.targets.iter().find(|(other, _)| *other == target).unwrap();
        labels.clone()
    }
}

#[test]
fn the_directory_decides_as_a_plain_scan_does() {
    let seen: [Cell<u32>; 3] = Default::default();
    let targets = || proptest::collection::vec(any_labels(), 0..40);
    let removals = proptest::collection::vec(any::<prop::sample::Index>(), 0..20);
    let requests = proptest::collection::vec(any_labels(), 1..20);
    proptest!(|(targets in targets(), removals in removals, requests in requests)| {
        let mut registered = Registered::new(&targets);
        for removal in removals {
            if !registered.targets.is_empty() {
                let place = removal.index(registered.targets.len());
                let (target, _) = registered.targets.remove(place);
                registered.directory.remove(target);
            }
        }
        for request in requests {
            let expected = scan(&registered.targets, &request);
            let found = registered.choose(&request);
            let kind = match (&expected, &found) {
                (Ok(replicas), Ok(target)) => { prop_assert!(replicas.contains(target)); 0 }
                (Err(expected), Err(found)) => {
                    prop_assert_eq!(expected, found);
                    if *found == Refusal::NotFound { 1 } else { 2 }
                }
                _ => return Err(TestCaseError::fail(format!("{expected:?} {found:?}"))),
            };
            seen[kind].set(seen[kind].get() + 1);
        }
    });
    let seen = seen.map(|count| count.get());
    assert!(seen.iter().all(|count| *count > 50), "every kind of decision occurs: {seen:?}");
}

#[test]
fn registration_order_never_picks_the_target() {
    let chosen = Cell::new(0);
    let targets = proptest::collection::vec(any_labels(), 1..30).prop_flat_map(|targets| {
        let shuffled = Just(targets.clone()).prop_shuffle();
        (Just(targets), shuffled)
    });
    proptest!(|((targets, shuffled) in targets, request in any_labels())| {
        let (mut one, mut other) = (Registered::new(&targets), Registered::new(&shuffled));
        let (first, second) = (one.choose(&request), other.choose(&request));
        let first = first.map(|target| one.labels_of(target));
        let second = second.map(|target| other.labels_of(target));
        chosen.set(chosen.get() + u32::from(first.is_ok()));
        prop_assert_eq!(first, second);
    });
    assert!(chosen.get() > 20);
}

/// So many targets of one key set that the sorted orders are used, and not the comparison with each.
#[test]
fn a_large_key_set_decides_as_a_plain_scan_does() {
    let seen: [Cell<u32>; 2] = Default::default();
    let three = || proptest::array::uniform3(proptest::option::weighted(0.6, 0..6_u8));
    let changes = proptest::collection::vec((0..6_u8, 0..6_u8, 0..6_u8), 20..120);
    let config = ProptestConfig::with_cases(64);
    proptest!(config, |(changes in changes, requests in proptest::collection::vec(three(), 1..30))| {
        let labels = |values: [Option<u8>; 3]| {
            let texts = values.map(|value| value.map(|value| value.to_string()));
            let pairs = ["a", "b", "c"].into_iter().zip(&texts);
            Labels::try_from_pairs(pairs.filter_map(|(key, text)| Some((key, text.as_deref()?)))).unwrap()
        };
        let all: Vec<Labels> = (0..216_u8).map(|n| labels([Some(n % 6), Some(n / 6 % 6), Some(n / 36)])).collect();
        let mut registered = Registered::new(&all);
        for (step, (a, b, c)) in changes.into_iter().enumerate() {
            let own = labels([Some(a), Some(b), Some(c)]);
            if let Some(place) = registered.targets.iter().position(|(_, other)| *other == own) {
                let (target, _) = registered.targets.remove(place);
                registered.directory.remove(target);
            } else {
                let permit = Capability::root().permit::<right::ServerStart>(&own).unwrap();
                registered.targets.push((registered.directory.register(&permit).0, own));
            }
            // Between the changes, so that an order made before must have been kept up to date.
            let request = labels(requests[step % requests.len()]);
            match (scan(&registered.targets, &request), registered.choose(&request)) {
                (Ok(replicas), Ok(target)) => {
                    prop_assert!(replicas.contains(&target));
                    seen[0].set(seen[0].get() + 1);
                }
                // Of more than 64 ties the keys come from some, and may be fewer.
                (Err(Refusal::Ambiguous { keys }), Err(Refusal::Ambiguous { keys: found })) => {
                    prop_assert!(found.iter().all(|key| keys.contains(key)) && !found.is_empty());
                    seen[1].set(seen[1].get() + 1);
                }
                (expected, found) => prop_assert_eq!(expected.map(|_| ()), found.map(|_| ())),
            }
        }
    });
    assert!(seen.iter().all(|count| count.get() > 20), "{seen:?}");
}
