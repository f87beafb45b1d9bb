//! The targets whose labels have the same keys, and which of them do not contradict a request.
//!
//! One sorted map holds the values of all, in the order of their keys: a request that holds every key finds its one
//! group by looking that tuple up. A request that lacks some keys needs the values sorted with the keys it holds in
//! front; such an order is made when it is first needed and kept up to date from then on.

use super::index::GroupId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use capability::{LabelKey, Labels, keys};
use core::ops::Bound;
use core::time::Duration;

/// Groups up to which a request that lacks some keys is compared with each, and no order is kept for it.
const COMPARE_EACH: usize = 64;
/// Orders kept beside the first. Each doubles the memory of the key set, and a requester chooses which it needs.
const MAX_ORDERS: usize = 8;
/// How long an order must have been idle before another may take its place. Making one sorts all targets of the key
/// set, so this bounds how often a requester can cause that.
const ORDER_IDLE: Duration = Duration::from_secs(60);

/// Which keys of the set a request holds: one bit for each, as a label set has at most 32.
type Shape = u32;
/// The values of a group, each followed by a NUL, which no value holds: so the text sorts as the tuple does.
type Tuple = Box<str>;

/// The request lacks keys of a large key set in yet another combination, and every order is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyOrders;

#[derive(Debug)]
struct Order {
    groups: BTreeMap<Tuple, GroupId>,
    /// When it last found something out.
    used: Duration,
}

#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Box<[LabelKey]>,
    reserved: usize,
    groups: BTreeMap<Tuple, GroupId>,
    orders: BTreeMap<Shape, Order>,
}

impl KeySet {
    pub(crate) fn new(keys: Box<[LabelKey]>) -> Self {
        Self {
            reserved: keys.iter().filter(|key| keys::is_reserved(key.as_str())).count(),
            keys,
            groups: BTreeMap::new(),
            orders: BTreeMap::new(),
        }
    }

    pub(crate) fn keys(&self) -> &[LabelKey] {
        &self.keys
    }

    /// How many of the keys are reserved: a request must hold them all.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The group of exactly these labels, whose keys are those of the set.
    pub(crate) fn exact(&self, labels: &Labels) -> Option<GroupId> {
        self.groups.get(tuple_of(labels).as_str()).copied()
    }

    pub(crate) fn insert(&mut self, labels: &Labels, group: GroupId) {
        let tuple = tuple_of(labels);
        for (shape, order) in &mut self.orders {
            order.groups.insert(reordered(&tuple, *shape), group);
        }
        self.groups.insert(tuple.into(), group);
    }

    pub(crate) fn remove(&mut self, labels: &Labels) {
        let tuple = tuple_of(labels);
        self.groups.remove(tuple.as_str());
        for (shape, order) in &mut self.orders {
            order.groups.remove(&reordered(&tuple, *shape));
        }
    }

    /// Adds to `found` the groups that do not contradict `request`, at most `enough` of them.
    pub(crate) fn matching(
        &mut self,
        request: &Labels,
        now: Duration,
        enough: usize,
        found: &mut Vec<GroupId>,
    ) -> Result<(), TooManyOrders> {
        let wanted: Vec<Option<&str>> = self.keys.iter().map(|key| request.get(key.as_str())).collect();
        let (shape, prefix) = shape_of(&wanted);
        if prefix.is_empty() {
            found.extend(self.groups.values().take(enough));
        } else if shape.count_ones() as usize == self.keys.len() {
            found.extend(self.groups.get(prefix.as_str()));
        } else if self.groups.len() <= COMPARE_EACH {
            let agrees = |(tuple, _): &(&Tuple, &GroupId)| {
                let mut pairs = tuple.split_terminator('\0').zip(&wanted);
                pairs.all(|(value, wanted)| wanted.is_none_or(|wanted| wanted == value))
            };
            found.extend(self.groups.iter().filter(agrees).map(|(_, group)| *group).take(enough));
        } else {
            let order = self.order(shape, now)?;
            let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
            let run = order.groups.range::<str, _>(from);
            let run = run.take_while(|(tuple, _)| tuple.starts_with(prefix.as_str()));
            found.extend(run.map(|(_, group)| *group).take(enough));
        }
        Ok(())
    }

    fn order(&mut self, shape: Shape, now: Duration) -> Result<&Order, TooManyOrders> {
        if !self.orders.contains_key(&shape) && self.orders.len() >= MAX_ORDERS {
            let idlest = self.orders.iter().min_by_key(|(_, order)| order.used);
            let idlest = idlest.map(|(shape, order)| (*shape, order.used));
            match idlest {
                Some((shape, used)) if now.saturating_sub(used) >= ORDER_IDLE => self.orders.remove(&shape),
                _ => return Err(TooManyOrders),
            };
        }
        let all = &self.groups;
        let order = self.orders.entry(shape).or_insert_with(|| Order {
            groups: all.iter().map(|(tuple, group)| (reordered(tuple, shape), *group)).collect(),
            used: now,
        });
        order.used = now;
        Ok(order)
    }
}

fn tuple_of(labels: &Labels) -> String {
    let mut tuple = String::new();
    for (_, value) in labels.iter() {
        push(&mut tuple, value.as_str());
    }
    tuple
}

/// The values that are wanted, in the order of their keys, and which those are.
fn shape_of(wanted: &[Option<&str>]) -> (Shape, String) {
    let mut shape = 0;
    let mut prefix = String::new();
    for (position, value) in wanted.iter().enumerate() {
        if let Some(value) = value {
            shape |= 1 << position;
            push(&mut prefix, value);
        }
    }
    (shape, prefix)
}

/// The same values, those of `shape` first.
fn reordered(tuple: &str, shape: Shape) -> Tuple {
    let mut text = String::with_capacity(tuple.len());
    for bit in [1, 0] {
        for (position, value) in tuple.split_terminator('\0').enumerate() {
            if shape >> position & 1 == bit {
                push(&mut text, value);
            }
        }
    }
    text.into()
}

fn push(tuple: &mut String, value: &str) {
    tuple.push_str(value);
    tuple.push('\0');
}
