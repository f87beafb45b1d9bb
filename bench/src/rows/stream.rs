//! An established connection: what a guest's writes and reads cost, beside the same source as a native program.

use crate::board::{Board, SERVICE, With};
use crate::contest::{Contestant, Row, Taken};
use crate::peer::Peer;
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::runner::Runner;
use crate::setting::{Setting, output, words};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

const NATIVE_TCP: &str = "native, TCP over loopback";
const NATIVE_PAIR: &str = "native, socket pair";
const OURS_TCP: &str = "guest, TCP through the egress";
const OURS_PAIR: &str = "guest, a service's socket pair";

/// What is moved, and what is aimed at.
struct Work {
    mode: &'static str,
    size: u64,
    count: u64,
}

const AS_FAST_AS_RAW: &[Target] = &[
    Target {
        says: "the raw TCP socket's figure, or 0.9 of it",
        ours: OURS_TCP,
        bound: Bound::TimesAtLeast(0.9, NATIVE_TCP),
    },
    Target {
        says: "the raw socket pair's figure, or 0.9 of it",
        ours: OURS_PAIR,
        bound: Bound::TimesAtLeast(0.9, NATIVE_PAIR),
    },
];

pub(super) fn send(setting: &Setting) -> Result<RowResult> {
    let title = "one connection, written in pieces of 64 KiB";
    let row = Row { id: "stream-send", title, unit: Unit::GIGABYTES_PER_SECOND, targets: AS_FAST_AS_RAW };
    measure(setting, &row, &Work { mode: "send", size: 65_536, count: 16_384 })
}

pub(super) fn receive(setting: &Setting) -> Result<RowResult> {
    let title = "one connection, read in pieces of 64 KiB";
    let row = Row { id: "stream-receive", title, unit: Unit::GIGABYTES_PER_SECOND, targets: AS_FAST_AS_RAW };
    measure(setting, &row, &Work { mode: "receive", size: 65_536, count: 16_384 })
}

pub(super) fn small(setting: &Setting) -> Result<RowResult> {
    let title = "one connection, written in pieces of 4 KiB";
    let row = Row { id: "stream-small", title, unit: Unit::GIGABYTES_PER_SECOND, targets: &[] };
    measure(setting, &row, &Work { mode: "send", size: 4_096, count: 65_536 })
}

pub(super) fn ping(setting: &Setting) -> Result<RowResult> {
    let title = "one connection, a byte there and back";
    let targets = &[
        Target {
            says: "the raw TCP socket's figure, or 1.1 times it",
            ours: OURS_TCP,
            bound: Bound::TimesAtMost(1.1, NATIVE_TCP),
        },
        Target {
            says: "the raw socket pair's figure, or 1.1 times it",
            ours: OURS_PAIR,
            bound: Bound::TimesAtMost(1.1, NATIVE_PAIR),
        },
    ];
    let row = Row { id: "stream-ping", title, unit: Unit::MICROSECONDS, targets };
    measure(setting, &row, &Work { mode: "ping", size: 1, count: 20_000 })
}

fn measure(setting: &Setting, row: &Row, work: &Work) -> Result<RowResult> {
    let native = setting.beside("native");
    let far = Peer::start(Command::new(&native).arg("far"))?;
    let port = far.port.to_string();
    let (size, count) = (work.size.to_string(), work.count.to_string());
    let arguments = [work.mode, &size, &count];
    let at = |address, port| [&[address, port], arguments.as_slice()].concat();

    let outside = Board::start(setting, With::Egress)?;
    let through_egress =
        Runner::new(setting, "stream.wasm", &at("127.0.0.1", &port), Some(outside.guest_handle("127.0.0.1", &port)?))?;
    let inside = Board::start(setting, With::Far)?;
    let (address, service_port) = SERVICE;
    let handle = inside.guest_handle(address, service_port)?;
    let through_pair = Runner::new(setting, "stream.wasm", &at(address, service_port), Some(handle))?;

    let mut left_out = Vec::new();
    let how = format!("stream {}, bench/src/rows/stream.rs", arguments.join(" "));
    let mut contestants = vec![
        Contestant::new(Role::Ours, OURS_TCP, how.clone(), || figure(work, row, &through_egress.hear()?)),
        Contestant::new(Role::Ours, OURS_PAIR, how, || figure(work, row, &through_pair.hear()?)).than(OURS_PAIR),
    ];
    let mut add = |role, name, than, mut command: Command| {
        let how = words(&command);
        let turn = move || figure(work, row, &output(&mut command)?);
        contestants.push(Contestant::new(role, name, how, turn).than(than));
    };
    let mut tcp = Command::new(&native);
    tcp.arg("stream").args(at("127.0.0.1", &port));
    add(Role::Floor, NATIVE_TCP, OURS_TCP, tcp);
    let mut pair = Command::new(&native);
    pair.arg("pair").args(arguments);
    add(Role::Floor, NATIVE_PAIR, OURS_PAIR, pair);
    match setting.installed("wasmtime").and_then(|wasmtime| with_network(setting, &wasmtime)) {
        Ok(mut command) => {
            command.arg(setting.guest("stream.wasm")).args(at("127.0.0.1", &port));
            add(Role::Peer, "wasmtime run, TCP over loopback", OURS_TCP, command);
        }
        Err(why) => left_out.push(why),
    }
    row.run(setting.rounds(9), contestants, left_out)
}

/// `wasmtime run` with all of the network, if this one can do that.
fn with_network(setting: &Setting, wasmtime: &Path) -> Result<Command, String> {
    let command = || {
        let mut command = Command::new(wasmtime);
        command.args(["run", "-S", "inherit-network"]);
        command
    };
    let probe = output(command().arg(setting.guest("hello.wasm")));
    probe.map(|_hello| command()).map_err(|error| format!("wasmtime run -S inherit-network: {error:#}"))
}

/// From the nanoseconds that were printed.
fn figure(work: &Work, row: &Row, printed: &str) -> Result<Taken> {
    let nanoseconds: f64 = printed.trim().parse().with_context(|| format!("printed {printed:?}"))?;
    let (size, count) = (f64::from(u32::try_from(work.size)?), f64::from(u32::try_from(work.count)?));
    Ok(Taken::Figure(if row.unit.name == Unit::MICROSECONDS.name {
        nanoseconds / 1e3 / count
    } else {
        size * count / nanoseconds
    }))
}
