//! A stage for the attacker of `cord-escape`: volumes, a folder beside them, sockets to reach, a parent to attack, and
//! descriptors left open. The attacker is played by `cord-hostile`, in a runner that is jailed as told.
//!
//! Whatever an attempt could want is there, and belongs to the attacker's user: what refuses it must be the jail, and not
//! that there is nothing.

use crate::process::Running;
use crate::programs;
use crate::servers::{LOOPBACK, Listener};
use cord_escape::{ASKED, MARKER, PREPARED};
use rustix::fs::OFlags;
use rustix::process::geteuid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// As whom the attacker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attacker {
    /// As root.
    Root,
    /// Started by root, and made another user by `--user`.
    Demoted,
    /// As an ordinary user: the tests' own, or one that root becomes before `cord` is started.
    Ordinary,
}

/// Which layers of the jail hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jail {
    /// All.
    Whole,
    /// None, by `--jail off`.
    Off,
    /// All but one.
    Without(&'static str),
    /// One.
    Only(&'static str),
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something held it back.
    Refused(String),
    /// The effect was seen.
    Escaped(String),
    /// It is one of those that nothing holds back, and nothing did.
    Gap(String),
}

impl Outcome {
    /// Whether the attacker had what it wanted.
    #[must_use]
    pub fn escaped(&self) -> bool {
        matches!(self, Self::Escaped(_))
    }
}

/// An attempt by name, and what came of it.
pub type Attempt = (String, Outcome);

/// The programs of an attacker, where its user can read them, and a compile cache of its own where it needs one.
#[derive(Debug)]
pub struct Camp {
    attacker: Attacker,
    hostile: PathBuf,
    guest: PathBuf,
    cache: PathBuf,
    _folder: Option<TempDir>,
}

impl Camp {
    /// Readies an attacker. Only root can be root, or somebody else.
    #[must_use]
    pub fn of(attacker: Attacker) -> Self {
        assert!(attacker == Attacker::Ordinary || geteuid().is_root(), "{attacker:?} needs root");
        let (hostile, guest, cache) = (programs::hostile(), programs::guest("hello.wasm"), programs::shared_cache());
        if !(attacker == Attacker::Ordinary && geteuid().is_root()) {
            return Self { attacker, hostile, guest, cache, _folder: None };
        }
        let folder = open_to_all(tempfile::tempdir().unwrap());
        let copy = |from: &Path| {
            let to = folder.path().join(from.file_name().unwrap());
            fs::copy(from, &to).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
            to
        };
        copy(&programs::compiler());
        let cache = folder.path().join("cache");
        fs::create_dir(&cache).unwrap();
        chown(&cache, Some(NOBODY), Some(NOBODY)).unwrap();
        Self { attacker, hostile: copy(&hostile), guest: copy(&guest), cache, _folder: Some(folder) }
    }

    /// Has every attempt made in a runner with these layers, on a stage of its own, and tells what came of them.
    #[must_use]
    pub fn attack(&self, jail: Jail) -> Vec<Attempt> {
        let stage = Stage::set(self.attacker);
        let mut words: Vec<OsString> = Vec::new();
        if self.attacker == Attacker::Ordinary && geteuid().is_root() {
            let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
            words.extend(user.map(OsString::from));
        }
        // With the terminal as its own: only then may it try to type into it.
        words.extend(["setsid", "--ctty", "sh", "-c", PARENT].map(OsString::from));
        words.extend([stage.folder.path().into(), self.hostile.clone().into_os_string()]);
        let mode = if jail == Jail::Off { "off" } else { "on" };
        words.extend(["run", "--jail", mode, "-c", "127.0.0.1:9"].map(OsString::from));
        words.extend(["-v".into(), stage.volume("rw", ":/rw"), "-v".into(), stage.volume("ro", ":/ro:ro")]);
        if self.attacker == Attacker::Demoted {
            words.extend(["--user", "65534:65534"].map(OsString::from));
        }
        words.push(self.guest.clone().into());
        let (terminal, stdin) = terminal();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(stdin).stderr(Stdio::piped());
        command.env(ASKED, stage.scene()).env("XDG_CACHE_HOME", &self.cache);
        match jail {
            Jail::Whole | Jail::Off => {}
            Jail::Without(layer) => drop(command.env("CORD_JAIL_WITHOUT", layer)),
            Jail::Only(layer) => drop(command.env("CORD_JAIL_ONLY", layer)),
        }
        let ended = Running::start(&mut command).wait();
        drop(terminal);
        let context = format!("{:?}, {jail:?}: {ended:?}", self.attacker);
        ended.expect_code(0);
        read(&ended.text()).unwrap_or_else(|fault| panic!("{fault}: {context}"))
    }
}

/// Starts the runner with descriptors left open, tells it where its memory can be read and written, and how the runner
/// ended, and whether it was signalled: a shell runs a trap when its child has ended.
const PARENT: &str = r#"
cd "$0/work" || exit 99
ulimit -c unlimited 2>/dev/null
while read -r range permissions rest; do
    : "${readable:=${range%%-*}}"
    case $permissions in rw*) : "${writable:=${range%%-*}}" ;; esac
