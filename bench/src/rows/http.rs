//! Requests in a second: a fresh instance for each, beside native hyper and `wasmtime serve` as it is and as fast as its flags
//! make it. The clients are `wrk`.

use crate::contest::{Contestant, Row, Taken};
use crate::peer::Peer;
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::rows::on_one_core;
use crate::setting::{Setting, output, succeed, words};
use anyhow::{Context, Result, anyhow, ensure};
use std::process::Command;
use std::time::Duration;

const NATIVE: &str = "native hyper";
const OURS: &str = "cord serve, WASI 0.2";
const OURS_0_3: &str = "cord serve, WASI 0.3";
const DEFAULT: &str = "wasmtime serve";
const TUNED: &str = "wasmtime serve, tuned";
/// How the load is made. One thread of clients is enough for all servers on two cores.
const WRK: [&str; 7] = ["-t", "1", "-c", "16", "-d", "2s", "--latency"];

/// The allocator keeps as much memory of each instance as `cord` does, and cleans only what was written to.
const TUNING: [&str; 10] = [
    "-O",
    "pooling-allocator=y",
    "-O",
    "pooling-memory-keep-resident=1048576",
    "-O",
    "pooling-table-keep-resident=65536",
    "-O",
    "pooling-pagemap-scan=yes",
    "-O",
    "pooling-max-unused-warm-slots=1000",
];
/// What a component of WASI 0.3 needs besides, and that no instance is used twice.
const WASI_0_3: [&str; 6] = ["-W", "component-model-async=y", "-S", "p3=y", "--max-instance-reuse-count", "1"];

const TARGETS: &[Target] = &[
    Target { says: "at least 3 times wasmtime serve", ours: OURS, bound: Bound::TimesAtLeast(3.0, DEFAULT) },
    Target { says: "at least 1.3 times wasmtime serve tuned", ours: OURS, bound: Bound::TimesAtLeast(1.3, TUNED) },
    Target { says: "at least half of native hyper", ours: OURS, bound: Bound::TimesAtLeast(0.5, NATIVE) },
];

pub(super) fn small(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "http",
        title: "HTTP requests in a second on 16 kept connections, a small answer, a fresh instance for each",
        unit: Unit::PER_SECOND,
        targets: TARGETS,
    };
    let mut servers = Servers::new(setting);
    let (p2, p3) = ("http-hello.wasm", "http-hello-p3.wasm");
    servers.ours(OURS, p2)?;
    servers.ours(OURS_0_3, p3)?;
    servers.native(NATIVE, "hyper")?;
    servers.native("native hyper behind the front door of cord serve", "door")?;
    servers.wasmtime(DEFAULT, &[], p2);
    servers.wasmtime(TUNED, &TUNING, p2);
    servers.wasmtime("wasmtime serve, tuned, WASI 0.3", &[WASI_0_3.as_slice(), &TUNING].concat(), p3);
    servers.measure(&row, "/")
}

/// What a second core brings. The clients are on whichever core they find.
pub(super) fn workers(setting: &Setting) -> Result<RowResult> {
    let title =
        "HTTP requests in a second on 16 kept connections, with one worker on one core and with one for each core";
    let row = Row { id: "http-workers", title, unit: Unit::PER_SECOND, targets: &[] };
    let mut servers = Servers::new(setting);
    let guest = "http-hello.wasm";
    servers.ours("cord serve, a worker for each core", guest)?;
    on_one_core(|| servers.ours("cord serve, one worker", guest))?;
    servers.native("native hyper, a thread for each core", "hyper")?;
    on_one_core(|| servers.native("native hyper, one thread", "hyper"))?;
    servers.measure(&row, "/")
}

pub(super) fn large(setting: &Setting) -> Result<RowResult> {
    let title = "HTTP requests in a second, an answer of 1 MiB that the guest makes, a fresh instance for each";
    let row = Row { id: "http-large", title, unit: Unit::PER_SECOND, targets: &[] };
    let mut servers = Servers::new(setting);
    servers.ours(OURS, "http-site.wasm")?;
    servers.ours(OURS_0_3, "http-site-p3.wasm")?;
    servers.wasmtime(DEFAULT, &[], "http-site.wasm");
    servers.wasmtime(TUNED, &TUNING, "http-site.wasm");
    servers.measure(&row, "/big?bytes=1048576")
}

pub(super) fn python(setting: &Setting) -> Result<RowResult> {
    let title = "HTTP requests in a second, a guest in Python, a fresh instance for each";
    let row = Row { id: "http-python", title, unit: Unit::PER_SECOND, targets: &[] };
    let mut servers = Servers::new(setting);
    let guest = "http-python.wasm";
    servers.ours(OURS, guest)?;
    servers.wasmtime(DEFAULT, &[], guest);
    servers.wasmtime(TUNED, &[TUNING.as_slice(), &LARGE].concat(), guest);
    servers.measure(&row, "/")
}

