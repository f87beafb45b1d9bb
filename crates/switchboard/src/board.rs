//! The state behind one lock: the core, and the channels that its numbers stand for.

use crate::OpenError;
use crate::effects::Descriptor;
use crate::peer::Peer;
use crate::readers;
use crate::turns::{Clocks, Party, Turns};
use capability::Capability;
use channel::Channel;
use protocol::message::{Call, Decision, Reply, Request, Response};
use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use switchboard_core::{Effect, Event, HandleId, Limits, TargetId, WatchId};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};

pub(crate) type HandlePeer = Peer<Request, Response>;
pub(crate) type WatchPeer = Peer<Infallible, Decision>;

/// Where the calls of a target go.
#[derive(Debug)]
pub(crate) enum TargetPeer {
    /// Through a socket.
    Elsewhere(Peer<Reply, Call>),
    /// To a [`LocalTarget`](crate::LocalTarget).
    Here(mpsc::Sender<Call>),
}

#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
    /// Whose handle is read next.
    pub(crate) turns: Arc<Turns>,
    /// Told whenever the last handle is closed that keeps the switchboard at work.
    idle: Notify,
}

/// Everything that changes. A blocking lock is right: nothing that holds it waits.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: switchboard_core::Switchboard,
    /// Each with the party it is heard as.
    pub(crate) handles: HashMap<HandleId, (HandlePeer, Party)>,
    pub(crate) targets: HashMap<TargetId, TargetPeer>,
    pub(crate) watches: HashMap<WatchId, (WatchPeer, u64)>,
    /// The handles of [`Board::open_aside`], also those closed since.
    aside: HashSet<HandleId>,
    tasks: JoinSet<()>,
}

impl Board {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        let state = State {
            core: switchboard_core::Switchboard::new(limits),
            handles: HashMap::new(),
            targets: HashMap::new(),
            watches: HashMap::new(),
            aside: HashSet::new(),
            tasks: JoinSet::new(),
        };
        let turns = Arc::new(Turns::new(SystemClocks::start()));
        Arc::new(Self { state: Mutex::new(state), turns, idle: Notify::new() })
    }

    /// A panic under the lock is a bug that ended one task; the others go on with what it left.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(self: &Arc<Self>, capability: Capability, socket: OwnedFd) -> Result<(), OpenError> {
        self.lock().open(self, capability, socket).map(drop)
    }

    pub(crate) fn open_aside(self: &Arc<Self>, capability: Capability, socket: OwnedFd) -> Result<(), OpenError> {
        let mut state = self.lock();
        let id = state.open(self, capability, socket)?;
        state.aside.insert(id);
        Ok(())
    }

    pub(crate) async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Enabled before the look, so that what happens after the look is not missed.
            idle.as_mut().enable();
            if self.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }

    /// Hands an event to the core and carries out all that comes of it. `descriptor` is what came with the event.
    pub(crate) fn apply(self: &Arc<Self>, event: Event, descriptor: Option<OwnedFd>) {
        self.lock().apply(self, event, descriptor);
    }

    pub(crate) fn close_everything(&self) {
        let mut state = self.lock();
        state.tasks.abort_all();
        state.handles.clear();
        state.targets.clear();
        state.watches.clear();
    }

    pub(crate) fn now(&self) -> Duration {
        self.turns.now()
    }
}

impl State {
    /// As [`Board::apply`], for who holds the lock.
    pub(crate) fn apply(&mut self, board: &Arc<Board>, event: Event, descriptor: Option<OwnedFd>) {
        self.apply_by(board, event, descriptor, |state, effect, came| state.carry_out(board, effect, came));
    }

