//! The targets of one kind, and which of them shares most keys with a request.
//!
//! Tuple space search (Srinivasan, Suri and Varghese, 1999): targets are grouped by the set of keys of their labels. The
//! keys alone say which of them a request shares and whether it lacks a reserved one, so key sets are tried in the order
//! of how many they share. Those that share the same keys are tried together, with one search in a sorted map. A
//! decision therefore costs the same among ten targets and among a hundred thousand; only the number of different key
//! sets counts, and that is bounded.

use super::TargetId;
use super::key_set::{self, KeySet};
use super::orders::Orders;
use crate::slab::Slab;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use capability::{LabelKey, Labels, keys};
use core::cmp::Reverse;
use core::ops::Bound;
use core::time::Duration;

/// Groups up to which a request that lacks some keys is compared with each, and no order is made for it.
const COMPARE_EACH: usize = 16;
/// Groups up to which that is done when there is no room for another order. It takes about a tenth of a millisecond.
const COMPARE_AT_MOST: usize = 2_048;

/// Which keys of a request a key set has: one bit for each, as a label set has at most 32.
type Shared = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId(pub(crate) usize);

/// Targets with equal labels: replicas of each other.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) labels: Labels,
    members: BTreeSet<TargetId>,
    /// Whose turn it was last.
    last: Option<TargetId>,
    key_set: usize,
}

impl Group {
    pub(crate) fn replicas(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// The member whose turn it is.
    pub(crate) fn next(&mut self) -> Option<TargetId> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut later = self.members.range((after, Bound::Unbounded));
        self.last = later.next().or(self.members.first()).copied();
        self.last
    }
}

/// Requests lack too many combinations of keys: there is no room for another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyOrders;

/// The groups that match a request best.
#[derive(Debug, Default)]
pub(crate) struct Best {
    /// How many keys they share with the request.
    pub(crate) shared: u32,
    /// At most as many as were asked for; none if nothing matches.
    pub(crate) groups: Vec<GroupId>,
}

#[derive(Debug)]
pub(crate) struct Index {
    groups: Slab<Group>,
    key_sets: Slab<KeySet>,
    by_keys: BTreeMap<Box<[LabelKey]>, usize>,
    by_key: BTreeMap<LabelKey, Key>,
    next_key: u64,
    orders: Orders,
}

#[derive(Debug)]
struct Key {
    /// Never used again after the last key set with the key is gone.
    number: u64,
    /// The key sets it is in.
    key_sets: Vec<usize>,
}

/// A request, with what the index knows of its keys.
struct Asked<'a> {
    request: &'a Labels,
    /// The key and value that each bit of [`Shared`] stands for, and the number of the key, if a target has it.
    labels: Vec<(&'a LabelKey, &'a str, Option<u64>)>,
}