pub(super) fn javascript(setting: &Setting) -> Result<RowResult> {
    let title = "HTTP requests in a second, a guest in JavaScript, a fresh instance for each";
    let row = Row { id: "http-javascript", title, unit: Unit::PER_SECOND, targets: &[] };
    let mut servers = Servers::new(setting);
    let guest = "http-javascript.wasm";
    if !setting.guest(guest).is_file() {
        let why = format!("all: no {guest}, which --peers makes where Node.js is");
        return Ok(RowResult::new(row.id, row.title, row.unit, Vec::new(), vec![why], row.targets));
    }
    servers.ours(OURS, guest)?;
    servers.wasmtime(DEFAULT, &[], guest);
    servers.wasmtime(TUNED, &[TUNING.as_slice(), &LARGE].concat(), guest);
    servers.measure(&row, "/")
}

/// What the components of Python and JavaScript need of a pool.
const LARGE: [&str; 12] = [
    "-O",
    "pooling-max-component-instance-size=67108864",
    "-O",
    "pooling-max-core-instance-size=67108864",
    "-O",
    "pooling-max-memories-per-module=100",
    "-O",
    "pooling-max-tables-per-module=100",
    "-O",
    "pooling-table-elements=30000",
    "-O",
    "pooling-total-core-instances=100000",
];

struct Servers<'a> {
    setting: &'a Setting,
    running: Vec<(Role, &'static str, String, Peer)>,
    left_out: Vec<String>,
}

impl<'a> Servers<'a> {
    fn new(setting: &'a Setting) -> Self {
        Self { setting, running: Vec::new(), left_out: Vec::new() }
    }

    fn add(&mut self, role: Role, name: &'static str, command: &mut Command) -> Result<()> {
        let how = words(command);
        self.running.push((role, name, how, Peer::start(command)?));
        Ok(())
    }

    fn ours(&mut self, name: &'static str, guest: &str) -> Result<()> {
        let mut serve = Command::new(&self.setting.cord);
        serve.args(["serve", "--addr", "127.0.0.1:0", "--access-log", "off"]).arg(self.setting.guest(guest));
        self.add(Role::Ours, name, &mut serve)
    }

    fn native(&mut self, name: &'static str, kind: &str) -> Result<()> {
        let native = self.setting.beside("native-http");
        self.add(Role::Floor, name, Command::new(native).arg(kind))
    }

    fn wasmtime(&mut self, name: &'static str, flags: &[&str], guest: &str) {
        let started = self.setting.installed("wasmtime").map_err(|why| anyhow!(why)).and_then(|wasmtime| {
            let mut can = Command::new(&wasmtime);
            succeed(can.args(["serve", "-O", "help"])).context("it has no `serve`")?;
            let mut serve = Command::new(wasmtime);
            serve.args(["serve", "--addr", "127.0.0.1:0", "-S", "cli"]).args(flags).arg(self.setting.guest(guest));
            self.add(Role::Peer, name, &mut serve)
        });
        if let Err(error) = started {
            self.left_out.push(format!("{name}: {error:#}"));
        }
    }

    fn measure(self, row: &Row, path: &str) -> Result<RowResult> {
        let wrk = self.setting.installed("wrk").map_err(|why| anyhow!(why))?;
        let contestants = self.running.iter().map(|(role, name, how, peer)| {
            let mut wrk = Command::new(&wrk);
            wrk.args(WRK).arg(format!("http://127.0.0.1:{}{path}", peer.port));
            let how = format!("{how}; wrk {} http://127.0.0.1:PORT{path}", WRK.join(" "));
            let contestant = Contestant::new(*role, *name, how, move || understand(&output(&mut wrk)?));
            if name.ends_with("WASI 0.3") { contestant.than(OURS_0_3) } else { contestant }
        });
        row.run(self.setting.rounds(5), contestants.collect(), self.left_out)
    }
}

/// What `wrk` reports. A wrong answer or a broken connection makes every figure worthless.
fn understand(report: &str) -> Result<Taken> {
    let field = |name: &str| report.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    for trouble in ["Non-2xx", "Socket errors"] {
        ensure!(field(trouble).is_none(), "wrk reports trouble: {report}");
    }
    let per_second = field("Requests/sec:").and_then(|text| text.parse().ok());
    let p99 = field("99%").and_then(time);
    match (per_second, p99) {
        (Some(per_second), Some(p99)) => Ok(Taken::Rate { per_second, p99 }),
        _ => Err(anyhow!("wrk reports no figures: {report}")),
    }
}

/// `1.23ms`, as `wrk` writes it.
fn time(text: &str) -> Option<Duration> {
    let letters = text.find(char::is_alphabetic)?;
    let (number, unit) = text.split_at(letters);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 2s test\n  Latency Distribution\n     50%  1.00ms\n     99%  3.25ms\n\
                          Requests/sec:   5123.40\nTransfer/sec:  1.0MB\n";

    #[test]
    fn a_report_of_wrk_is_understood() {
        let Ok(Taken::Rate { per_second, p99 }) = understand(REPORT) else { panic!() };
        assert_eq!((per_second, p99), (5123.4, Duration::from_micros(3250)));
    }

    #[test]
    fn a_wrong_answer_is_no_figure() {
        for trouble in ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"] {
            assert!(understand(&format!("{REPORT}{trouble}")).is_err());
        }
        assert!(understand("").is_err());
    }
}