    /// As [`State::apply`], with `carry_out` in place of [`State::carry_out`].
    pub(crate) fn apply_by(
        &mut self,
        board: &Board,
        event: Event,
        descriptor: Option<OwnedFd>,
        mut carry_out: impl FnMut(&mut Self, Effect, &mut Descriptor) -> Option<Event>,
    ) {
        let mut descriptor = Descriptor::new(descriptor);
        let mut events = VecDeque::from([event]);
        let mut effects: Vec<Effect> = Vec::new();
        while let Some(event) = events.pop_front() {
            self.core.handle(event, board.now(), &mut effects);
            for effect in effects.drain(..) {
                events.extend(carry_out(self, effect, &mut descriptor));
            }
        }
        if self.is_idle() {
            board.idle.notify_waiters();
        }
    }

    fn open(&mut self, board: &Arc<Board>, capability: Capability, socket: OwnedFd) -> Result<HandleId, OpenError> {
        let channel = Arc::new(Channel::new(socket).map_err(OpenError::Socket)?);
        let party = board.turns.new_party(capability.out_labels().clone());
        let id = self.core.open(capability).map_err(OpenError::Refused)?;
        self.add_handle(board, id, channel, party);
        Ok(id)
    }

    fn is_idle(&self) -> bool {
        // Few are aside: with many handles the first comparison is all there is.
        self.handles.len() <= self.aside.len() && self.handles.keys().all(|id| self.aside.contains(id))
    }

    /// Says that the other end of a handle broke the protocol, which closes the handle.
    pub(crate) fn complain(&self, board: &Board, handle: HandleId, error: &dyn std::fmt::Display) {
        let Some((_, party)) = self.handles.get(&handle) else { return };
        if let Some(kept_back) = party.admit_complaint(board.now()) {
            let client = party.name();
            tracing::warn!(%client, %error, kept_back, "handle closed: its other end broke the protocol");
        }
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        // Those that ended are only counted until somebody looks.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(task)
    }

    /// The party of the handle `new`, made from `parent`: all handles of a client are one party.
    pub(crate) fn party_of(&self, board: &Board, new: HandleId, parent: HandleId) -> Party {
        let capability = |handle| self.core.capability(handle);
        match self.handles.get(&parent) {
            Some((_, party)) if capability(parent).is_some_and(|own| !own.may_name_clients()) => party.clone(),
            _ => board.turns.new_party(capability(new).map(Capability::out_labels).cloned().unwrap_or_default()),
        }
    }

    pub(crate) fn add_handle(
        &mut self,
        board: &Arc<Board>,
        id: HandleId,
        channel: Arc<Channel<Request, Response>>,
        party: Party,
    ) {
        let room = Arc::new(Notify::new());
        let reader =
            self.spawn(readers::read_handle(board.clone(), (id, party.clone()), channel.clone(), room.clone()));
        self.handles.insert(id, (Peer::new(channel, room, reader), party));
    }

    pub(crate) fn add_target(&mut self, board: &Arc<Board>, id: TargetId, channel: Arc<Channel<Reply, Call>>) {
        let reader = self.spawn(readers::read_target(board.clone(), id, channel.clone()));
        self.targets.insert(id, TargetPeer::Elsewhere(Peer::new(channel, Arc::new(Notify::new()), reader)));
    }

    pub(crate) fn add_watch(&mut self, board: &Arc<Board>, id: WatchId, channel: Arc<Channel<Infallible, Decision>>) {
        let reader = self.spawn(readers::read_watch(board.clone(), id, channel.clone()));
        self.watches.insert(id, (Peer::new(channel, Arc::new(Notify::new()), reader), 0));
    }
}

/// The switchboard's clocks, for how long a decision or a turn took.
struct SystemClocks {
    started: Instant,
}

impl SystemClocks {
    #[expect(clippy::disallowed_methods, reason = "one of the two places where the switchboard reads a clock")]
    fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clocks for SystemClocks {
    #[expect(clippy::disallowed_methods, reason = "the other one")]
    fn passed(&self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }

    fn worked(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.try_into().unwrap_or_default()
    }
}

/// Whether the process or the system has no descriptor left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}
