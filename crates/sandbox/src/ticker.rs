//! Lets the host have a turn while a guest computes.
//!
//! Guest code looks at the engine's epoch at every loop and call and yields to its host when the epoch has moved. This
//! thread moves it. It exists only while somebody keeps a [`Ticker`], so a process without deadlines has no such thread
//! and its guests are never interrupted.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::Engine;

/// How often a guest that computes lets its host look at the clock.
pub const TICK: Duration = Duration::from_millis(10);

/// Moves an engine's epoch until it is dropped.
#[derive(Debug)]
pub struct Ticker {
    /// Closed to end the thread; nothing is ever sent.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system refuses a further thread.
    pub fn start(engine: &Engine) -> std::io::Result<Ticker> {
        let (stop, stopped) = mpsc::channel();
        let engine = engine.wasmtime().weak();
        let tick = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
            }
        };
        let thread = thread::Builder::new().name("epoch".to_owned()).spawn(tick)?;
        Ok(Ticker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic, and if it did there would be nobody left to tell.
            let _ = thread.join();
        }
    }
}
