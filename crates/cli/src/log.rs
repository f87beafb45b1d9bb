//! Lines that many threads write, on standard output or standard error: whole, in order, and never waited for.
//!
//! A thread of its own writes them. If whoever reads them is slow, lines wait, up to a bound; what comes beyond is lost
//! and counted, because a reader who stops must not stop the service. What guests print has a bound of its own
//! ([`GuestLines`]), because a disk that is full stops the service too.

mod rate;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

use rate::{Rate, Verdict};

/// So many lines may wait, and so many bytes of lines.
const MAX_WAITING: usize = 16 * 1024;
const MAX_WAITING_BYTES: usize = 16 << 20;

/// What is told of a guest's end is cut behind so many characters: some of its words are the guest's.
const MAX_TOLD_CHARACTERS: usize = 1024;

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
    waiting_bytes: Arc<AtomicUsize>,
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
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting_bytes);
        thread::Builder::new().name(name.to_owned()).spawn(move || write_all(&waiting, &written, out))?;
        Ok(Self { lines, waiting_bytes, lost: AtomicU64::new(0) })
    }

    /// Writes a line, whose end is added, some time soon.
    pub(crate) fn line(&self, line: String) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 && self.offer(format!("cord: {lost} lines were lost here")) {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if !self.offer(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there was room for the line.
    fn offer(&self, line: String) -> bool {
        let bytes = line.len();
        let had_room = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) < MAX_WAITING_BYTES
            && self.lines.try_send(Entry::Line(line)).is_ok();
        if !had_room {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        had_room
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

fn write_all(waiting: &Receiver<Entry>, waiting_bytes: &AtomicUsize, mut out: impl Write) {
    let mut batch = String::new();
    while let Ok(first) = waiting.recv() {
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => {
                    waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
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

/// What all instances of a guest print: their lines, as many as the log takes of them.
#[derive(Debug)]
pub(crate) struct GuestLines {
    log: Log,
    rate: Option<Rate>,
    began: Instant,
}

impl GuestLines {
    /// Into `log`, so many bytes a second. None: everything.
    pub(crate) fn new(log: Log, bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { log, rate: bytes_per_second.map(Rate::new), began: Instant::now() }
    }

    /// Writes what a guest printed, unless that is too much.
    pub(crate) fn line(&self, line: String) {
        let Some(rate) = &self.rate else { return self.log.line(line) };
        if let Verdict::Kept { after } = rate.judge(line.len(), self.began.elapsed()) {
            after.into_iter().for_each(|dropped| self.log.line(dropped.to_string()));
            self.log.line(line);
        }
    }

    /// The log, for what is told about guests.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Tells what was dropped last, and waits until all lines are written.
    pub(crate) fn flush(&self) {
        if let Some(dropped) = self.rate.as_ref().and_then(Rate::dropped) {
            self.log.line(dropped.to_string());
        }
        self.log.flush();
    }
}

/// A line about a guest, with words of the guest in it, made fit for a log.
pub(crate) fn about_guest(line: &str) -> String {
    match line.char_indices().nth(MAX_TOLD_CHARACTERS) {
        Some((end, _)) => readable(&line.as_bytes()[..end]) + "...",
        None => readable(line.as_bytes()),
    }
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
    use std::sync::Mutex;

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
        // Nor do long lines.
        let before = log.lost.load(Ordering::Relaxed);
        let (release_long, stuck) = std::sync::mpsc::channel();
        let long = Log::start("log", Stuck(stuck)).unwrap();
        (0..100).for_each(|_| long.line("x".repeat(1 << 20)));
        assert!(long.lost.load(Ordering::Relaxed) > 80);
        assert!(long.waiting_bytes.load(Ordering::Relaxed) <= MAX_WAITING_BYTES + (1 << 20));
        assert_eq!(log.lost.load(Ordering::Relaxed), before);
        drop((release, release_long));
        log.flush();
        long.flush();
        assert_eq!(long.waiting_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_a_guest_prints_too_much_is_counted() {
        let check = |rate: u64, expected: &str| {
            let kept = Kept::default();
            let lines = GuestLines::new(Log::start("log", kept.clone()).unwrap(), NonZeroU64::new(rate));
            (0..10).for_each(|_| lines.line("123456789".to_owned()));
            lines.log().line("of cord".to_owned());
            lines.flush();
            assert_eq!(String::from_utf8(kept.0.lock().unwrap().clone()).unwrap(), expected);
        };
        let line = "123456789\n";
        check(0, &format!("{}of cord\n", line.repeat(10)));
        let told = "cord: 9 lines, 81 bytes, that the guest printed were dropped: more than --log-rate lets by";
        check(1, &format!("{line}of cord\n{told}\n"));
    }

    #[test]
    fn words_about_a_guest_have_an_end() {
        assert_eq!(about_guest("a\u{1b}b"), "a\\u{1b}b");
        let told = about_guest(&"é".repeat(10_000_000));
        assert_eq!(told, "é".repeat(MAX_TOLD_CHARACTERS) + "...");
    }

    #[test]
    fn words_do_not_reach_the_terminal_as_orders() {
        assert_eq!(readable(b"a\x1b[31m\tb\r\0\xff"), "a\\u{1b}[31m\tb\\r\\u{0}\u{fffd}");
    }
}
