//! A fresh instance, in a process that makes many of them: its store, what it is given, its start, its run and its end.

use crate::board::{Board, SERVICE, With};
use crate::contest::{Contestant, Row, Taken};
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::runner::{Bare, BareUnrun, HttpRunner, Memory, Runner, engine};
use crate::setting::Setting;
use anyhow::{Result, anyhow};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HELLO: &str = "hello-p2.wat";
const STD: &str = "hello.wasm";
const HTTP: &str = "http-hello.wasm";
const HOW: &str = "in the process: bench/src/runner.rs";
const OURS: &str = "with a handle, limits and sockets, as cord gives them";
const BARE: &str = "bare engine, the same pool";
const ON_DEMAND: &str = "bare engine, memory mapped for each";
/// Of each turn.
const TENS: (usize, u32) = (20, 10);

/// A small component of WASI 0.2 that says hello.
pub(super) fn hello(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "instance",
        title: "a fresh instance of a small component of WASI 0.2: store, start, run, end",
        unit: Unit::MICROSECONDS,
        targets: &[
            Target { says: "at most 10 us with a handle and limits attached", ours: OURS, bound: Bound::Number(10.0) },
            Target {
                says: "at most 1.35 times the bare engine: 10 us where that takes 7.4",
                ours: OURS,
                bound: Bound::TimesAtMost(1.35, BARE),
            },
        ],
    };
    run(setting, &row, HELLO)
}

/// A program with Rust's standard library that says hello.
pub(super) fn std_run(setting: &Setting) -> Result<RowResult> {
    let title = "a fresh instance of a Rust program (std) that says hello: store, start, run, end";
    run(setting, &Row { id: "instance-std-run", title, unit: Unit::MICROSECONDS, targets: &[] }, STD)
}

/// Instances of a program, from their start to their end.
fn run(setting: &Setting, row: &Row, guest: &str) -> Result<RowResult> {
    let board = Board::start(setting, With::Echo)?;
    let ours = Runner::new(setting, guest, &[], Some(board.guest_handle(SERVICE.0, SERVICE.1)?))?;
    let (pool, on_demand) =
        (Bare::new(setting, guest, &[], Memory::Pool)?, Bare::new(setting, guest, &[], Memory::OnDemand)?);
    let contestants = vec![
        Contestant::timed_together(Role::Ours, OURS, HOW, TENS, || ours.run()),
        Contestant::timed_together(Role::Floor, BARE, HOW, TENS, || pool.run()),
        Contestant::timed_together(Role::Floor, ON_DEMAND, HOW, TENS, || on_demand.run()),
    ];
    row.run(setting.rounds(50), contestants, Vec::new())
}

/// A component of Rust's standard library of which nothing is called.
pub(super) fn std(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "instance-std",
        title: "a fresh instance of a component of Rust's standard library (a handler of requests), not run",
        unit: Unit::MICROSECONDS,
        targets: &[
            Target { says: "at most 12 us", ours: OURS, bound: Bound::Number(12.0) },
            Target {
                says: "at most 1.35 times the bare engine: 12 us where that takes 9",
                ours: OURS,
                bound: Bound::TimesAtMost(1.35, BARE),
            },
        ],
    };
    let board = Board::start(setting, With::Echo)?;
    let ours = HttpRunner::new(setting, HTTP, board.guest_handle(SERVICE.0, SERVICE.1)?)?;
    let (pool, on_demand) =
        (BareUnrun::new(setting, HTTP, Memory::Pool)?, BareUnrun::new(setting, HTTP, Memory::OnDemand)?);
    let contestants = vec![
        Contestant::timed_together(Role::Ours, OURS, HOW, TENS, || ours.start()),
        Contestant::timed_together(Role::Floor, BARE, HOW, TENS, || pool.start()),
        Contestant::timed_together(Role::Floor, ON_DEMAND, HOW, TENS, || on_demand.start()),
    ];
    row.run(setting.rounds(50), contestants, Vec::new())
}

/// How many instances one thread makes in a second, and two.
pub(super) fn two_cores(setting: &Setting) -> Result<RowResult> {
    const ONE: &str = "cord's, one thread";
    const TWO: &str = "cord's, two threads";
    let row = Row {
        id: "instances",
        title: "fresh instances of a small component in a second, on one core and on two",
        unit: Unit::PER_SECOND,
        targets: &[Target {
            says: "two cores at least 1.6 times one",
            ours: TWO,
            bound: Bound::TimesAtLeast(1.6, ONE),
        }],
    };
    let board = Board::start(setting, With::Echo)?;
    let handle = || board.guest_handle(SERVICE.0, SERVICE.1);
    // One engine with one pool for both threads, as the workers of a runner have it.
    let (shared, code) = engine(setting, HELLO, Memory::Pool)?;
    let runner = |_| Runner::on(&shared, &code, HELLO, &[], Some(handle()?));
    let ours: Vec<Runner> = (0..2).map(runner).collect::<Result<_>>()?;
    let (shared, code) = engine(setting, HELLO, Memory::Pool)?;
    let bare: Vec<Bare> = (0..2).map(|_| Bare::on(&shared, &code, HELLO, &[])).collect::<Result<_>>()?;
    let mut contestants = Vec::new();
    for (threads, name) in [(1, ONE), (2, TWO)] {
        let ours = &ours[..threads];
        contestants.push(Contestant::new(Role::Ours, name, HOW, move || rate(ours, Runner::run)));
    }
    for (threads, name) in [(1, "bare engine, one thread"), (2, "bare engine, two threads")] {
        let bare = &bare[..threads];
        contestants.push(Contestant::new(Role::Floor, name, HOW, move || rate(bare, Bare::run)));
    }
    row.run(setting.rounds(9), contestants, Vec::new())
}

/// How often all of them together do it in a second.
fn rate<T: Sync>(who: &[T], once: fn(&T) -> Result<()>) -> Result<Taken> {
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let count: Result<usize> = thread::scope(|scope| {
        let count = |one| {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    once(one)?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        };
        let threads: Vec<_> = who.iter().map(count).collect();
        thread::sleep(Duration::from_millis(500));
        is_over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().map_err(|_panic| anyhow!("a thread panicked"))?).sum()
    });
    Ok(Taken::Figure(f64::from(u32::try_from(count?)?) / began.elapsed().as_secs_f64()))
}
