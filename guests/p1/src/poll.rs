//! `poll_oneoff`.
#![expect(unsafe_code, reason = "foreign calls")]

use crate::errno::{Errno, Outcome, check};

#[repr(C)]
#[derive(Clone, Copy)]
struct Subscription {
    userdata: u64,
    kind: u8,
    _nothing: u32,
    /// A clock's number, or a descriptor.
    what: u32,
    timeout: u64,
    precision: u64,
    flags: u16,
}

/// Something that happened.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    userdata: u64,
    error: u16,
    kind: u8,
    bytes: u64,
    flags: u16,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn poll_oneoff(list: *const Subscription, events: *mut Event, length: usize, count: *mut usize) -> u32;
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    /// Nanoseconds from now, by a clock (0 of the day, 1 that only goes forward).
    After(u32, u64),
    /// A time of a clock.
    At(u32, u64),
    /// A descriptor that can be read.
    Read(u32),
    /// A descriptor that can be written.
    Write(u32),
}

/// What happened: the place in the list, the kind of event, and an error or what is known of the descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A clock.
    Time(u64),
    /// A descriptor can be read or written; so many bytes.
    Ready(u64, u64),
    /// The other side is gone.
    HungUp(u64),
    /// It cannot be waited for.
    Error(u64, Errno),
}

/// Waits.
pub fn poll(wanted: &[Want]) -> Outcome<Vec<Happened>> {
    let list: Vec<Subscription> =
        wanted.iter().enumerate().map(|(place, want)| subscription(place as u64, *want)).collect();
    let mut events = vec![Event::default(); wanted.len().max(1)];
    let mut count = 0;
    check(unsafe { poll_oneoff(list.as_ptr(), events.as_mut_ptr(), list.len(), &mut count) })?;
    Ok(events[..count].iter().map(happened).collect())
}

fn subscription(userdata: u64, want: Want) -> Subscription {
    let empty = Subscription { userdata, kind: 0, _nothing: 0, what: 0, timeout: 0, precision: 0, flags: 0 };
    match want {
        Want::After(clock, timeout) => Subscription { what: clock, timeout, ..empty },
        Want::At(clock, timeout) => Subscription { what: clock, timeout, flags: 1, ..empty },
        Want::Read(fd) => Subscription { kind: 1, what: fd, ..empty },
        Want::Write(fd) => Subscription { kind: 2, what: fd, ..empty },
    }
}

fn happened(event: &Event) -> Happened {
    match event {
        Event { error, .. } if *error != 0 => Happened::Error(event.userdata, Errno(u32::from(*error))),
        Event { kind: 0, .. } => Happened::Time(event.userdata),
        Event { flags, .. } if flags & 1 != 0 => Happened::HungUp(event.userdata),
        _ => Happened::Ready(event.userdata, event.bytes),
    }
}

/// What a clock says.
pub fn now(clock: u32) -> u64 {
    let mut time = 0;
    check(unsafe { clock_time_get(clock, 1, &mut time) }).expect("a clock");
    time
}
