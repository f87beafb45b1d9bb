//! A new component: what it costs once, and from then on.

use crate::contest::{Contestant, Row};
use crate::results::{Role, RowResult, Unit};
use crate::setting::{Setting, succeed};
use anyhow::{Context, Result};
use image::Cache;
use sandbox::{Allocator, Code, Concurrency, Engine, OwnFile, Settings};
use std::fs::File;
use std::io;
use std::process::Command;

/// A few that differ in size: text, a Rust program, a server, Python with its interpreter.
const GUESTS: [&str; 4] = ["hello-p2.wat", "hello.wasm", "http-site.wasm", "http-python.wasm"];

fn sizes(setting: &Setting) -> Result<Vec<(&'static str, String)>> {
    let sized = |guest| {
        let kib = setting.guest(guest).metadata()?.len().div_ceil(1024);
        Ok((guest, format!("{guest}, {kib} KiB")))
    };
    GUESTS.into_iter().map(sized).collect()
}

/// As `cord` runs guests of WASI 0.2 that need no concurrency, which all of them are.
const SETTINGS: Settings = Settings { concurrency: Concurrency::Off, allocator: Allocator::OnDemand };

pub(super) fn measure(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "compile",
        title: "compiling a component, once (cord-compile in the profile of daily work)",
        unit: Unit::MILLISECONDS,
        targets: &[],
    };
    let mut contestants = Vec::new();
    let mut left_out = Vec::new();
    let wasmtime = setting.installed("wasmtime").and_then(|wasmtime| can_compile(setting, wasmtime));
    for (guest, name) in sizes(setting)? {
        let (file, code) = (setting.guest(guest), setting.scratch().join("compiled"));
        let target = code.clone();
        let how = format!("cord-compile \"{SETTINGS}\" < {guest} > code");
        let source = file.clone();
        let ours = Contestant::timed(Role::Ours, name.clone(), how, 1, move || {
            setting.compile_to(&source, &SETTINGS, &target)
        });
        contestants.push(ours.than(&name));
        if let Ok(wasmtime) = wasmtime.clone()
            && !guest.ends_with(".wat")
        {
            let how = format!("wasmtime compile {guest}");
            let theirs = Contestant::timed(Role::Peer, format!("wasmtime compile, {guest}"), how, 1, move || {
                succeed(Command::new(&wasmtime).arg("compile").arg("-o").arg(&code).arg(&file))
            });
            contestants.push(theirs.than(&name));
        }
    }
    left_out.extend(wasmtime.err());
    row.run(setting.rounds(5), contestants, left_out)
}

fn can_compile(setting: &Setting, wasmtime: std::path::PathBuf) -> Result<std::path::PathBuf, String> {
    let code = setting.scratch().join("probe");
    let probe = succeed(Command::new(&wasmtime).arg("compile").arg("-o").arg(code).arg(setting.guest("hello.wasm")));
    probe.map(|()| wasmtime).map_err(|_error| "wasmtime compile: it was built without it".to_owned())
}

pub(super) fn load_all(setting: &Setting) -> Result<RowResult> {
    let row = Row {
        id: "load",
        title: "code from the cache: found, checked, mapped, and taken up by the engine",
        unit: Unit::MICROSECONDS,
        targets: &[],
    };
    let cache = Cache::open(&setting.scratch().join("cache"));
    let engine = Engine::new(&SETTINGS)?;
    let (cache, engine, key) = (&cache, &engine, &SETTINGS.code_key());
    let mut contestants = Vec::new();
    for (guest, name) in sizes(setting)? {
        let (path, compiled) = (setting.guest(guest), setting.compile(guest, &SETTINGS)?);
        let file = File::open(&path)?;
        cache.source(&file)?.fill(key, |_, mut code| io::copy(&mut File::open(&compiled)?, &mut code).map(drop))?;
        let loads = Contestant::timed(Role::Ours, name.clone(), "bench/src/rows/compile.rs", 5, move || {
            let file = File::open(&path)?;
            let entry = cache.source(&file)?.find(key).context("the cache has lost it")?;
            Code::load(engine, &OwnFile::check(entry.file)?)?;
            Ok(())
        });
        contestants.push(loads.than(&name));
    }
    row.run(setting.rounds(30), contestants, Vec::new())
}
