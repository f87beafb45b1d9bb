//! Answers one line, and then fails as badly as a program can.
//!
//! `trap-after [unreachable|abort|panic]`: in which way.

use std::io::stdin;

fn main() -> std::io::Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    print!("{line}");
    fail_on_purpose(std::env::args().nth(1).as_deref());
    Ok(())
}

/// Its name must be in the backtrace.
#[inline(never)]
fn fail_on_purpose(way: Option<&str>) {
    match way {
        Some("abort") => std::process::abort(),
        Some("panic") => panic!("as was asked for"),
        _ => unreachable(),
    }
}

#[cfg(target_arch = "wasm32")]
fn unreachable() {
    std::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn unreachable() {
    std::process::abort()
}
