//! Groups sorted by the values of some of their keys, for requests that lack the others.
//!
//! An order is for one set of keys that requests share with targets, and holds the groups of every key set that has
//! these and more. It is made when it is first needed and kept up to date from then on.

use super::index::GroupId;
use super::key_set::tuple;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use capability::{LabelKey, Labels};
use core::time::Duration;

/// Orders kept for one kind of target. Each holds some values of all targets, and a requester chooses which it needs.
const MAX_ORDERS: usize = 16;
/// How long an order must have been idle before another may take its place. Making one sorts all targets, so this
/// bounds how often a requester can cause that.
const ORDER_IDLE: Duration = Duration::from_secs(60);

/// The numbers of the keys, in the order of the keys. The index numbers each key once and for good.
pub(super) type KeyNumbers = Box<[u64]>;

#[derive(Debug)]
pub(super) struct Orders(BTreeMap<KeyNumbers, Order>);

#[derive(Debug)]
pub(super) struct Order {
    keys: Vec<LabelKey>,
    /// The values of the keys, then the key set that the group is in.
    rows: BTreeSet<(Box<str>, usize, GroupId)>,
    /// When it last found something out.
    used: Duration,
}

impl Orders {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The order for these keys; `None` if there is none and no room for another.
    pub(super) fn get<'a>(
        &mut self,
        numbers: &[u64],
        now: Duration,
        make: impl FnOnce() -> (Vec<LabelKey>, Box<dyn Iterator<Item = (&'a Labels, usize, GroupId)> + 'a>),
    ) -> Option<&Order> {
        if !self.0.contains_key(numbers) {
            self.make_room(now)?;
            let (keys, groups) = make();
            let mut order = Order { keys, rows: BTreeSet::new(), used: now };
            order.rows =
                groups.filter_map(|(labels, key_set, group)| Some((order.values(labels)?, key_set, group))).collect();
            self.0.insert(numbers.into(), order);
        }
        let order = self.0.get_mut(numbers)?;
        order.used = now;
        Some(order)
    }

    fn make_room(&mut self, now: Duration) -> Option<()> {
        if self.0.len() < MAX_ORDERS {
            return Some(());
        }
        let (numbers, idlest) = self.0.iter().min_by_key(|(_, order)| order.used)?;
        if now.saturating_sub(idlest.used) < ORDER_IDLE {
            return None;
        }
        let numbers = numbers.clone();
        self.0.remove(&numbers).map(drop)
    }

    pub(super) fn insert(&mut self, labels: &Labels, key_set: usize, group: GroupId) {
        for order in self.0.values_mut() {
            if let Some(values) = order.values(labels) {
                order.rows.insert((values, key_set, group));
            }
        }
    }

    pub(super) fn remove(&mut self, labels: &Labels, key_set: usize, group: GroupId) {
        self.0.retain(|_, order| {
            if let Some(values) = order.values(labels) {
                order.rows.remove(&(values, key_set, group));
            }
            !order.rows.is_empty()
        });
    }
}

impl Order {
    /// The values of the keys of the order, if the labels hold them all.
    fn values(&self, labels: &Labels) -> Option<Box<str>> {
        let values: Option<Vec<&str>> = self.keys.iter().map(|key| labels.get(key.as_str())).collect();
        Some(tuple(values?.into_iter()).into())
    }

    /// Adds to `found` the groups with these values in the key sets that `is_meant` names, until there are `enough`.
    /// A key set that is not meant is skipped at once, however many groups it has.
    pub(super) fn find(
        &self,
        values: Box<str>,
        is_meant: impl Fn(usize) -> bool,
        enough: usize,
        found: &mut Vec<GroupId>,
    ) {
        let mut from = (values, 0, GroupId(0));
        while found.len() < enough {
            let Some((values, key_set, group)) = self.rows.range(&from..).next() else {
                return;
            };
            if *values != from.0 {
                return;
            }
            if is_meant(*key_set) {
                found.push(*group);
                (from.1, from.2) = (*key_set, GroupId(group.0 + 1));
            } else {
                (from.1, from.2) = (key_set + 1, GroupId(0));
            }
        }
    }
}
