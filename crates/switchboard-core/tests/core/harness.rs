//! Plays events that are chosen by bytes and holds the switchboard to its invariants. Used by a property test and by
//! the fuzz target `core`: it panics where an invariant is broken, and never for what the bytes are.

use capability::{Capability, Constraint, Grant, Labels, Pattern, Refusal, Right, Rights};
use core::time::Duration;
use protocol::message::{Call, CallId, Failure, ReplyBody, RequestBody, RequestId, ResponseBody};
use std::collections::{BTreeMap, BTreeSet};
use switchboard_core::{Allowance, Closing, Effect, Event, HandleId, Limits, Switchboard, TargetId, Undone, WatchId};

/// So small that limits are met.
const LIMITS: Limits = Limits {
    total: Allowance { handles: 40, targets: 60, key_sets: 24, watches: 8, requests: 60 },
    opened: Allowance { handles: 30, targets: 40, key_sets: 20, watches: 6, requests: 50 },
    requests_per_handle: 12,
};

/// How often what happened: a test that never connects proves little.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    connected: u32,
    dialled: u32,
    failed: u32,
    constrained: u32,
    cancelled: u32,
    decided: u32,
}

impl Counts {
    /// The sum of both.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            connected: self.connected + other.connected,
            dialled: self.dialled + other.dialled,
            failed: self.failed + other.failed,
            constrained: self.constrained + other.constrained,
            cancelled: self.cancelled + other.cancelled,
            decided: self.decided + other.decided,
        }
    }

    /// Whether everything happened more often than this.
    #[must_use]
    pub(crate) fn all_above(self, least: u32) -> bool {
        let all = [self.connected, self.dialled, self.failed, self.constrained, self.cancelled, self.decided];
        all.into_iter().all(|count| count > least)
    }
}

/// Plays one event for each six bytes, then lets everything end, and says what happened.
///
/// # Panics
/// If an invariant of the switchboard is broken.
pub(crate) fn play(steps: &[[u8; 6]]) -> Counts {
    let mut stage = Stage::new();
    for step in steps {
        stage.step(*step);
    }
    stage.end();
    stage.counts
}

/// What the driver must do before a request ends.
enum Outstanding {
    /// Report; whether the request is answered by that, and what is not there if it could not be done.
    Report { ends: bool, made: Option<Made> },
    /// Hand in the reply of the target.
    Reply(TargetId, CallId),
}

#[derive(Clone, Copy)]
enum Made {
    Handle(HandleId),
    Target(TargetId),
    Watch(WatchId),
}

impl Outstanding {
    fn report(made: Option<Made>) -> Self {
        Self::Report { ends: true, made }
    }
}

struct Stage {
    switchboard: Switchboard,
    now: Duration,
    handles: BTreeSet<HandleId>,
    targets: BTreeMap<TargetId, Labels>,
    watches: BTreeSet<WatchId>,
    /// The requests that have no answer yet, and what they wait for.
    unanswered: BTreeMap<(HandleId, RequestId), Outstanding>,
    counts: Counts,
}

