//! The groups whose labels have the same keys, sorted by their values.

use super::index::GroupId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use capability::{LabelKey, LabelValue, Labels, keys};

#[derive(Debug)]
pub(super) struct KeySet {
    keys: Box<[LabelKey]>,
    reserved: u32,
    /// The values of each group in the order of the keys, as [`tuple`] writes them.
    groups: BTreeMap<Box<str>, GroupId>,
}

impl KeySet {
    pub(super) fn new(keys: Box<[LabelKey]>) -> Self {
        let is_reserved = |key: &LabelKey| u32::from(keys::is_reserved(key.as_str()));
        Self { reserved: keys.iter().map(is_reserved).sum(), keys, groups: BTreeMap::new() }
    }

    pub(super) fn keys(&self) -> &[LabelKey] {
        &self.keys
    }

    /// How many of the keys are reserved: a request must hold them all.
    pub(super) fn reserved(&self) -> u32 {
        self.reserved
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.groups.values().copied()
    }

    /// The group with these values.
    pub(super) fn exact(&self, tuple: &str) -> Option<GroupId> {
        self.groups.get(tuple).copied()
    }

    pub(super) fn insert(&mut self, labels: &Labels, group: GroupId) {
        self.groups.insert(tuple_of(labels).into(), group);
    }

    pub(super) fn remove(&mut self, labels: &Labels) {
        self.groups.remove(tuple_of(labels).as_str());
    }

    /// The groups that do not contradict `request`, found by comparing it with each.
    pub(super) fn compare_each(&self, request: &Labels) -> impl Iterator<Item = GroupId> {
        let wanted: Vec<Option<&str>> = self.keys.iter().map(|key| request.get(key.as_str())).collect();
        let agrees = move |tuple: &str| {
            let mut pairs = tuple.split_terminator('\0').zip(&wanted);
            pairs.all(|(value, wanted)| wanted.is_none_or(|wanted| wanted == value))
        };
        let agreeing = self.groups.iter().filter(move |(tuple, _)| agrees(tuple));
        agreeing.map(|(_, group)| *group)
    }
}

/// Values as one text: each is followed by a NUL, which no value holds, so different values are different texts.
pub(super) fn tuple<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut tuple = String::new();
    for value in values {
        tuple.push_str(value);
        tuple.push('\0');
    }
    tuple
}

/// All values of a set, in the order of their keys.
pub(super) fn tuple_of(labels: &Labels) -> String {
    tuple(labels.iter().map(|(_, value): (_, &LabelValue)| value.as_str()))
}
