//! Requests per second: a fresh instance for each (`cord serve`), beside native hyper and `wasmtime serve` as it is and as
//! fast as its flags make it.
//!
//! Needs `CORD_BIN` and `CORD_GUESTS`, which `cargo xtask bench` sets. `wasmtime` is compared with if it is installed, or
//! named by `CORD_WASMTIME`, and has `serve`.

#![expect(clippy::print_stdout, reason = "the report")]

use cord_benches::compare::{compare, is_wanted};
use cord_benches::load::Http;
use cord_benches::peer::{Peer, cord, guest, wasmtime};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TITLE: &str = "requests on kept connections, a fresh instance each";
const CLIENTS: u8 = 16;
const NATIVE: &str = "native hyper";
const DEFAULT: &str = "wasmtime serve";
const TUNED: &str = "wasmtime serve, tuned";

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

fn main() -> Result<(), Box<dyn Error>> {
    if !is_wanted(TITLE) {
        return Ok(());
    }
    let (p2, p3) = (guest("http-hello.wasm"), guest("http-hello-p3.wasm"));
    let ours = |guest: &Path| {
        let mut serve = Command::new(cord());
        serve.args(["serve", "--addr", "127.0.0.1:0", "--access-log", "off"]).arg(guest);
        serve
    };
    let native = env!("CARGO_BIN_EXE_native-http");
    let mut peers = vec![
        Peer::start(NATIVE, Command::new(native).arg("hyper"))?,
        Peer::start("native hyper behind the door of cord serve", Command::new(native).arg("door"))?,
        Peer::start("cord serve, 0.2", &mut ours(&p2))?,
        Peer::start("cord serve, 0.3", &mut ours(&p3))?,
    ];
    match wasmtime().filter(can_serve) {
        Some(wasmtime) => {
            let mut theirs = |name, flags: &[&str], guest: &Path| {
                let mut serve = Command::new(&wasmtime);
                serve.args(["serve", "--addr", "127.0.0.1:0", "-S", "cli"]).args(flags).arg(guest);
                match Peer::start(name, &mut serve) {
                    Ok(peer) => peers.push(peer),
                    Err(error) => println!("{name} is left out: {error}"),
                }
            };
            theirs(DEFAULT, &[], &p2);
            theirs(TUNED, &TUNING, &p2);
            let mut fresh = vec!["-W", "component-model-async=y", "-S", "p3=y", "--max-instance-reuse-count", "1"];
            fresh.extend(TUNING);
            theirs("wasmtime serve, tuned, 0.3, fresh", &fresh, &p3);
        }
        None => println!("no wasmtime with `serve` is installed: left out"),
    }
    compare(TITLE, &peers, &[NATIVE, DEFAULT, TUNED], CLIENTS, |_, port| Http::connect(port))?;
    Ok(())
}

/// Asks for the list of its flags: that is there whatever it was built with.
fn can_serve(wasmtime: &PathBuf) -> bool {
    let mut flags = Command::new(wasmtime);
    flags.args(["serve", "-O", "help"]).stdout(Stdio::null()).stderr(Stdio::null());
    flags.status().is_ok_and(|status| status.success())
}