impl Stage {
    fn new() -> Self {
        let mut switchboard = Switchboard::new(LIMITS);
        let root = Capability::root();
        let handles = (0..2).filter_map(|_| switchboard.open(root.clone()).ok()).collect();
        Self {
            switchboard,
            now: Duration::ZERO,
            handles,
            targets: BTreeMap::new(),
            watches: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    fn step(&mut self, [action, which, one, two, three, id]: [u8; 6]) {
        self.now += Duration::from_millis(u64::from(id));
        match action % 16 {
            0..=9 => {
                let Some(handle) = nth(self.handles.iter(), which) else {
                    return;
                };
                let id = RequestId(u64::from(id));
                let body = body(action % 10, labels(one, two), three);
                self.request(handle, id, body);
            }
            10 | 11 => self.settle(which, one % 4 != 0, two, three),
            12 => self.close_handle(which, one),
            13 => {
                if let Some(target) = nth(self.targets.keys(), which) {
                    self.targets.remove(&target);
                    self.event(Event::TargetClosed(target));
                }
            }
            14 => {
                if let Some(watch) = nth(self.watches.iter(), which) {
                    self.watches.remove(&watch);
                    self.event(Event::WatchClosed(watch));
                }
            }
            _ if one.is_multiple_of(2) => self.refused(which, RequestId(u64::from(id))),
            _ => self.noise(which, one, three),
        }
        let used = self.switchboard.used();
        let unanswered = u32::try_from(self.unanswered.len()).unwrap_or(u32::MAX);
        assert_eq!(used.requests, unanswered, "every request that waits is known");
        assert_eq!(used.handles as usize, self.handles.len());
        assert_eq!(used.targets as usize, self.targets.len());
        assert_eq!(used.watches as usize, self.watches.len());
        assert!(used.handles <= LIMITS.total.handles && used.requests <= LIMITS.total.requests);
        assert!(used.targets <= LIMITS.total.targets && used.key_sets <= LIMITS.total.key_sets);
    }

    fn request(&mut self, handle: HandleId, id: RequestId, body: RequestBody) {
        let request = Event::Request { handle, id, body: body.clone() };
        if self.unanswered.contains_key(&(handle, id)) {
            self.breach(handle, request);
            return;
        }
        let effects = self.raw(request);
        let answers = effects.iter().filter(|effect| concerns(effect, handle, id)).count();
        let calls = effects.iter().filter(|effect| matches!(effect, Effect::Call { .. })).count();
        assert_eq!(answers + calls, 1, "one thing comes of a request: {body:?} {effects:?}");
        self.check_begun(handle, id, &body, &effects);
        self.apply(effects);
    }

    /// A request that the driver could not make out.
    fn refused(&mut self, which: u8, id: RequestId) {
        let Some(handle) = nth(self.handles.iter(), which) else {
            return;
        };
        let event = Event::Refused { handle, id, request: "list", refusal: Refusal::Grant };
        if self.unanswered.contains_key(&(handle, id)) {
            self.breach(handle, event);
            return;
        }
        let mut effects = self.raw(event);
        let body = ResponseBody::Failed(Refusal::Grant.into());
        assert_eq!(effects.remove(0), Effect::Answer { handle, id, body });
        self.counts.failed += 1;
        self.apply(effects);
    }

    /// A request with the number of one that waits.
    fn breach(&mut self, handle: HandleId, event: Event) {
        self.forget_handle(handle);
        let effects = self.raw(event);
        assert_eq!(effects[0], Effect::CloseHandle { handle, why: Closing::Breach });
        self.apply(effects);
    }

    fn check_begun(&mut self, handle: HandleId, id: RequestId, body: &RequestBody, effects: &[Effect]) {
        let outstanding = match &effects[0] {
            Effect::Answer { .. } => Outstanding::report(None),
            Effect::Page { last, .. } => Outstanding::Report { ends: *last, made: None },
            Effect::Call { target, call } => {
                let (call, union) = match call {
                    Call::Dial { id, labels, .. } | Call::Lookup { id, labels } => (*id, labels),
                    other => panic!("{other:?}"),
                };
                self.check_union(handle, *target, union);
                Outstanding::Reply(*target, call)
            }
            Effect::Join { target, labels, .. } | Effect::Deliver { target, labels, .. } => {
                self.check_union(handle, *target, labels);
                self.counts.connected += 1;
                Outstanding::report(None)
            }
            Effect::NewHandle { new, .. } => {
                self.check_weaker(*new, handle);
                self.counts.constrained += 1;
                Outstanding::report(Some(Made::Handle(*new)))
            }
            Effect::NewTarget { new, .. } => {
                self.add_target(*new, handle, body);
                Outstanding::report(Some(Made::Target(*new)))
            }
            Effect::NewWatch { new, .. } => Outstanding::report(Some(Made::Watch(*new))),
            other => panic!("{other:?}"),
        };
        self.unanswered.insert((handle, id), outstanding);
    }

    fn check_weaker(&self, new: HandleId, parent: HandleId) {
        let (new, parent) = (self.capability(new), self.capability(parent));
        assert!(new.rights().beyond(parent.rights()).is_empty());
        assert_eq!(new.in_labels().merge(parent.in_labels()).as_ref(), Ok(new.in_labels()));
        assert_eq!(new.out_labels().merge(parent.out_labels()).as_ref(), Ok(new.out_labels()));
        assert!(parent.layers().zip(new.layers()).all(|(old, kept)| old == kept));
        assert!(parent.layers().len() <= new.layers().len());
    }

    /// Both ends are in the union as their handles have them.
    fn check_union(&self, handle: HandleId, target: TargetId, union: &Labels) {
        let out = self.capability(handle).out_labels();
        assert_eq!(union.merge(out).as_ref(), Ok(union));
        assert_eq!(union.merge(&self.targets[&target]).as_ref(), Ok(union));
    }

    fn add_target(&mut self, new: TargetId, handle: HandleId, body: &RequestBody) {
        let (RequestBody::ServerStart(own) | RequestBody::EgressStart(own) | RequestBody::ResolverStart(own)) = body
        else {
            panic!("{body:?} registers nothing");
        };
        let merged = self.capability(handle).in_labels().merge(own);
        let Ok(merged) = merged else {
            panic!("{own:?} contradicts its handle");
        };
        self.targets.insert(new, merged);
    }

    fn capability(&self, handle: HandleId) -> &Capability {
        let Some(capability) = self.switchboard.capability(handle) else {
            panic!("{handle:?} is open");
        };
        capability
    }

    fn settle(&mut self, which: u8, goes_well: bool, one: u8, two: u8) {
        let Some((handle, id)) = nth(self.unanswered.keys(), which) else {
            return;
        };
        let ends = match self.unanswered[&(handle, id)] {
            Outstanding::Report { ends, made } => {
                let outcome = if goes_well { Ok(()) } else { Err(undone(one)) };
                if goes_well && ends {
                    self.unanswered.remove(&(handle, id));
                } else if !goes_well {
                    self.unmake(made);
                }
                self.event(Event::Done { handle, id, outcome });
                ends || !goes_well
            }
            Outstanding::Reply(target, call) => {
                let body = reply(goes_well, one, two);
                self.event(Event::Replied { target, call, body });
                assert!(
                    !matches!(self.unanswered.get(&(handle, id)), Some(Outstanding::Reply(..))),
                    "it has its reply"
                );
                false
            }
        };
        assert!(!ends || !self.unanswered.contains_key(&(handle, id)), "it has ended");
    }

    fn unmake(&mut self, made: Option<Made>) {
        match made {
            Some(Made::Handle(handle)) => self.forget_handle(handle),
            Some(Made::Target(target)) => drop(self.targets.remove(&target)),
            Some(Made::Watch(watch)) => drop(self.watches.remove(&watch)),
            None => {}
        }
    }

    /// Events that name what is not there.
    fn noise(&mut self, which: u8, one: u8, three: u8) {
        let number = u64::from(which) + 1_000_000;
        let (handle, id) = (HandleId(number), RequestId(number));
        let event = match one % 5 {
            0 => Event::HandleClosed(handle),
            1 => Event::TargetClosed(TargetId(number)),
            2 => Event::CallFailed { call: CallId(number), cause: undone(three) },
            3 => Event::Request { handle, id, body: RequestBody::List(Labels::new()) },
            _ => Event::Done { handle, id, outcome: Ok(()) },
        };
        assert_eq!(self.raw(event), []);
    }

    fn close_handle(&mut self, which: u8, one: u8) {
        // Roots are kept most of the time: without one nothing more happens.
        let Some(handle) = nth(self.handles.iter(), which) else {
            return;
        };
        if handle.0 > 2 || one > 250 {
            self.forget_handle(handle);
            self.event(Event::HandleClosed(handle));
        }
    }

    fn forget_handle(&mut self, handle: HandleId) {
        self.handles.remove(&handle);
        self.unanswered.retain(|(asker, _), _| *asker != handle);
    }

    fn event(&mut self, event: Event) {
        let effects = self.raw(event);
        self.apply(effects);
    }

    fn raw(&mut self, event: Event) -> Vec<Effect> {
        let came = match &event {
            Event::Request { body: RequestBody::IngressConnect { .. }, .. } => Some(Came::Pushed),
            Event::Replied { body: ReplyBody::Dialled(_), .. } => Some(Came::Dialled),
            _ => None,
        };
        let mut effects = Vec::new();
        self.switchboard.handle(event, self.now, &mut effects);
        check_descriptors(came, &effects);
        effects
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Answer { handle, id, .. } => {
                    self.answered(handle, id);
                    self.counts.failed += 1;
                }
                Effect::PassOn { handle, id, .. } => {
                    let waiting = self.unanswered.insert((handle, id), Outstanding::report(None));
                    assert!(matches!(waiting, Some(Outstanding::Reply(..))), "a socket that nobody waits for");
                    self.counts.dialled += 1;
                }
                Effect::Page { handle, id, last, .. } => {
                    let waiting = self.unanswered.insert((handle, id), Outstanding::Report { ends: last, made: None });
                    assert!(waiting.is_some(), "a page of a listing nobody waits for");
                }
                Effect::NewHandle { new, .. } => assert!(self.handles.insert(new)),
                Effect::NewWatch { new, .. } => assert!(self.watches.insert(new)),
                Effect::NewTarget { new, .. } => assert!(self.targets.contains_key(&new)),
                Effect::Join { .. } | Effect::Deliver { .. } => {}
                Effect::Call { target, call } => {
                    assert!(self.targets.contains_key(&target), "a call to a target that is gone");
                    self.counts.cancelled += u32::from(matches!(call, Call::Cancel { .. }));
                }
                Effect::Decided { watches, .. } => {
                    assert!(watches.iter().all(|watch| self.watches.contains(watch)));
                    self.counts.decided += 1;
                }
                Effect::CloseHandle { handle, .. } => self.forget_handle(handle),
                Effect::CloseTarget { target, .. } => drop(self.targets.remove(&target)),
                Effect::CloseWatch { watch } => drop(self.watches.remove(&watch)),
            }
        }
    }

