//! A whole process from start to end: `cord run hello.wasm` from a warm cache, beside a static native program and, when
//! it is installed, `wasmtime run`.
//!
//! Needs `CORD_BIN` and `CORD_GUESTS`, which `cargo xtask bench` sets.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "a benchmark that fails has nothing to report"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[expect(clippy::disallowed_methods, reason = "how xtask hands over where the programs are")]
fn path(variable: &str) -> PathBuf {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; run cargo xtask bench")).into()
}

fn succeed(command: &mut Command) {
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
}

fn start(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole process");
    let (cord, hello) = (path("CORD_BIN"), path("CORD_GUESTS").join("hello.wasm"));

    group.bench_function("native /bin/true", |bench| bench.iter(|| succeed(&mut Command::new("/bin/true"))));
    group.bench_function("cord run hello.wasm", |bench| {
        bench.iter(|| succeed(Command::new(&cord).arg("run").arg(&hello)));
    });
    group.bench_function("cord run --jail off hello.wasm", |bench| {
        let quiet = || Command::new(&cord);
        bench.iter(|| succeed(quiet().args(["run", "--jail", "off"]).arg(&hello).stderr(Stdio::null())));
    });
    group.bench_function("cord run -c 127.0.0.1:22 hello.wasm", |bench| {
        bench.iter(|| succeed(Command::new(&cord).args(["run", "-c", "127.0.0.1:22"]).arg(&hello)));
    });
    if Command::new("wasmtime").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        group.bench_function("wasmtime run hello.wasm", |bench| {
            bench.iter(|| succeed(Command::new("wasmtime").arg("run").arg(&hello)));
        });
    } else {
        eprintln!("wasmtime is not installed: left out");
    }
    group.finish();
}

criterion_group!(benches, start);
criterion_main!(benches);
