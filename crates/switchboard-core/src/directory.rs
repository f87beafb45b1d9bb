//! Which target a permitted request reaches (rules 3 and 5).
//!
//! Every question to the directory takes a [`Permit`], which only [`Capability::permit`] mints: there is no way to ask
//! without the check. The directory never knows handles, requests under way or sockets.
//!
//! [`Capability::permit`]: capability::Capability::permit

mod index;
mod key_set;
mod orders;
mod services;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use capability::{LabelKey, Labels, LimitKind, Permit, Refusal, right};
use core::time::Duration;
use index::{Best, GroupId, Index, TooManyOrders};
use protocol::message::{TargetInfo, TargetKind};
use services::Services;

/// Tied groups that are compared to find the keys that would decide between them: enough to say something useful, few
/// enough that a request which matches everything costs no more than another.
pub const MAX_TIES_COMPARED: usize = 64;
/// Groups that one step of a listing looks at, so that a listing of many targets leaves room for other requests.
const LISTED_AT_ONCE: usize = 1_024;

/// The number of a target. Never used again after the target is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u64);

/// The number of a set of label keys of one kind of target; used again after its last target is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeySetId {
    kind: TargetKind,
    number: usize,
}

/// Everything registered, by its labels.
#[derive(Debug)]
pub struct Directory {
    servers: Index,
    egresses: Index,
    resolvers: Index,
    /// Those of the servers.
    services: Services,
    targets: BTreeMap<TargetId, (TargetKind, GroupId)>,
    next: u64,
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub target: TargetId,
    /// What it is.
    pub kind: TargetKind,
    /// Its labels.
    pub in_labels: Labels,
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    kind: TargetKind,
    group: GroupId,
}

impl Cursor {
    /// The beginning.
    #[must_use]
    pub fn start() -> Self {
        Self::of(TargetKind::Server)
    }

    fn of(kind: TargetKind) -> Self {
        Self { kind, group: GroupId(0) }
    }

    fn after_kind(self) -> Option<Self> {
        match self.kind {
            TargetKind::Server => Some(Self::of(TargetKind::Egress)),
            TargetKind::Egress => Some(Self::of(TargetKind::Resolver)),
            TargetKind::Resolver => None,
        }
    }
}

/// A right by which something registers. Sealed by [`right::RightKind`].
pub trait Registers: right::RightKind {
    /// What registers by it.
    const KIND: TargetKind;
}

impl Registers for right::ServerStart {
    const KIND: TargetKind = TargetKind::Server;
}

impl Registers for right::EgressStart {
    const KIND: TargetKind = TargetKind::Egress;
}