done <"/proc/$$/maps"
signalled=no
trap 'signalled=yes' USR2
export CORD_ESCAPE="$CORD_ESCAPE;parent=$$;readable=$readable;writable=$writable"
"$@" 9<"$0/outside/secret" 8<"$0/outside" 7>>"$0/outside/file"
echo '# ended:' $?
echo '# signalled:' $signalled
"#;

/// As a shell tells of a process that made a call it may not even ask for: 128 and `SIGSYS`.
const ENDED_BY_THE_FILTER: &str = "159";

/// Reads the attacker's lines, and the parent's after them.
fn read(text: &str) -> Result<Vec<Attempt>, String> {
    let told = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let (ended, signalled) = (told("# ended: "), told("# signalled: "));
    if told("# ") != MARKER {
        return Err("the program has no harness".to_owned());
    }
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut last_is_open = false;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split('\t').collect();
        let [name, word, detail] = words[..] else { return Err(format!("{line:?} is not of an attempt")) };
        if last_is_open {
            attempts.pop();
        }
        last_is_open = word == "trying";
        let detail = detail.to_owned();
        let outcome = match (word, signalled, ended) {
            ("refused", ..) | ("asked", "no", _) => Outcome::Refused(detail),
            ("escaped", ..) | ("asked", "yes", _) => Outcome::Escaped(detail),
            ("gap", ..) => Outcome::Gap(detail),
            ("trying", _, ENDED_BY_THE_FILTER) => Outcome::Refused("SIGSYS".to_owned()),
            // What came of it follows.
            ("trying", _, "0") => Outcome::Refused("no answer".to_owned()),
            _ => return Err(format!("{line:?} tells nothing")),
        };
        if attempts.iter().any(|(earlier, _)| earlier == name) {
            return Err(format!("{name} was made twice"));
        }
        attempts.push((name.to_owned(), outcome));
    }
    match (ended, last_is_open) {
        ("0", false) | (ENDED_BY_THE_FILTER, true) => Ok(attempts),
        _ => Err(format!("it ended with {ended} after {:?}", attempts.last())),
    }
}

/// What stands around one attack.
struct Stage {
    folder: TempDir,
    _stream: UnixListener,
    _datagram: UnixDatagram,
    _abstract_stream: UnixListener,
    _abstract_datagram: UnixDatagram,
    tcp: Listener,
}

const SECRET: &str = "what nobody was given";

impl Stage {
    fn set(attacker: Attacker) -> Self {
        let folder = open_to_all(tempfile::tempdir().unwrap());
        let path = folder.path();
        for name in ["rw", "ro", "outside"] {
            fs::create_dir_all(path.join(name).join("folder")).unwrap();
            for file in PREPARED {
                fs::write(path.join(name).join(file), "some content").unwrap();
            }
        }
        fs::create_dir(path.join("work")).unwrap();
        fs::write(path.join("outside/secret"), SECRET).unwrap();
        for name in ["rw/out", "outside/out"] {
            symlink(path.join("outside/secret"), path.join(name)).unwrap();
        }
        fs::copy("/bin/sh", path.join("rw/program")).unwrap();
        let _stream = UnixListener::bind(path.join("stream")).unwrap();
        let _datagram = UnixDatagram::bind(path.join("datagram")).unwrap();
        if attacker != Attacker::Root && geteuid().is_root() {
            give_away(path);
        }
        let name = |kind: &str| SocketAddr::from_abstract_name(format!("{}/{kind}", path.display())).unwrap();
        Self {
            _stream,
            _datagram,
            _abstract_stream: UnixListener::bind_addr(&name("stream")).unwrap(),
            _abstract_datagram: UnixDatagram::bind_addr(&name("datagram")).unwrap(),
            tcp: Listener::at(LOOPBACK),
            folder,
        }
    }

