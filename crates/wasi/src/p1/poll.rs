//! `poll_oneoff`: waits for the first of several things, whatever they are.
//!
//! Clocks are the runtime's timers, sockets tell of themselves, standard input is waited for as wasmtime-wasi does, and
//! files and standard output are always ready, as poll(2) has it. A descriptor that is none is an event with an error, not
//! the failure of the whole call: that is how poll(2) can say which one it was.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use wasmtime_wasi::cli::WasiCliView;
use wasmtime_wasi::p1::types::{
    Clockid, Errno, Error, Event, EventFdReadwrite, Eventrwflags, Eventtype, Fd, Filetype, Size, Subclockflags,
    Subscription, SubscriptionClock, SubscriptionU, Userdata,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::p2::bindings::cli::stdin::Host as _;
use wasmtime_wasi::{WasiView, p1::WasiP1Ctx};
use wiggle::{GuestMemory, GuestPtr, GuestType};

use crate::p1::Preview1;
use crate::p1::table::{Entry, Table};
use crate::p1::wait::Patience;

/// The number of standard input in wasmtime-wasi's table.
const INPUT: u32 = 0;

/// What a descriptor is to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// How a descriptor is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    /// How many bytes a read would bring, if that is known.
    bytes: u64,
    /// Whether the other side has gone, so that no call would wait.
    hung_up: bool,
}

impl Readiness {
    pub(super) const HUNG_UP: Readiness = Readiness { bytes: 0, hung_up: true };

    pub(super) fn of(bytes: u64) -> Readiness {
        Readiness { bytes, hung_up: false }
    }
}

/// What has to be kept from one turn of a wait to the next.
pub(super) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One thing that is waited for.
struct Wanted {
    userdata: Userdata,
    kind: Eventtype,
    state: State,
}

enum State {
    /// It has happened, or cannot.
    Over(Result<Readiness, Errno>),
    /// In that time.
    Clock(Duration),
    Socket {
        number: u32,
        direction: Direction,
        waiting: Option<Waiting>,
    },
    Input,
}

impl Preview1 {
    /// Waits until at least one of the subscriptions has something to say, and writes an event for each that has, in
    /// their order.
    pub(super) async fn poll(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size, Error> {
        if count == 0 || count > self.max_subscriptions {
            return Err(Errno::Inval.into());
        }
        self.spend(u64::from(count) * (u64::from(Subscription::guest_size()) + size_of::<Wanted>() as u64))?;
        let mut wanted = Vec::with_capacity(usize::try_from(count)?);
        for subscription in subscriptions.as_array(count).iter() {
            let Subscription { userdata, u } = memory.read(subscription?)?;
            let (kind, state) = self.state(memory, u).await?;
            wanted.push(Wanted { userdata, kind, state });
        }
        self.wait_for_any(&mut wanted).await?;
        let over = wanted.iter().filter_map(Wanted::event);
        let mut happened = 0;
        for (event, place) in over.zip(events.as_array(count).iter()) {
            memory.write(place?, event)?;
            happened += 1;
        }
        Ok(happened)
    }

    async fn state(&mut self, memory: &mut GuestMemory<'_>, u: SubscriptionU) -> Result<(Eventtype, State), Error> {
        let (kind, fd, direction) = match u {
            SubscriptionU::Clock(clock) => return Ok((Eventtype::Clock, self.clock(memory, &clock)?)),
            SubscriptionU::FdRead(read) => (Eventtype::FdRead, read.file_descriptor, Direction::Read),
            SubscriptionU::FdWrite(write) => (Eventtype::FdWrite, write.file_descriptor, Direction::Write),
        };
        let number = u32::from(fd);
        let state = match self.table.get(number) {
            Err(errno) => State::Over(Err(errno)),
            Ok(Entry::Socket(_)) => State::Socket { number, direction, waiting: None },
            Ok(Entry::Stream(INPUT)) if direction == Direction::Read => State::Input,
            Ok(Entry::Stream(theirs)) if (*theirs == INPUT) == (direction == Direction::Read) => {
                State::Over(Ok(Readiness::of(1)))
            }
            // The wrong end of a standard stream.
            Ok(Entry::Stream(_)) => State::Over(Err(Errno::Badf)),
            Ok(Entry::File(theirs, _)) => {
                let theirs = Fd::from(*theirs);
                State::Over(self.file_readiness(memory, theirs, direction).await)
            }
        };
        Ok((kind, state))
    }

    /// How long a clock still takes.
    fn clock(&mut self, memory: &mut GuestMemory<'_>, clock: &SubscriptionClock) -> Result<State, Error> {
        if !matches!(clock.id, Clockid::Monotonic | Clockid::Realtime) {
            return Ok(State::Over(Err(Errno::Inval)));
        }
        let nanoseconds = if clock.flags.contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME) {
            clock.timeout.saturating_sub(self.wasi.clock_time_get(memory, clock.id, 1)?)
        } else {
            clock.timeout
        };
        Ok(State::Clock(Duration::from_nanos(nanoseconds)))
    }