impl Registers for right::ResolverStart {
    const KIND: TargetKind = TargetKind::Resolver;
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// A directory in which nothing is registered.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            servers: Index::new(),
            egresses: Index::new(),
            resolvers: Index::new(),
            services: Services::new(),
            targets: BTreeMap::new(),
            next: 0,
        }
    }

    /// Whether a target of the kind is registered whose labels have the very keys of this request. The number of
    /// different key sets is what a decision costs, so whoever calls [`Directory::register`] bounds it.
    #[must_use]
    pub fn has_key_set<R: Registers>(&self, permit: &Permit<R>) -> bool {
        self.index(R::KIND).key_set_of(permit.labels()).is_some()
    }

    /// Registers a target with the labels of the permit, and says which key set it is in.
    pub fn register<R: Registers>(&mut self, permit: &Permit<R>) -> (TargetId, KeySetId) {
        let target = TargetId(self.next);
        self.next += 1;
        let (group, number) = self.index_mut(R::KIND).insert(permit.labels(), target);
        self.targets.insert(target, (R::KIND, group));
        if R::KIND == TargetKind::Server {
            self.services.add(permit.labels());
        }
        (target, KeySetId { kind: R::KIND, number })
    }

    /// Takes a target out, and says which key set went with it, if it was the last with those keys.
    pub fn remove(&mut self, target: TargetId) -> Option<KeySetId> {
        let (kind, group) = self.targets.remove(&target)?;
        if kind == TargetKind::Server
            && let Some(row) = self.servers.group(group)
        {
            self.services.remove(&row.labels);
        }
        let number = self.index_mut(kind).remove(group, target)?;
        Some(KeySetId { kind, number })
    }

    /// The target of a client's connection: servers and egresses compete.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; [`Refusal::Ambiguous`] with the keys on which the best matches differ: those which the
    /// request lacks, or if it lacks none of them, all. A server and an egress of equal labels are no replicas of each
    /// other, and no key decides between them. [`Refusal::Limit`] if too many requests lack too many different
    /// combinations of keys.
    pub fn connect(&mut self, permit: &Permit<right::ClientConnect>, now: Duration) -> Result<Choice, Refusal> {
        self.choose(&[TargetKind::Server, TargetKind::Egress], permit.labels(), now)
    }

    /// The target of an accepted connection. Only servers take one: what an egress would do with it is to dial, and a
    /// socket that came from outside and leads outside again is none of our business (rule 5). So where only an egress
    /// matches, nothing does.
    ///
    /// # Errors
    /// As [`Directory::connect`].
    pub fn push(&mut self, permit: &Permit<right::IngressConnect>, now: Duration) -> Result<Choice, Refusal> {
        self.choose(&[TargetKind::Server], permit.labels(), now)
    }

    /// Whether a server is registered for the service that a lookup names: one of the same network and host name.
    #[must_use]
    pub fn has_service(&self, permit: &Permit<right::Lookup>) -> bool {
        self.services.have(permit.labels())
    }

    /// The resolver of a lookup.
    ///
    /// # Errors
    /// As [`Directory::connect`].
    pub fn lookup(&mut self, permit: &Permit<right::Lookup>, now: Duration) -> Result<Choice, Refusal> {
        self.choose(&[TargetKind::Resolver], permit.labels(), now)
    }

    /// Some of the targets that do not contradict the labels of the permit, and where to go on, if there may be more.
    /// `takes` says whether another one fits.
    ///
    /// What registers or goes while a listing is under way may be in it or not; what stays is in it once.
    pub fn list(
        &self,
        permit: &Permit<right::List>,
        from: Cursor,
        mut takes: impl FnMut(&TargetInfo) -> bool,
    ) -> (Vec<TargetInfo>, Option<Cursor>) {
        let mut listed = Vec::new();
        let mut rows = self.index(from.kind).groups_from(from.group);
        for (group, row) in rows.by_ref().take(LISTED_AT_ONCE) {
            let Some(row) = row.filter(|row| row.labels.contradictions(permit.labels()).is_empty()) else {
                continue;
            };
            let info = TargetInfo { kind: from.kind, in_labels: row.labels.clone(), replicas: row.replicas() };
            if !takes(&info) {
                return (listed, Some(Cursor { group, ..from }));
            }
            listed.push(info);
        }
        match rows.next() {
            Some((group, _)) => (listed, Some(Cursor { group, ..from })),
            None => (listed, from.after_kind()),
        }
    }

    fn index(&self, kind: TargetKind) -> &Index {
        match kind {
            TargetKind::Server => &self.servers,
            TargetKind::Egress => &self.egresses,
            TargetKind::Resolver => &self.resolvers,
        }
    }

    fn index_mut(&mut self, kind: TargetKind) -> &mut Index {
        match kind {
            TargetKind::Server => &mut self.servers,
            TargetKind::Egress => &mut self.egresses,
            TargetKind::Resolver => &mut self.resolvers,
        }
    }

    fn choose(&mut self, kinds: &[TargetKind], request: &Labels, now: Duration) -> Result<Choice, Refusal> {
        let mut best: Vec<(TargetKind, Best)> = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let found = self.index_mut(*kind).best(request, now, MAX_TIES_COMPARED);
            let found = found.map_err(|TooManyOrders| Refusal::Limit { limit: LimitKind::KeySets })?;
            if !found.groups.is_empty() {
                best.push((*kind, found));
            }
        }
        let most = best.iter().map(|(_, found)| found.shared).max();
        best.retain(|(_, found)| Some(found.shared) == most);
        match best.as_slice() {
            [] => Err(Refusal::NotFound),
            [(kind, Best { groups, .. })] if groups.len() == 1 => self.next_of(*kind, groups[0]),
            _ => Err(Refusal::Ambiguous { keys: self.deciding(&best, request) }),
        }
    }

    fn next_of(&mut self, kind: TargetKind, group: GroupId) -> Result<Choice, Refusal> {
        let group = self.index_mut(kind).group_mut(group).ok_or(Refusal::NotFound)?;
        let target = group.next().ok_or(Refusal::NotFound)?;
        Ok(Choice { target, kind, in_labels: group.labels.clone() })
    }

    /// The keys on which tied groups differ.
    fn deciding(&self, best: &[(TargetKind, Best)], request: &Labels) -> Vec<LabelKey> {
        let of = |(kind, found): &(TargetKind, Best)| {
            let index = self.index(*kind);
            let groups = found.groups.iter().filter_map(|group| index.group(*group));
            groups.map(|group| &group.labels).collect::<Vec<_>>()
        };
        let tied: Vec<&Labels> = best.iter().flat_map(of).collect();
        let keys: BTreeSet<&LabelKey> = tied.iter().flat_map(|labels| labels.keys()).collect();
        let differ = |key: &&LabelKey| {
            let values: BTreeSet<_> = tied.iter().map(|labels| labels.get(key.as_str())).collect();
            values.len() > 1
        };
        let (held, lacked): (Vec<_>, Vec<_>) =
            keys.into_iter().filter(differ).cloned().partition(|key: &LabelKey| request.get(key.as_str()).is_some());
        if lacked.is_empty() { held } else { lacked }
    }
}
