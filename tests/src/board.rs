//! A switchboard of a test's own, as the process `cord switchboard`.

use crate::cord::Cord;
use crate::process::{self, Running};
use crate::wait;
use capability::Labels;
use client::Handle;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A running switchboard.
#[derive(Debug)]
pub struct Board {
    process: Running,
    socket: PathBuf,
    _folder: TempDir,
}

impl Board {
    /// Starts one and waits until its socket is there.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("board");
        let process = Cord::new([OsStr::new("switchboard"), socket.as_os_str()]).watched().start();
        let board = Self { process, socket, _folder: folder };
        wait::until("the switchboard's socket", || board.socket.exists());
        board
    }

    /// The path of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Running {
        &self.process
    }

    /// Gives up the process, the folder with the socket stays until the second value is dropped.
    #[must_use]
    pub fn into_process(self) -> (Running, TempDir) {
        (self.process, self._folder)
    }

    /// A new connection, which is the strongest handle.
    #[must_use]
    pub fn connect(&self) -> OwnedFd {
        // Between `bind` and `listen` the socket is there and nobody answers.
        wait::for_some("a connection to the switchboard", || fdpass::connect(&self.socket).ok())
    }

    /// The strongest handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.connect()).unwrap()
    }

    /// How many descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        process::descriptors(self.process.pid())
    }

    /// Waits until it has as many descriptors open again.
    pub fn wait_for_descriptors(&self, count: usize) {
        wait::for_equal("descriptors of the switchboard", &count, || self.descriptors());
    }

    /// A part of Cordboard at this switchboard: `cord COMMAND SOCKET ARGUMENTS`.
    #[must_use]
    pub fn part(&self, command: &[&str], arguments: &[&str]) -> Cord {
        Cord::new(command).arguments([&self.socket]).arguments(arguments)
    }

    /// Waits until `cord ls` shows `count` targets, and returns what it shows.
    #[must_use]
    pub fn wait_for_targets(&self, count: usize) -> String {
        wait::for_some(format!("{count} targets"), || {
            let listed = self.part(&["ls"], &[]).run();
            let shown = listed.expect_silent_success().text();
            (shown.lines().count() == count).then_some(shown)
        })
    }
}

/// A label set.
#[must_use]
pub fn labels<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    Labels::try_from_pairs(pairs).unwrap()
}
