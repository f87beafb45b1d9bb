//! Many live instances that have nothing to do: each serves a connection that says nothing.
//!
//! A process can keep some thousands of them apart (the kernel counts its mappings: `vm.max_map_count`), so there are as
//! many runners as it takes, each with its broker. What is told is the memory of all these processes: what is theirs alone and
//! their share of what is not (proportional set size), and their page tables. The kernel's own part, two sockets for each
//! connection, is the same for every server and not in it.

use crate::contest::{Contestant, Row, Taken};
use crate::peer::{Peer, Process};
use crate::results::{Bound, Role, RowResult, Target, Unit};
use crate::setting::{Setting, words};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Instances of one runner: fewer than fit under the kernel's default count of mappings.
const IN_ONE: u32 = 5_000;

/// Who is idle: an echo in C, which touches little memory itself, and one in Rust with its standard library.
const GUESTS: [(&str, &str); 2] = [(IN_C, "echo-inetd-c-p1.wasm"), (IN_RUST, "echo-inetd.wasm")];
const IN_C: &str = "cord run --per-connection, a guest in C (preview 1)";
const IN_RUST: &str = "cord run --per-connection, a guest in Rust (std, WASI 0.2)";

pub(super) fn ten_thousand(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "idle",
        title: "10,000 live instances, 5,000 a runner, each with an idle connection: memory of all processes",
        unit: Unit::MEBIBYTES,
        targets: &[
            Target { says: "under 400 MiB in all", ours: IN_C, bound: Bound::Number(400.0) },
            Target {
                says: "under 400 MiB in all, also with a guest that touches 40 KiB itself",
                ours: IN_RUST,
                bound: Bound::Number(400.0),
            },
        ],
    };
    measure(setting, &row, &GUESTS, 10_000)
}

pub(super) fn hundred_thousand(setting: &Setting) -> Result<RowResult> {
    let title = "100,000 live instances, 5,000 a runner, each with an idle connection: memory of all processes";
    measure(setting, &Row { id: "idle-100k", title, unit: Unit::MEBIBYTES, targets: &[] }, &GUESTS, 100_000)
}

fn measure(setting: &Setting, row: &Row, guests: &[(&'static str, &'static str)], instances: u32) -> Result<RowResult> {
    let (instances, in_one) =
        if setting.rounds(3) < 3 { (instances / 1_000, IN_ONE / 1_000) } else { (instances, IN_ONE) };
    if !rustix::process::geteuid().is_root() {
        // Nor may this process look at them: they are behind their jail.
        let why = "all: the memory of a jailed process is shown to root alone".to_owned();
        return Ok(RowResult::new(row.id, row.title, row.unit, Vec::new(), vec![why], row.targets));
    }
    let contestant = |&(name, guest): &(&'static str, &'static str)| {
        let command = move || {
            let mut command = Command::new(&setting.cord);
            command.args(["run", "-p", "0.0.0.0:0:0", "--per-connection", "--max-instances", &in_one.to_string()]);
            command.arg(setting.guest(guest));
            command
        };
        let how = format!("{}; bench/src/rows/density.rs", words(&command()));
        Contestant::new(Role::Ours, name, how, move || crowd(setting, &command, instances / in_one, in_one))
    };
    row.run(1, guests.iter().map(contestant).collect(), Vec::new())
}

/// The memory of so many runners with so many instances each.
fn crowd(setting: &Setting, command: &impl Fn() -> Command, runners: u32, in_one: u32) -> Result<Taken> {
    let mut all = Vec::new();
    for runner in 1..=runners {
        let peer = Peer::start(&mut command())?;
        let mut clients = setting.role("idle-clients");
        clients.args([runner, in_one, peer.port.into()].map(|number: u32| number.to_string()));
        let mut clients = Process(clients.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let said = clients.0.stdout.take().context("clients have an output")?;
        // They are alive, and not merely waited for: each has answered.
        let heard = BufReader::new(said).lines().next().transpose()?;
        ensure!(heard.as_deref() == Some("answered"), "not all instances answered");
        all.push((peer, clients));
    }
    let kib = all.iter().map(|(runner, _)| family_kib(runner.process.0.id())).sum::<Result<u64>>()?;
    Ok(Taken::Figure(f64::from(u32::try_from(kib)?) / 1024.0))
}

/// Clients of one runner, in a process of their own because of the descriptors: each says something, hears it, and is silent
/// from then on. Arguments: the runner's number, how many, the port.
pub(crate) fn play(arguments: &[String]) -> Result<()> {
    let numbers: Vec<u16> = arguments.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    let &[runner, count, port] = numbers.as_slice() else { bail!("started by the benchmark, with three numbers") };
    let allowed = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: allowed, maximum: allowed })?;
    let [_, runner] = runner.to_be_bytes();
    let mut streams = Vec::new();
    for number in 0..count {
        // Each thousand has an address of its own, so that ports do not run out.
        let [_, thousand] = (number / 1_000).to_be_bytes();
        let mut stream = TcpStream::connect((Ipv4Addr::new(127, 1, runner, 1 + thousand), port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(b"x")?;
        streams.push(stream);
    }
    for stream in &mut streams {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        ensure!(&byte == b"x", "a wrong answer");
    }
    println!("answered");
    loop {
        thread::park();
    }
}

/// The memory of a process and of those that it started, in KiB.
fn family_kib(process: u32) -> Result<u64> {
    let field = |file: &str, name: &str| {
        let path = format!("/proc/{process}/{file}");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} in {path}"))?;
        let number = line.trim().trim_end_matches("kB").trim();
        number.parse::<u64>().with_context(|| format!("{path}: {line}"))
    };
    let mut kib = field("smaps_rollup", "Pss:")? + field("status", "VmPTE:")?;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    for child in children.split_whitespace() {
        kib += family_kib(child.parse()?)?;
    }
    Ok(kib)
}
