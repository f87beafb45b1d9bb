//! Runs `cord` under callgrind and reads what each of its processes took.
//!
//! Every run sees the same: a folder with a name of the same length, file names relative to it, code compiled before, and
//! nothing else in the environment. The profiles stay, for whoever wants to know where the instructions went.

use crate::process::{output_of, run, run_quietly};
use crate::programs::Programs;
use crate::setup::Valgrind;
use crate::steps::now;
use anyhow::{Context, Result, bail, ensure};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may take to serve, and a broker to end: under valgrind they are some fifty times as slow.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// A file that was not written for so long has times that tell a later write.
const SETTLED: Duration = Duration::from_millis(200);
/// Nobody can have more instances: valgrind has no address space for a thousand.
const INSTANCES: &str = "4";
/// How a server says where it serves.
const SERVING: &str = "cord: serving http://";

/// The name of a profile, before the number of its process.
const PROFILE: &str = "callgrind";

const HELLO: &str = "hello.wasm";
const CONNECTS: &str = "connects.wasm";
const HTTP: &str = "http-hello.wasm";

/// Where everything is run. What was laid there is removed when this is dropped.
pub(super) struct Place<'a> {
    valgrind: &'a Valgrind,
    /// The search path for the client of the server.
    path: &'a str,
    folder: TempDir,
    profiles: &'a Path,
    filter: BpfProgram,
}

/// What the two processes of a run took: the one that the guest is in, and the broker, if there was one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) guest: u64,
    pub(super) broker: u64,
}

impl<'a> Place<'a> {
    /// Lays copies of programs and guests into a folder of our own, and has the guests compiled.
    pub(super) fn new(
        valgrind: &'a Valgrind,
        programs: &Programs,
        guests: &Path,
        path: &'a str,
        profiles: &'a Path,
    ) -> Result<Self> {
        // Its path is of the same length each time, as paths are counted, too.
        let folder = tempfile::Builder::new().prefix("cordboard-instructions-").rand_bytes(10).tempdir()?;
        let place = Self { valgrind, path, folder, profiles, filter: without_auxiliary_vector()? };
        for program in [&programs.cord, &programs.compile] {
            let name = program.file_name().context("a program has a name")?;
            fs::copy(program, place.folder.path().join(name))?;
        }
        for guest in [HELLO, CONNECTS, HTTP] {
            fs::copy(guests.join(guest), place.folder.path().join(guest))
                .with_context(|| format!("no guest {guest}"))?;
        }
        let _ = fs::remove_dir_all(profiles);
        fs::create_dir_all(profiles)?;
        place.have_all_compiled()?;
        Ok(place)
    }

    /// Runs everything without valgrind, under which the compiler would take minutes. Twice, and not at once: what was
    /// written a moment ago is not yet believed to stay as it is, and hashed anew at every start.
    fn have_all_compiled(&self) -> Result<()> {
        let folder = self.folder_of("compiled")?;
        for _ in 0..2 {
            sleep(SETTLED);
            for guest in [&[HELLO][..], &[CONNECTS, "127.0.0.1", "1", "0"]] {
                let mut cord = Command::new("./cord");
                run_quietly(self.inside(cord.env_clear().arg("run").args(guest)), &folder.join("log"))?;
            }
            let mut cord = Command::new("./cord");
            self.serve(cord.env_clear(), &folder, 1)?;
        }
        Ok(())
    }

    /// A start of the smallest guest.
    pub(super) fn start(&self) -> Result<u64> {
        let profiles = self.folder_of("start")?;
        let mut cord = self.cord(&profiles);
        let status = self.spawn(cord.args(["run", "--jail", "off", HELLO]), &profiles)?.wait()?;
        ensure!(status.success(), "cord failed under valgrind: {}", log_of(&profiles));
        Ok(taken(&profiles, 1)?.guest)
    }

    /// A guest that connects so many times.
    pub(super) fn connections(&self, count: u64) -> Result<Taken> {
        let profiles = self.folder_of(&format!("connection-{count}"))?;
        let status = while_somebody_listens(|server| {
            let mut cord = self.cord(&profiles);
            cord.args(["run", "--jail", "off", "-c", &server.to_string()]);
            cord.args([CONNECTS, "127.0.0.1", &server.port().to_string(), &count.to_string()]);
            Ok(self.spawn(&mut cord, &profiles)?.wait()?)
        })?;
        ensure!(status.success(), "cord failed under valgrind: {}", log_of(&profiles));
        taken(&profiles, 2)
    }