    fn answered(&mut self, handle: HandleId, id: RequestId) {
        assert!(self.handles.contains(&handle), "an answer through a closed handle");
        let waiting = self.unanswered.remove(&(handle, id));
        assert!(waiting.is_some(), "{handle:?} {id:?} is answered once");
    }

    fn end(&mut self) {
        while let Some(target) = nth(self.targets.keys(), 0) {
            self.targets.remove(&target);
            self.event(Event::TargetClosed(target));
        }
        let left = self.unanswered.values();
        assert!(left.into_iter().all(|left| matches!(left, Outstanding::Report { .. })));
        while !self.unanswered.is_empty() {
            self.settle(0, true, 0, 0);
        }
        while let Some(handle) = nth(self.handles.iter(), 0) {
            self.forget_handle(handle);
            self.event(Event::HandleClosed(handle));
        }
        while let Some(watch) = nth(self.watches.iter(), 0) {
            self.watches.remove(&watch);
            self.event(Event::WatchClosed(watch));
        }
        assert_eq!(self.switchboard.used(), Allowance::default(), "nothing is left behind");
    }
}

/// The descriptor that came with an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Pushed,
    Dialled,
}

/// What came with an event goes to one place at most, and nothing else goes there: so none is lost, as the driver closes
/// what no effect takes.
fn check_descriptors(came: Option<Came>, effects: &[Effect]) {
    let takers = effects.iter().filter_map(|effect| match effect {
        Effect::Deliver { .. } => Some(Came::Pushed),
        Effect::PassOn { .. } => Some(Came::Dialled),
        _ => None,
    });
    let takers: Vec<Came> = takers.collect();
    assert!(takers.len() <= 1 && takers.iter().all(|taker| Some(*taker) == came), "{effects:?}");
}

