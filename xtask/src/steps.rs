//! Shows which long step is under way and how long each took.
//!
//! On a terminal one line is redrawn every second; elsewhere a plain line says what begins and another how long it took.

use anyhow::{Context, Result};
use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_secs(1);

/// Does one step and shows it. An error is said to be of this step.
pub(crate) fn step<T>(label: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = now();
    let display = Display::start(label, started);
    let result = work();
    display.stop();
    let seconds = started.elapsed().as_secs_f64();
    match &result {
        Ok(_) => eprintln!("  {label}: {seconds:.1} s"),
        Err(_) => eprintln!("  {label}: failed after {seconds:.1} s"),
    }
    result.with_context(|| label.to_string())
}

/// The line that is redrawn while a step runs, by a thread that ends when this is stopped or dropped.
struct Display {
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Display {
    fn start(label: &str, started: Instant) -> Self {
        if !stderr().is_terminal() {
            eprintln!("  {label} ...");
            return Self { thread: None };
        }
        let label = label.to_string();
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            loop {
                eprint!("\r  {label} ... {} s ", started.elapsed().as_secs());
                // Progress that cannot be shown is no reason to stop working.
                let _ = stderr().flush();
                if stopped.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
                    eprint!("\r\x1b[K");
                    return;
                }
            }
        });
        Self { thread: Some((stop, thread)) }
    }

    fn stop(self) {
        if let Some((stop, thread)) = self.thread {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// The clock of this program.
#[expect(clippy::disallowed_methods, reason = "elapsed time is shown to a human, or bounds how long a child may take")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