    /// A server that answers so many requests, which all come on one connection.
    pub(super) fn requests(&self, count: u64) -> Result<Taken> {
        let profiles = self.folder_of(&format!("request-{count}"))?;
        self.serve(&mut self.cord(&profiles), &profiles, count)?;
        taken(&profiles, 2)
    }

    fn serve(&self, cord: &mut Command, profiles: &Path, count: u64) -> Result<()> {
        cord.args(["serve", "--jail", "off", "--access-log", "off", "--max-instances", INSTANCES]);
        let mut server = self.spawn(cord.args(["-a", "127.0.0.1:0", HTTP]), profiles)?;
        let asked = self.ask(&mut server, profiles, count);
        // However it went, the server must end; and only one that ends by itself tells its count.
        let ended = output_of(Command::new("sh").args(["-c", "kill -TERM $0", &server.id().to_string()]));
        if asked.is_err() || ended.is_err() {
            let _ = server.kill();
        }
        let status = server.wait()?;
        asked?;
        ensure!(status.success(), "cord failed: {}", log_of(profiles));
        Ok(())
    }

    fn ask(&self, server: &mut Child, profiles: &Path, count: u64) -> Result<()> {
        let started = now();
        let address = loop {
            let log = log_of(profiles);
            if let Some(address) = served_at(&log) {
                break address.to_string();
            }
            if let Some(status) = server.try_wait()? {
                bail!("cord ended at once ({status}): {log}");
            }
            ensure!(started.elapsed() < PATIENCE, "cord does not serve: {log}");
            sleep(POLL);
        };
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--output", "/dev/null"]);
        // Numbers of as many digits each, so that each request is as long.
        run(curl.arg(format!("http://{address}/[{}-{}]", 10_001, 10_000 + count)).env("PATH", self.path))
    }

    /// `cord` under callgrind, with its children.
    fn cord(&self, profiles: &Path) -> Command {
        let mut command = self.valgrind.command();
        command.args(["--quiet", "--tool=callgrind", "--trace-children=yes"]);
        command.arg(format!("--callgrind-out-file={}/{PROFILE}.%p", profiles.display())).arg("./cord");
        command
    }

    /// Starts a command with what valgrind cannot bear forbidden.
    fn spawn(&self, command: &mut Command, profiles: &Path) -> Result<Child> {
        let log = File::create(profiles.join("log"))?;
        self.inside(command).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // The filter is for this thread, and what it starts inherits it.
        std::thread::scope(|scope| {
            let start = scope.spawn(|| {
                seccompiler::apply_filter(&self.filter).context("cannot install a filter of system calls")?;
                command.spawn().context("cannot run valgrind")
            });
            start.join().unwrap_or_else(|_| bail!("the thread that starts valgrind panicked"))
        })
    }

    /// Runs a command in the folder, with the code compiled there.
    fn inside<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let folder = self.folder.path();
        command.current_dir(folder).env("HOME", folder).env("PATH", "/usr/bin:/bin")
    }

    fn folder_of(&self, run: &str) -> Result<PathBuf> {
        let folder = self.profiles.join(run);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// A filter under which a process cannot ask the kernel for its auxiliary vector.
///
/// It would get valgrind's own, and read from there where the kernel's routines for clocks lie, which valgrind does not let
/// it see. Without the answer it reads a file, and that valgrind makes up as it should be.
fn without_auxiliary_vector() -> Result<BpfProgram> {
    const PR_GET_AUXV: u64 = 0x4155_5856;
    let asks = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, PR_GET_AUXV)?;
    let refused = SeccompAction::Errno(u32::try_from(libc::EINVAL)?);
    let rules = [(libc::SYS_prctl, vec![SeccompRule::new(vec![asks])?])].into();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// Does `work` while a server on loopback takes every connection, and closes it after the client has.
#[expect(
    clippy::disallowed_methods,
    reason = "the far end of what is counted, and the wake-up at its end; on loopback"
)]
fn while_somebody_listens<T>(work: impl FnOnce(SocketAddr) -> Result<T>) -> Result<T> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for mut stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                while stream.read(&mut [0]).is_ok_and(|length| length > 0) {}
            }
        });
        let result = work(address);
        over.store(true, Ordering::SeqCst);
        // If nobody is woken by this, nobody listens any more.
        let _ = TcpStream::connect(address);
        result
    })
}

