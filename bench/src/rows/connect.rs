//! A connection, its first byte, an echo, and its end: through the switchboard, beside plain TCP over loopback; and the same
//! by a guest in a fresh instance.

use crate::board::{Board, SERVICE, With, blocking, destination};
use crate::contest::{Contestant, Row};
use crate::peer::Peer;
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::rows::on_one_core;
use crate::runner::{Bare, Memory, Runner};
use crate::setting::Setting;
use anyhow::{Result, ensure};
use client::Handle;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const HOW: &str = "bench/src/rows/connect.rs; the switchboard, the services and the echo are processes of their own";
const TCP: &str = "TCP over loopback";
const SERVICE_PAIR: &str = "a service at the switchboard";
const EGRESS: &str = "through the egress";
const GUEST: &str = "guest, through the switchboard";
const STOCK: &str = "guest on the bare engine, TCP over loopback";
const REPETITIONS: usize = 50;

/// With whom TCP is compared: a server that echoes, one connection after the other.
fn echo_server(setting: &Setting) -> Result<Peer> {
    Peer::start(Command::new(setting.beside("native")).arg("serial"))
}

fn converse(mut stream: impl Read + Write) -> Result<()> {
    let mut byte = [7];
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)?;
    ensure!(byte == [7], "a wrong answer");
    Ok(())
}

fn tcp(port: u16) -> Contestant<'static> {
    Contestant::timed(Role::Peer, TCP, HOW, REPETITIONS, move || {
        converse(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
    })
}

/// Who connects by a handle of a guest.
fn by_handle<'a>(board: &'a Board, name: &'static str, address: &str, port: &str) -> Result<Contestant<'a>> {
    let handle = board.guest_handle(address, port)?;
    let handle = board.runtime.block_on(async { Handle::new(handle) })?;
    let wanted = destination(address, port)?;
    Ok(Contestant::timed(Role::Ours, name, HOW, REPETITIONS, move || {
        converse(blocking(board.runtime.block_on(handle.connect(&wanted))?.socket)?)
    }))
}

const TITLE: &str = "connect, a byte there and back, close; no guest; a service of the application";

pub(super) fn on_all_cores(setting: &Setting) -> Result<RowResult> {
    let targets = &[Target { says: "at most 1.0 times TCP", ours: SERVICE_PAIR, bound: Bound::TimesAtMost(1.0, TCP) }];
    service(setting, &Row { id: "connect", title: TITLE, unit: Unit::MICROSECONDS, targets })
}

pub(super) fn on_one_core_only(setting: &Setting) -> Result<RowResult> {
    let targets = &[Target {
        says: "at most 1.0 times TCP, all on one core",
        ours: SERVICE_PAIR,
        bound: Bound::TimesAtMost(1.0, TCP),
    }];
    let title =
        "connect, a byte there and back, close; no guest; a service of the application; all processes on one core";
    on_one_core(|| service(setting, &Row { id: "connect-1", title, unit: Unit::MICROSECONDS, targets }))
}

fn service(setting: &Setting, row: &Row) -> Result<RowResult> {
    let (board, server) = (Board::start(setting, With::Echo)?, echo_server(setting)?);
    let contestants = vec![by_handle(&board, SERVICE_PAIR, SERVICE.0, SERVICE.1)?, tcp(server.port)];
    row.run(setting.rounds(60), contestants, Vec::new())
}

pub(super) fn outside(setting: &Setting) -> Result<RowResult> {
    let targets = &[Target { says: "at most 1.5 times TCP", ours: EGRESS, bound: Bound::TimesAtMost(1.5, TCP) }];
    let title = "connect to the outside through the egress, a byte there and back, close; no guest";
    egress(setting, &Row { id: "egress", title, unit: Unit::MICROSECONDS, targets })
}

pub(super) fn outside_on_one_core(setting: &Setting) -> Result<RowResult> {
    let targets =
        &[Target { says: "at most 1.5 times TCP, all on one core", ours: EGRESS, bound: Bound::TimesAtMost(1.5, TCP) }];
    let title =
        "connect to the outside through the egress, a byte there and back, close; no guest; all processes on one core";
    on_one_core(|| egress(setting, &Row { id: "egress-1", title, unit: Unit::MICROSECONDS, targets }))
}