    /// A file is always ready. At its end it is told as hung up, which is how wasmtime-wasi has it.
    async fn file_readiness(
        &mut self,
        memory: &mut GuestMemory<'_>,
        theirs: Fd,
        direction: Direction,
    ) -> Result<Readiness, Errno> {
        let status = self.wasi.fd_filestat_get(memory, theirs).await.map_err(|_closed| Errno::Badf)?;
        if direction == Direction::Write || status.filetype != Filetype::RegularFile {
            return Ok(Readiness::of(1));
        }
        let position = self.wasi.fd_tell(memory, theirs).map_err(|_closed| Errno::Badf)?;
        Ok(match status.size.saturating_sub(position) {
            0 => Readiness::HUNG_UP,
            bytes => Readiness::of(bytes),
        })
    }

    async fn wait_for_any(&mut self, wanted: &mut [Wanted]) -> Result<(), Error> {
        let soonest = wanted.iter().filter_map(Wanted::remaining).min();
        let is_over = wanted.iter().any(|wanted| matches!(wanted.state, State::Over(_)));
        let patience = match soonest {
            _ if is_over => Patience::None,
            Some(Duration::ZERO) => Patience::None,
            Some(soonest) => Patience::AtMost(soonest),
            None => Patience::Endless,
        };
        // Unconstrained, because the runtime would call what is ready not ready after so many, always the same ones.
        let any = tokio::task::unconstrained(any(&mut self.wasi, &mut self.table, wanted));
        let outcome = patience.wait(Errno::Again, any).await;
        match outcome.map_err(Error::downcast) {
            Ok(()) => Ok(()),
            Err(Ok(Errno::Again)) => {
                // Time is up, unless something was over before: then only the clocks without any time left are.
                let elapsed = if is_over { Duration::ZERO } else { soonest.unwrap_or_default() };
                for clock in wanted.iter_mut().filter(|wanted| wanted.remaining().is_some_and(|time| time <= elapsed)) {
                    clock.state = State::Over(Ok(Readiness::of(0)));
                }
                Ok(())
            }
            Err(Ok(errno)) => Err(errno.into()),
            Err(Err(trap)) => Err(Error::trap(trap)),
        }
    }
}

impl Wanted {
    /// What is left of a clock's time.
    fn remaining(&self) -> Option<Duration> {
        match self.state {
            State::Clock(time) => Some(time),
            _ => None,
        }
    }

    /// What the guest is told, if there is something to tell.
    fn event(&self) -> Option<Event> {
        let State::Over(outcome) = &self.state else { return None };
        let readiness = outcome.unwrap_or(Readiness::of(0));
        let flags = if readiness.hung_up { Eventrwflags::FD_READWRITE_HANGUP } else { Eventrwflags::empty() };
        Some(Event {
            userdata: self.userdata,
            error: outcome.err().unwrap_or(Errno::Success),
            type_: self.kind,
            fd_readwrite: EventFdReadwrite { nbytes: readiness.bytes, flags },
        })
    }
}

/// Waits for sockets and standard input until one of them is ready, and finds all that are.
async fn any(wasi: &mut WasiP1Ctx, table: &mut Table, wanted: &mut [Wanted]) -> Result<(), Error> {
    let wants_input = wanted.iter().any(|wanted| matches!(wanted.state, State::Input));
    let mut input: Waiting = if wants_input { input(wasi)? } else { Box::pin(std::future::pending()) };
    poll_fn(|cx| {
        let has_input = wants_input && input.as_mut().poll(cx).is_ready();
        let mut happened = false;
        for wanted in wanted.iter_mut() {
            let outcome = match &mut wanted.state {
                State::Input if has_input => Ok(Readiness::of(1)),
                State::Socket { number, direction, waiting } => match table.socket(*number) {
                    Ok(socket) => match socket.poll_ready(cx, *direction, waiting) {
                        Poll::Ready(readiness) => Ok(readiness),
                        Poll::Pending => continue,
                    },
                    Err(errno) => Err(errno),
                },
                State::Input | State::Clock(_) | State::Over(_) => continue,
            };
            wanted.state = State::Over(outcome);
            happened = true;
        }
        if happened { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// Waits for standard input, through a stream of its own: all of them share what has been read.
fn input(wasi: &mut WasiP1Ctx) -> Result<Waiting, Error> {
    let stream = wasi.cli().get_stdin().map_err(Error::trap)?;
    let mut stream = wasi.ctx().table.delete(stream)?;
    Ok(Box::pin(async move { stream.ready().await }))
}
