//! Lines that many threads write, on standard output or standard error: whole, in order, and never waited for.
//!
//! A thread of its own writes them. If whoever reads them is slow, lines wait, up to a bound; what comes beyond is lost
//! and counted, because a reader who stops must not stop the service.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// So many lines may wait.
const MAX_WAITING: usize = 16 * 1024;

/// What is written at once, in bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// How long the end of a process waits for the last lines to be written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// How often it is tried meanwhile to find room for the question.
const FLUSH_TRIES: u32 = 20;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Log {
    lines: SyncSender<Entry>,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Entry {
    Line(String),
    /// Everything before this is written when the sender is answered.
    Flush(SyncSender<()>),
}

impl Log {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// The system refuses a further thread.
    pub(crate) fn start(name: &str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_WAITING);
        thread::Builder::new().name(name.to_owned()).spawn(move || write_all(&waiting, out))?;
        Ok(Self { lines, lost: AtomicU64::new(0) })
    }

    /// Writes a line, whose end is added, some time soon.
    pub(crate) fn line(&self, line: String) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 && self.lines.try_send(Entry::Line(format!("cord: {lost} lines were lost here"))).is_ok() {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if self.lines.try_send(Entry::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines before are written, but not for ever: a reader who stopped must not keep this process.
    pub(crate) fn flush(&self) {
        let (written, wait) = sync_channel(1);
        let mut entry = Entry::Flush(written);
        for _ in 0..FLUSH_TRIES {
            match self.lines.try_send(entry) {
                Ok(()) => {
                    // Out of time, or the thread has ended: either way there is nothing to wait for any more.
                    let _ = wait.recv_timeout(FLUSH_TIME);
                    return;
                }
                Err(TrySendError::Full(back)) => entry = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(FLUSH_TIME / FLUSH_TRIES);
        }
    }
}

fn write_all(waiting: &Receiver<Entry>, mut out: impl Write) {
    let mut batch = String::new();
    while let Ok(first) = waiting.recv() {
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => {
                    batch.push_str(&line);
                    batch.push('\n');
                }
                Entry::Flush(written) => {
                    write_out(&mut out, &mut batch);
                    // Nobody waits any more.
                    let _ = written.send(());
                }
            }
            next = if batch.len() < BATCH_BYTES { waiting.try_recv().ok() } else { None };
        }
        write_out(&mut out, &mut batch);
    }
}

/// If the stream is gone, nobody is left to tell.
fn write_out(out: &mut impl Write, batch: &mut String) {
    let _ = out.write_all(batch.as_bytes()).and_then(|()| out.flush());
    batch.clear();
}

/// A guest's own words, made fit for a terminal and a line: control characters are shown and not obeyed.
pub(crate) fn readable(words: &[u8]) -> String {
    let mut readable = String::with_capacity(words.len());
    for character in String::from_utf8_lossy(words).chars() {
        if character.is_control() && character != '\t' {
            // Writing to a string cannot fail.
            let _ = write!(readable, "{}", character.escape_default());
        } else {
            readable.push(character);
        }
    }
    readable
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl Write for Kept {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(data);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_their_order() {
        let kept = Kept::default();
        let log = Log::start("log", kept.clone()).unwrap();
        (0..1000).for_each(|number| log.line(format!("line {number}")));
        log.flush();
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(text.lines().map(str::to_owned).eq((0..1000).map(|number| format!("line {number}"))));
    }

    #[test]
    fn a_reader_that_stops_stops_nobody() {
        /// Writes nothing until its channel is closed.
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(data.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::channel();
        let log = Log::start("log", Stuck(stuck)).unwrap();
        (0..4 * MAX_WAITING).for_each(|number| log.line(number.to_string()));
        assert!(log.lost.load(Ordering::Relaxed) > 0);
        drop(release);
        log.flush();
    }

    #[test]
    fn words_do_not_reach_the_terminal_as_orders() {
        assert_eq!(readable(b"a\x1b[31m\tb\r\0\xff"), "a\\u{1b}[31m\tb\\r\\u{0}\u{fffd}");
    }
}