impl Asked<'_> {
    fn shared(&self, mask: Shared) -> impl Iterator<Item = &(&LabelKey, &str, Option<u64>)> {
        let labels = self.labels.iter().enumerate();
        labels.filter(move |(bit, _)| mask >> bit & 1 == 1).map(|(_, label)| label)
    }

    fn values(&self, mask: Shared) -> String {
        key_set::tuple(self.shared(mask).map(|(_, value, _)| *value))
    }
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            groups: Slab::new(),
            key_sets: Slab::new(),
            by_keys: BTreeMap::new(),
            by_key: BTreeMap::new(),
            next_key: 0,
            orders: Orders::new(),
        }
    }

    /// The number of the set of these labels' keys, if there is a target with just those.
    pub(crate) fn key_set_of(&self, labels: &Labels) -> Option<usize> {
        self.by_keys.get(&keys_of(labels)).copied()
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id.0)
    }

    pub(crate) fn group_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id.0)
    }

    /// The groups from `first` on.
    pub(crate) fn groups_from(&self, first: GroupId) -> impl Iterator<Item = (GroupId, Option<&Group>)> {
        (first.0..self.groups.end()).map(|number| (GroupId(number), self.groups.get(number)))
    }

    /// Adds a target, and says to which group, and to which key set.
    pub(crate) fn insert(&mut self, labels: &Labels, target: TargetId) -> (GroupId, usize) {
        let number = self.key_set_of(labels).unwrap_or_else(|| self.add_key_set(labels));
        let known = self.key_sets.get(number).and_then(|key_set| key_set.exact(&key_set::tuple_of(labels)));
        let group = known.unwrap_or_else(|| {
            GroupId(self.groups.insert(Group {
                labels: labels.clone(),
                members: BTreeSet::new(),
                last: None,
                key_set: number,
            }))
        });
        if known.is_none()
            && let Some(key_set) = self.key_sets.get_mut(number)
        {
            key_set.insert(labels, group);
            self.orders.insert(labels, number, group);
        }
        if let Some(group) = self.groups.get_mut(group.0) {
            group.members.insert(target);
        }
        (group, number)
    }

    /// Takes a target out, and says which key set went with it, if it was the last with those keys.
    pub(crate) fn remove(&mut self, id: GroupId, target: TargetId) -> Option<usize> {
        let group = self.groups.get_mut(id.0)?;
        group.members.remove(&target);
        if !group.members.is_empty() {
            return None;
        }
        let group = self.groups.remove(id.0)?;
        let key_set = self.key_sets.get_mut(group.key_set)?;
        key_set.remove(&group.labels);
        self.orders.remove(&group.labels, group.key_set, id);
        if key_set.len() > 0 {
            return None;
        }
        self.remove_key_set(group.key_set);
        Some(group.key_set)
    }

    /// The groups that do not contradict `request`, need no reserved label that it lacks, and share most keys with it;
    /// at most `enough` of them, in no order.
    pub(crate) fn best(&mut self, request: &Labels, now: Duration, enough: usize) -> Result<Best, TooManyOrders> {
        let number = |key| self.by_key.get(key).map(|key| key.number);
        let labels = request.iter().map(|(key, value)| (key, value.as_str(), number(key)));
        let asked = Asked { labels: labels.collect(), request };
        let candidates = self.candidates(&asked);
        let mut best = Best::default();
        for alike in candidates.chunk_by(|(one, _), (other, _)| one == other) {
            let shared = alike[0].0.count_ones();
            if shared < best.shared && !best.groups.is_empty() || best.groups.len() >= enough {
                break;
            }
            best.shared = shared;
            self.matching(&asked, alike, now, enough, &mut best.groups)?;
        }
        Ok(best)
    }

    /// The key sets whose every reserved key the request holds, with the keys that they share. Most keys first, and key
    /// sets that share the same keys beside each other.
    fn candidates(&self, asked: &Asked<'_>) -> Vec<(Shared, usize)> {
        let mut shared: Vec<Shared> = vec![0; self.key_sets.end()];
        let mut reserved: Shared = 0;
        for (bit, (key, ..)) in asked.labels.iter().enumerate() {
            reserved |= Shared::from(keys::is_reserved(key.as_str())) << bit;
            for number in self.by_key.get(*key).iter().flat_map(|key| &key.key_sets) {
                shared[*number] |= 1 << bit;
            }
        }
        let holds_reserved = |(number, key_set): (usize, &KeySet)| {
            let shared = shared[number];
            ((shared & reserved).count_ones() == key_set.reserved()).then_some((shared, number))
        };
        let mut candidates: Vec<_> = self.key_sets.iter().filter_map(holds_reserved).collect();
        candidates.sort_unstable_by_key(|(shared, number)| (Reverse(shared.count_ones()), *shared, *number));
        candidates
    }

    /// Adds to `found` the groups that match in key sets which share the same keys with the request.
    fn matching(
        &mut self,
        asked: &Asked<'_>,
        alike: &[(Shared, usize)],
        now: Duration,
        enough: usize,
        found: &mut Vec<GroupId>,
    ) -> Result<(), TooManyOrders> {
        let mask = alike[0].0;
        let values = asked.values(mask);
        let mut lacking = Vec::with_capacity(alike.len());
        for (_, number) in alike {
            let Some(key_set) = self.key_sets.get(*number) else {
                continue;
            };
            if mask == 0 {
                found.extend(key_set.groups().take(enough.saturating_sub(found.len())));
            } else if key_set.keys().len() == mask.count_ones() as usize {
                found.extend(key_set.exact(&values));
            } else {
                lacking.push((*number, key_set));
            }
        }
        let count: usize = lacking.iter().map(|(_, key_set)| key_set.len()).sum();
        let is_meant = |number: usize| lacking.binary_search_by_key(&number, |(number, _)| *number).is_ok();
        if count > COMPARE_EACH {
            let numbers: Vec<u64> = asked.shared(mask).filter_map(|(.., number)| *number).collect();
            let make = || -> (Vec<LabelKey>, Box<dyn Iterator<Item = _>>) {
                let keys = asked.shared(mask).map(|(key, ..)| (*key).clone()).collect();
                let groups = self.groups.iter();
                let rows = groups.map(|(id, group)| (&group.labels, group.key_set, GroupId(id)));
                (keys, Box::new(rows))
            };
            if let Some(order) = self.orders.get(&numbers, now, make) {
                order.find(values.into(), is_meant, enough, found);
                return Ok(());
            }
        }
        if count > COMPARE_AT_MOST {
            return Err(TooManyOrders);
        }
        let matching = lacking.iter().flat_map(|(_, key_set)| key_set.compare_each(asked.request));
        found.extend(matching.take(enough.saturating_sub(found.len())));
        Ok(())
    }

    fn add_key_set(&mut self, labels: &Labels) -> usize {
        let keys = keys_of(labels);
        let number = self.key_sets.insert(KeySet::new(keys.clone()));
        for key in &keys {
            let known = self.by_key.entry(key.clone()).or_insert_with(|| {
                self.next_key += 1;
                Key { number: self.next_key, key_sets: Vec::new() }
            });
            known.key_sets.push(number);
        }
        self.by_keys.insert(keys, number);
        number
    }

    fn remove_key_set(&mut self, number: usize) {
        let Some(key_set) = self.key_sets.remove(number) else {
            return;
        };
        self.by_keys.remove(key_set.keys());
        for key in key_set.keys() {
            if let Some(known) = self.by_key.get_mut(key) {
                known.key_sets.retain(|other| *other != number);
                if known.key_sets.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }
}

fn keys_of(labels: &Labels) -> Box<[LabelKey]> {
    labels.keys().cloned().collect()
}