/// What a run printed.
fn log_of(profiles: &Path) -> String {
    fs::read_to_string(profiles.join("log")).unwrap_or_default()
}

/// Where a server says it serves, once it has said it to the end of the line.
fn served_at(log: &str) -> Option<&str> {
    let line = log.split_inclusive('\n').find_map(|line| line.strip_prefix(SERVING))?;
    line.strip_suffix('\n')
}

/// What so many processes of a run took. A broker outlives the process of its guest, so its profile is waited for.
fn taken(profiles: &Path, processes: usize) -> Result<Taken> {
    let started = now();
    loop {
        let complete = complete_profiles(profiles)?;
        if complete.len() >= processes {
            return taken_by(&complete);
        }
        if started.elapsed() > PATIENCE {
            bail!("{} of {processes} processes wrote a profile into {}", complete.len(), profiles.display());
        }
        sleep(POLL);
    }
}

/// The processes that have written all of their profile.
fn complete_profiles(folder: &Path) -> Result<Vec<(String, u64)>> {
    let mut complete = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == PROFILE) {
            complete.extend(read_profile(&fs::read_to_string(path)?));
        }
    }
    Ok(complete)
}

fn taken_by(processes: &[(String, u64)]) -> Result<Taken> {
    let mut taken = Taken::default();
    for (command, count) in processes {
        let of = if command.split(' ').nth(1) == Some("broker") { &mut taken.broker } else { &mut taken.guest };
        ensure!(*of == 0, "a second process of a kind: {command}");
        *of = *count;
    }
    Ok(taken)
}

/// The command line of a process, and its instructions.
fn read_profile(profile: &str) -> Option<(String, u64)> {
    let value = |name: &str| profile.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((value("cmd:")?.to_string(), value("totals:")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_A_BROKER: &str = "# callgrind format\nversion: 1\npid: 7\ncmd:  ./cord broker --jail=off\npart: 1\n\n\
                               events: Ir\nsummary: 367141\n\n\nfn=(1) main\n12 340\n\ntotals: 367141\n";

    #[test]
    fn a_profile_tells_the_command_and_the_total() {
        assert_eq!(read_profile(OF_A_BROKER), Some(("./cord broker --jail=off".to_string(), 367_141)));
        // While it is being written.
        assert_eq!(read_profile(OF_A_BROKER.split_once("totals").unwrap().0), None);
    }

    #[test]
    fn the_broker_is_told_from_the_process_of_the_guest() {
        let folder = tempfile::tempdir().unwrap();
        let guest = OF_A_BROKER.replace("broker --jail=off", "run --jail off broker").replace("367141", "5");
        for (name, text) in [("callgrind.7", OF_A_BROKER), ("callgrind.6", &guest), ("log", "hello\n")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert_eq!(taken(folder.path(), 2).unwrap(), Taken { guest: 5, broker: 367_141 });
    }

    #[test]
    fn two_processes_of_a_kind_are_not_counted_as_one() {
        let broker = read_profile(OF_A_BROKER).unwrap();
        let error = taken_by(&[broker.clone(), broker]).unwrap_err().to_string();
        assert_eq!(error, "a second process of a kind: ./cord broker --jail=off");
    }

    #[test]
    fn a_server_is_ready_when_its_whole_address_is_printed() {
        let log = "cord: the jail is off\ncord: serving http://127.0.0.1:4473\n";
        assert_eq!(served_at(log), Some("127.0.0.1:4473"));
        assert_eq!(served_at("cord: serving http://127.0.0.1:44"), None);
    }

    #[test]
    fn a_server_on_loopback_takes_connections_until_the_work_is_done() {
        #[expect(clippy::disallowed_methods, reason = "a test connects")]
        let connected = while_somebody_listens(|address| {
            Ok([TcpStream::connect(address).is_ok(), TcpStream::connect(address).is_ok()])
        });
        assert_eq!(connected.unwrap(), [true, true]);
    }
}
