//! A guest of which there is an instance for each connection or each request, and where it is reached.

use crate::cord::Cord;
use crate::process::{Outcome, Running, children, descriptors};
use crate::{programs, wait};
use std::ffi::OsString;
use std::net::SocketAddr;

/// A running `cord run --per-connection` or `cord serve`.
#[derive(Debug)]
pub struct Service {
    running: Running,
    scheme: &'static str,
    addresses: Vec<SocketAddr>,
}

/// How many descriptors runner and broker have open.
pub type Descriptors = [usize; 2];

impl Service {
    /// A fresh instance for each connection, at a port that is picked. `flags` are for `cord run`.
    #[must_use]
    pub fn per_connection(flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        Self::published(&["0:0"], flags, guest, arguments)
    }

    /// The same at several places, each as `-p` wants it, with 0 for a port that is picked.
    #[must_use]
    pub fn published(publish: &[&str], flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        let cord = Cord::new(["run", "--per-connection"]).arguments(publish.iter().flat_map(|at| ["-p", at]));
        let cord = cord.arguments(flags).arguments([programs::guest(guest)]).arguments(arguments);
        Self::start(cord, publish.len())
    }

    /// A command line for one place, but for the guest.
    #[must_use]
    pub fn of(cord: Cord, guest: &str) -> Self {
        Self::start(cord.arguments([programs::guest(guest)]), 1)
    }

    /// `cord serve` at a port that is picked.
    #[must_use]
    pub fn http(flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        Self::http_at(&["127.0.0.1:0"], flags, guest, arguments)
    }

    /// The same at several places, each as `--addr` wants it, with 0 for a port that is picked.
    #[must_use]
    pub fn http_at(addresses: &[&str], flags: &[&str], guest: &str, arguments: &[&str]) -> Self {
        let cord = Cord::new(["serve"]).arguments(addresses.iter().flat_map(|at| ["--addr", at]));
        let cord = cord.arguments(flags).arguments([programs::guest(guest)]).arguments(arguments);
        Self::start(cord, addresses.len())
    }

    /// `cord serve` in another network for example, at one place.
    #[must_use]
    pub fn http_in(wrapper: Vec<OsString>, address: &str, flags: &[&str], guest: &str) -> Self {
        let cord = Cord::new(["serve", "--addr", address]).arguments(flags).arguments([programs::guest(guest)]);
        Self::start(cord.wrapped(wrapper), 1)
    }

    /// Starts it and waits until it says at how many addresses it is reached.
    fn start(cord: Cord, awaited: usize) -> Self {
        let mut running = cord.watched().start();
        let (scheme, addresses) = wait::for_some(format!("{awaited} addresses"), || {
            let told: Vec<_> = running.stderr().lines().filter_map(address).collect();
            assert!(told.len() == awaited || running.is_running(), "it ended: {running:#?}");
            let scheme = told.first()?.0;
            (told.len() == awaited).then(|| (scheme, told.into_iter().map(|(_, address)| address).collect()))
        });
        Self { running, scheme, addresses }
    }

    /// Where it is reached first.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Everywhere it is reached, in the order of the flags.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A page of it.
    #[must_use]
    pub fn url(&self, target: &str) -> String {
        format!("{}://{}{target}", self.scheme, self.address())
    }

    /// A page of it, reached by this name.
    #[must_use]
    pub fn url_by_name(&self, name: &str, target: &str) -> String {
        format!("{}://{name}:{}{target}", self.scheme, self.address().port())
    }

    /// The process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.running
    }

    /// What was printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.running.stdout()
    }

    /// What was said on standard error so far, but for the lines that tell the addresses.
    #[must_use]
    pub fn log(&self) -> String {
        log_of(&self.running.stderr())
    }

    /// Waits until standard error has `text`.
    pub fn wait_for_log(&self, text: &str) {
        self.running.wait_for_stderr(text);
    }

    /// The numbers of the runner and of the broker beside it.
    #[must_use]
    pub fn processes(&self) -> [u32; 2] {
        let runner = self.running.pid();
        let broker = wait::for_some("the broker", || children(runner).first().map(|child| child.0));
        [runner, broker]
    }

    /// How many descriptors runner and broker have open now.
    #[must_use]
    pub fn descriptors(&self) -> Descriptors {
        self.processes().map(descriptors)
    }

    /// Waits until there are as many, or fewer, and tells how many.
    pub fn wait_for_descriptors(&self, most: Descriptors) -> Descriptors {
        let processes = self.processes();
        wait::for_some(format!("{most:?} descriptors of runner and broker, or fewer"), || {
            let now = processes.map(descriptors);
            now.iter().zip(&most).all(|(now, most)| now <= most).then_some(now)
        })
    }

    /// Runs `round` and waits until no more descriptors are open than before it. A service opens some only when it is
    /// first used, and some in a worker that has not begun yet when the first client is served; so a round may leave
    /// more, but not three one after the other.
    pub fn must_leave_nothing_behind(&self, mut round: impl FnMut()) {
        let mut before = self.descriptors();
        for _ in 0..2 {
            round();
            if wait::briefly(|| self.is_back_at(&before)) {
                return;
            }
            before = self.descriptors();
        }
        round();
        let _ = self.wait_for_descriptors(before);
    }

    fn is_back_at(&self, most: &Descriptors) -> bool {
        self.descriptors().iter().zip(most).all(|(now, most)| now <= most)
    }

    /// Asks it to end, and waits for that. Standard error is told without the lines that tell the addresses.
    #[must_use]
    pub fn stop(self) -> Outcome {
        self.running.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    #[must_use]
    pub fn wait(self) -> Outcome {
        let outcome = self.running.wait();
        Outcome { stderr: log_of(&outcome.stderr), ..outcome }
    }
}

/// The scheme and the address that a line tells.
fn address(line: &str) -> Option<(&'static str, SocketAddr)> {
    let line = line.strip_prefix("cord: ")?;
    if let Some(address) = line.strip_suffix(" is served by a fresh instance for each connection") {
        return Some(("tcp", address.parse().ok()?));
    }
    let (scheme, address) = line.strip_prefix("serving ")?.split_once("://")?;
    let scheme = if scheme == "https" { "https" } else { "http" };
    Some((scheme, address.parse().ok()?))
}

fn log_of(stderr: &str) -> String {
    stderr.lines().filter(|line| address(line).is_none()).flat_map(|line| [line, "\n"]).collect()
}
