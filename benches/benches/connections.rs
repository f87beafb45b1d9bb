//! Connections per second: a fresh instance for each (`cord run --per-connection`), beside a native thread for each and a
//! native process for each.
//!
//! Needs `CORD_BIN` and `CORD_GUESTS`, which `cargo xtask bench` sets. `socat` and `ncat` are compared with if they are
//! installed.

#![expect(clippy::print_stdout, reason = "the report")]

use cord_benches::compare::{compare, is_wanted};
use cord_benches::load::Echo;
use cord_benches::peer::{Peer, cord, free_port, guest, installed};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const TITLE: &str = "connections, an echo of 64 bytes each";
const CLIENTS: u8 = 16;
const NATIVE: &str = "native, a thread for each";
const OURS: &str = "cord run --per-connection echo-inetd.wasm";
const SOCAT: &str = "socat, a native process for each";
const NCAT: &str = "ncat, a native process for each";

fn main() -> Result<(), Box<dyn Error>> {
    if !is_wanted(TITLE) {
        return Ok(());
    }
    let native = Path::new(env!("CARGO_BIN_EXE_native-echo"));
    let run = ["run", "-p", "0.0.0.0:0:0", "--per-connection"];
    let mut peers = vec![
        Peer::start(NATIVE, Command::new(native).arg("threads"))?,
        Peer::start(OURS, Command::new(cord()).args(run).arg(guest("echo-inetd.wasm")))?,
    ];
    let echo = linked_statically(native);
    match installed("socat") {
        Some(socat) => {
            let port = free_port()?;
            let listen = format!("TCP4-LISTEN:{port},reuseaddr,backlog=4096,fork");
            let exec = format!("EXEC:{} inetd,nofork", echo.display());
            peers.push(Peer::start_at(SOCAT, port, Command::new(socat).args([listen, exec]))?);
        }
        None => println!("socat is not installed: left out"),
    }
    match installed("ncat") {
        Some(ncat) => {
            let port = free_port()?;
            let (port_text, exec) = (port.to_string(), format!("{} inetd", echo.display()));
            let listen =
                ["-4", "--listen", "--keep-open", "--max-conns", "1000", "--exec", &exec, "0.0.0.0", &port_text];
            peers.push(Peer::start_at(NCAT, port, Command::new(ncat).args(listen))?);
        }
        None => println!("ncat is not installed: left out"),
    }
    compare(TITLE, &peers, &[NATIVE, SOCAT, NCAT], CLIENTS, |number, port| Ok(Echo::new(number, port)))?;
    Ok(())
}

/// The same program linked statically, which starts faster; the one that is there if that cannot be done.
fn linked_statically(native: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/native-echo.rs");
    let linked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("native-echo-static");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "-O", "-Ctarget-feature=+crt-static", "-Cpanic=abort", "-Awarnings", "-o"]);
    if rustc.arg(&linked).arg(source).status().is_ok_and(|status| status.success()) {
        return linked;
    }
    println!("no static program could be linked: socat and ncat start one that is linked dynamically");
    native.to_owned()
}