    fn volume(&self, name: &str, rest: &str) -> OsString {
        let mut words = self.folder.path().join(name).into_os_string();
        words.push(rest);
        words
    }

    /// What the attacker is told. The parent adds what it knows of itself.
    fn scene(&self) -> String {
        let (top, tcp, setuid) = (self.folder.path().display(), self.tcp.address(), self.setuid());
        format!(
            "rw={top}/rw;ro={top}/ro;outside={top}/outside;secret={SECRET};unix={top}/stream;unix-datagram={top}/datagram;\
             abstract={top}/stream;abstract-datagram={top}/datagram;tcp={tcp};leaked=9;leaked-folder=8;setuid={}",
            setuid.display()
        )
    }

    /// A setuid program of root's: one that root makes, else one of the system's.
    fn setuid(&self) -> PathBuf {
        if !geteuid().is_root() {
            let system = ["/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount"].map(PathBuf::from);
            let is_setuid =
                |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o4000 != 0);
            return system.into_iter().find(is_setuid).expect("a setuid program");
        }
        let program = self.folder.path().join("setuid");
        // Not a shell, which gives up such a gift by itself.
        fs::copy("/bin/true", &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
        program
    }
}

fn open_to_all(folder: TempDir) -> TempDir {
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Makes everything in a folder that of the user that owns nothing else.
fn give_away(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        lchown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        if entry.file_type().unwrap().is_dir() {
            give_away(&entry.path());
        }
    }
}

/// A terminal: the side of whoever sits at it, and the side of programs.
fn terminal() -> (OwnedFd, Stdio) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let mut options = File::options();
    let options = options.read(true).write(true).custom_flags(OFlags::NOCTTY.bits().cast_signed());
    (terminal, options.open(name.to_str().unwrap()).unwrap().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rest: &str) -> String {
        format!("# {MARKER}\n{rest}")
    }

    fn outcome(line: &str, ending: &str) -> Outcome {
        let attempts = read(&lines(&format!("{line}\n{ending}"))).unwrap();
        assert_eq!(attempts.len(), 1);
        attempts[0].1.clone()
    }

    const WELL: &str = "# ended: 0\n# signalled: no\n";
    const SIGNALLED: &str = "# ended: 0\n# signalled: yes\n";
    const KILLED: &str = "# ended: 159\n# signalled: no\n";

    #[test]
    fn the_parent_says_whether_what_was_asked_came_true() {
        assert_eq!(outcome("a\trefused\tEPERM", SIGNALLED), Outcome::Refused("EPERM".into()));
        assert_eq!(outcome("a\tescaped\tread", WELL), Outcome::Escaped("read".into()));
        assert_eq!(outcome("a\tasked\tx", WELL), Outcome::Refused("x".into()));
        assert_eq!(outcome("a\tasked\tx", SIGNALLED), Outcome::Escaped("x".into()));
    }

    #[test]
    fn the_kernels_end_of_the_process_is_a_refusal_of_the_last_attempt_alone() {
        assert_eq!(outcome("a\ttrying\t", KILLED), Outcome::Refused("SIGSYS".into()));
        assert_eq!(outcome("a\ttrying\t\na\tescaped\tx", WELL), Outcome::Escaped("x".into()));
        assert!(read(&lines(&format!("a\trefused\tEPERM\n{KILLED}"))).is_err());
        assert!(read(&lines("a\ttrying\t\n# ended: 139\n# signalled: no\n")).is_err());
        assert!(read(&lines("a\trefused\tEPERM\n# ended: 2\n# signalled: no\n")).is_err());
    }

    #[test]
    fn a_program_without_the_harness_is_noticed() {
        assert!(read(&format!("hello\n{WELL}")).is_err());
    }
}
