//! The targets of one kind, and which of them shares most keys with a request.
//!
//! Tuple space search (Srinivasan, Suri and Varghese, 1999): targets are grouped by the set of keys of their labels. The
//! keys alone say how many of them a request shares and whether it lacks a reserved one, so key sets are tried in that
//! order, and each is one search in a sorted map. A decision therefore costs the same among ten targets and among a
//! hundred thousand; only the number of different key sets counts, and that is bounded.

use super::TargetId;
use super::key_set::{KeySet, TooManyOrders};
use crate::slab::Slab;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use capability::{LabelKey, Labels, keys};
use core::cmp::Reverse;
use core::ops::Bound;
use core::time::Duration;

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

/// The groups that match a request best.
#[derive(Debug, Default)]
pub(crate) struct Best {
    /// Keys shared with the request.
    pub(crate) shared: usize,
    /// At most as many as were asked for; none if nothing matches.
    pub(crate) groups: Vec<GroupId>,
}

#[derive(Debug)]
pub(crate) struct Index {
    groups: Slab<Group>,
    key_sets: Slab<KeySet>,
    by_keys: BTreeMap<Box<[LabelKey]>, usize>,
    /// For each key the key sets it is in.
    by_key: BTreeMap<LabelKey, Vec<usize>>,
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self { groups: Slab::new(), key_sets: Slab::new(), by_keys: BTreeMap::new(), by_key: BTreeMap::new() }
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
        let known = self.key_sets.get(number).and_then(|key_set| key_set.exact(labels));
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
        if !key_set.is_empty() {
            return None;
        }
        self.remove_key_set(group.key_set);
        Some(group.key_set)
    }

    /// The groups that do not contradict `request`, need no reserved label that it lacks, and share most keys with it;
    /// at most `enough` of them, in no order.
    pub(crate) fn best(&mut self, request: &Labels, now: Duration, enough: usize) -> Result<Best, TooManyOrders> {
        let mut best = Best::default();
        for (shared, number) in self.candidates(request) {
            if shared < best.shared && !best.groups.is_empty() || best.groups.len() >= enough {
                break;
            }
            if let Some(key_set) = self.key_sets.get_mut(number) {
                key_set.matching(request, now, enough - best.groups.len(), &mut best.groups)?;
            }
            best.shared = shared;
        }
        Ok(best)
    }

    /// The key sets whose every reserved key the request holds, with the number of keys they share, most first.
    fn candidates(&self, request: &Labels) -> Vec<(usize, usize)> {
        let mut shared = vec![(0_usize, 0_usize); self.key_sets.end()];
        for key in request.keys() {
            let reserved = usize::from(keys::is_reserved(key.as_str()));
            for number in self.by_key.get(key).into_iter().flatten() {
                shared[*number].0 += 1;
                shared[*number].1 += reserved;
            }
        }
        let holds_reserved = |(number, key_set): (usize, &KeySet)| {
            let (shared, shared_reserved) = shared[number];
            (shared_reserved == key_set.reserved()).then_some((shared, number))
        };
        let mut candidates: Vec<_> = self.key_sets.iter().filter_map(holds_reserved).collect();
        candidates.sort_unstable_by_key(|(shared, number)| (Reverse(*shared), *number));
        candidates
    }

    fn add_key_set(&mut self, labels: &Labels) -> usize {
        let keys = keys_of(labels);
        let number = self.key_sets.insert(KeySet::new(keys.clone()));
        for key in &keys {
            self.by_key.entry(key.clone()).or_default().push(number);
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
            if let Some(numbers) = self.by_key.get_mut(key) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.by_key.remove(key);
                }
            }
        }
    }
}

fn keys_of(labels: &Labels) -> Box<[LabelKey]> {
    labels.keys().cloned().collect()
}
