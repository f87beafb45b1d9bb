//! Processes of a test: their output kept, their end awaited, and killed when the test ends first; and what the kernel
//! says about any process.

use crate::wait;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// So much of standard output is shown when a test fails.
const MOST_SHOWN: usize = 4096;

/// A running process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
}

impl Running {
    /// Starts a process whose output is kept. What `stdin` and `stderr` were set to stays.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_as_set(command.stdout(Stdio::piped()))
    }

    /// Starts a process, and keeps of its output what is a pipe.
    pub(crate) fn start_as_set(command: &mut Command) -> Self {
        let started = command.spawn();
        let mut child = started.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let (stdout, stderr) = (Capture::of(child.stdout.take()), Capture::of(child.stderr.take()));
        Self { child, stdin, stdout, stderr }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is a pipe and open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("the process reads");
    }

    /// Takes its standard input, to write from elsewhere.
    #[must_use]
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("standard input is a pipe and open")
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has printed `text`.
    pub fn wait_for_stdout(&self, text: &str) {
        self.wait_for(text, &self.stdout);
    }

    /// Waits until it has said `text` on standard error.
    pub fn wait_for_stderr(&self, text: &str) {
        self.wait_for(text, &self.stderr);
    }

    fn wait_for(&self, text: &str, stream: &Capture) {
        let started = wait::now();
        while !stream.text().contains(text) {
            assert!(!wait::too_long(started), "no {text:?} from {self:#?}");
            wait::moment();
        }
    }

    /// What it has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has said on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send_signal(self.pid(), signal);
    }

    /// Waits for its end, and for the end of all that it started with the same output.
    #[must_use]
    pub fn wait(mut self) -> Outcome {
        self.stdin = None;
        let started = wait::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(!wait::too_long(started), "{self:?} does not end");
            wait::moment();
        };
        while !(self.stdout.is_complete() && self.stderr.is_complete()) {
            assert!(!wait::too_long(started), "what {self:?} started does not end");
            wait::moment();
        }
        Outcome { status, stdout: self.stdout.bytes(), stderr: self.stderr.text() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended.
#[derive(Clone)]
pub struct Outcome {
    /// As the kernel tells.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said on standard error.
    pub stderr: String,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\nstandard output, {} bytes:", self.status, self.stdout.len())?;
        let shown = &self.stdout[..self.stdout.len().min(MOST_SHOWN)];
        writeln!(f, "{}\nstandard error:\n{}", String::from_utf8_lossy(shown), self.stderr)
    }
}

impl Outcome {
    /// What it printed, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Expects this exit code, and that nothing of ours has panicked.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "signal {:?}, {self:#?}", self.status.signal());
        assert!(!self.stderr.contains("panicked at crates/"), "{self:#?}");
        self
    }

    /// Expects exit code 0 and nothing on standard error.
    #[track_caller]
    pub fn expect_silent_success(&self) -> &Self {
        self.expect_code(0);
        assert_eq!(self.stderr, "", "{self:#?}");
        self
    }

    /// Expects exactly this on standard output.
    #[track_caller]
    pub fn expect_stdout(&self, text: &str) -> &Self {
        assert_eq!(self.text(), text, "{self:#?}");
        self
    }

    /// Expects exit code `code`, nothing on standard output and one line on standard error, `cord: ` before it. The
    /// line without that.
    #[track_caller]
    pub fn expect_complaint(&self, code: i32) -> &str {
        self.expect_code(code);
        assert_eq!(self.text(), "", "{self:#?}");
        let line = self.stderr.strip_suffix('\n').and_then(|line| line.strip_prefix("cord: "));
        match line {
            Some(line) if !line.contains('\n') => {
                assert!(!line.contains("panicked") && !line.is_empty(), "{self:#?}");
                line
            }
            _ => panic!("not one line of complaint: {self:#?}"),
        }
    }

    /// The lines on standard error that are `cord`'s own, without `cord: `.
    #[must_use]
    pub fn complaints(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("cord: ")).collect()
    }
}

/// A stream of a process, read by a thread as it comes.
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl Capture {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&bytes);
        let read = |mut stream: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut chunk = vec![0; 64 * 1024];
                while let Ok(length) = stream.read(&mut chunk)
                    && length > 0
                {
                    kept.lock().unwrap().extend_from_slice(&chunk[..length]);
                }
            })
        };
        Self { bytes, thread: stream.map(|stream| read(Box::new(stream))) }
    }

    fn is_complete(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

/// How many descriptors a process has open.
#[must_use]
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap_or_else(|error| panic!("process {pid}: {error}")).count()
}

/// How many bytes of memory a process has written to and keeps: what it only reads is the file's, and may be shared.
#[must_use]
pub fn written_bytes(pid: u32) -> u64 {
    let table = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = table.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kibibytes = line.unwrap_or_else(|| panic!("no Private_Dirty in {table}")).trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// The most memory that a process has ever had at once, in bytes: its own and what it shares with others.
#[must_use]
pub fn peak_bytes(pid: u32) -> u64 {
    // Not a map of its memory, which a process may keep to itself.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.unwrap_or_else(|| panic!("no VmHWM in {status}")).trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// What a process has computed, in all its threads and in the kernel.
#[must_use]
pub fn computed(pid: u32) -> Duration {
    let fields = stat(pid).unwrap_or_else(|| panic!("process {pid} is gone"));
    // The fields 14 and 15 of proc(5), which counts the two that are missing here.
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The children of a process: number and command line, words joined by spaces.
#[must_use]
pub fn children(pid: u32) -> Vec<(u32, String)> {
    let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|child| parent(*child) == Some(pid)).map(|child| (child, command_line(child))).collect()
}

/// Whether a process is there and is more than its exit status.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
}

/// Sends a signal to a process.
pub fn send_signal(pid: u32, signal: Signal) {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(number, signal).unwrap_or_else(|error| panic!("cannot signal process {pid}: {error}"));
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The fields behind the name, which may hold anything: state, parent, ...
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ")
}