fn nth<'a, T: Copy + 'a>(mut all: impl ExactSizeIterator<Item = &'a T>, which: u8) -> Option<T> {
    let count = all.len().max(1);
    all.nth(usize::from(which) % count).copied()
}

fn concerns(effect: &Effect, asker: HandleId, number: RequestId) -> bool {
    match effect {
        Effect::Answer { handle, id, .. }
        | Effect::Page { handle, id, .. }
        | Effect::NewHandle { handle, id, .. }
        | Effect::NewTarget { handle, id, .. }
        | Effect::NewWatch { handle, id, .. }
        | Effect::Join { handle, id, .. }
        | Effect::Deliver { handle, id, .. }
        | Effect::PassOn { handle, id, .. } => *handle == asker && *id == number,
        _ => false,
    }
}

/// Label sets of few keys and values, so that they meet.
fn labels(one: u8, two: u8) -> Labels {
    let choices = [
        ("network", ["", "outside", "shop", ""], one),
        ("server_hostname", ["", "web", "a.example", ""], one >> 2),
        ("server_port", ["", "", "22", "80"], one >> 4),
        ("server_address", ["", "", "", "192.0.2.1"], one >> 6),
        ("colour", ["", "red", "blue", ""], two),
        ("size", ["", "", "large", "small"], two >> 2),
        ("client_service", ["", "", "", "web"], two >> 6),
    ];
    let pairs = choices.into_iter().map(|(key, values, bits)| (key, values[usize::from(bits % 4)]));
    Labels::try_from_pairs(pairs.filter(|(_, value)| !value.is_empty())).unwrap_or_default()
}