fn egress(setting: &Setting, row: &Row) -> Result<RowResult> {
    let (board, server) = (Board::start(setting, With::Egress)?, echo_server(setting)?);
    let contestants = vec![by_handle(&board, EGRESS, "127.0.0.1", &server.port.to_string())?, tcp(server.port)];
    row.run(setting.rounds(60), contestants, Vec::new())
}

/// The same beside a thousand handles, each a party of its own.
pub(super) fn beside_a_thousand(setting: &Setting) -> Result<RowResult> {
    const BUSY: &str = "while 1,000 other handles ask, rest for 0.1 s, and ask again";
    let row = Row {
        id: "busy",
        title: "connect to a service, a byte there and back, close; beside a crowd at the same switchboard",
        unit: Unit::MICROSECONDS,
        targets: &[],
    };
    let (quiet, loud) = (Board::start(setting, With::Echo)?, Board::start(setting, With::Echo)?);
    let contestants = vec![
        by_handle(&quiet, "alone", SERVICE.0, SERVICE.1)?,
        crowded(setting, &loud, by_handle(&loud, BUSY, SERVICE.0, SERVICE.1)?),
    ];
    row.run(setting.rounds(10), contestants, Vec::new())
}

/// The crowd is there during this contestant's turns, and not during the others'.
fn crowded<'a>(setting: &'a Setting, board: &'a Board, contestant: Contestant<'a>) -> Contestant<'a> {
    contestant.within(move |turn| {
        /// Until all handles of the crowd are there; and until the switchboard has closed them all.
        const SETTLED: Duration = Duration::from_millis(500);
        let mut crowd = board.keep_busy(setting, 1_000)?;
        sleep(SETTLED);
        let taken = turn()?;
        ensure!(crowd.0.try_wait()?.is_none(), "the crowd went home early");
        drop(crowd);
        sleep(SETTLED);
        Ok(taken)
    })
}

const GUEST_TITLE: &str =
    "a fresh instance of an unmodified Rust program that connects to a service, sends, hears its echo, and ends";

pub(super) fn guest(setting: &Setting) -> Result<RowResult> {
    let targets =
        &[Target { says: "below the bare engine over TCP", ours: GUEST, bound: Bound::TimesAtMost(1.0, STOCK) }];
    guests(setting, &Row { id: "guest-connect", title: GUEST_TITLE, unit: Unit::MICROSECONDS, targets })
}

pub(super) fn guest_on_one_core(setting: &Setting) -> Result<RowResult> {
    let targets = &[Target {
        says: "below the bare engine over TCP, all on one core",
        ours: GUEST,
        bound: Bound::TimesAtMost(1.0, STOCK),
    }];
    let title = "a fresh instance of an unmodified Rust program that connects to a service, sends, hears its echo, and ends; all \
                 processes on one core";
    on_one_core(|| guests(setting, &Row { id: "guest-connect-1", title, unit: Unit::MICROSECONDS, targets }))
}

fn guests(setting: &Setting, row: &Row) -> Result<RowResult> {
    let (board, server) = (Board::start(setting, With::Echo)?, echo_server(setting)?);
    let ours = &[SERVICE.0, SERVICE.1, "--text", "x", "--quiet"];
    let ours = Runner::new(setting, "dial.wasm", ours, Some(board.guest_handle(SERVICE.0, SERVICE.1)?))?;
    let port = server.port.to_string();
    let stock = Bare::new(setting, "dial.wasm", &["127.0.0.1", &port, "--text", "x", "--quiet"], Memory::Pool)?;
    let contestants = vec![
        Contestant::timed(Role::Ours, GUEST, HOW, REPETITIONS, || ours.run()),
        Contestant::timed(Role::Peer, STOCK, HOW, REPETITIONS, || stock.run()),
    ];
    row.run(setting.rounds(60), contestants, Vec::new())
}