fn body(action: u8, own: Labels, three: u8) -> RequestBody {
    match action {
        0 => RequestBody::Constrain(constraint(own, three)),
        1..=3 => RequestBody::ClientConnect(own),
        4 => RequestBody::ServerStart(own),
        5 => RequestBody::IngressConnect { labels: own, datagrams: vec![vec![three]] },
        6 => RequestBody::EgressStart(own),
        7 if three.is_multiple_of(2) => RequestBody::ResolverStart(own),
        7 => RequestBody::EgressStart(own),
        8 if three.is_multiple_of(2) => RequestBody::List(own),
        8 => RequestBody::Watch(own),
        _ => RequestBody::Resolve(own),
    }
}

fn constraint(own: Labels, three: u8) -> Constraint {
    let dropped = Right::ALL.get(usize::from(three % 32));
    let rights: Rights = Right::ALL.into_iter().filter(|right| Some(right) != dropped).collect();
    let grant = Grant::new(Right::ClientConnect)
        .with("network", Pattern::Any)
        .and_then(|grant| grant.with("server_hostname", Pattern::Any));
    let (in_labels, out_labels) = match three >> 5 & 1 {
        0 => (own, Labels::new()),
        _ => (Labels::new(), own),
    };
    Constraint { rights, in_labels, out_labels, grants: (three >> 6 == 3).then(|| grant.into_iter().collect()) }
}

fn reply(goes_well: bool, one: u8, two: u8) -> ReplyBody {
    if !goes_well {
        return ReplyBody::Failed(Failure::Fault);
    }
    match one % 4 {
        0 => ReplyBody::Addresses(Vec::new()),
        1 => ReplyBody::Dialled(labels(two, 0)),
        _ => ReplyBody::Dialled(Labels::new()),
    }
}

fn undone(which: u8) -> Undone {
    match which % 4 {
        0 => Undone::Backlog,
        1 => Undone::TargetGone,
        2 => Undone::Descriptors,
        _ => Undone::Fault,
    }
}
