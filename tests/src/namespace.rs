//! Networks and file systems of a test's own, so that tests in parallel and the machine's own services never meet.
//!
//! Root makes them directly. Anybody else makes a user namespace first, in which that is allowed.

use crate::process::Running;
use crate::{programs, wait};
use rustix::process::geteuid;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A network in which there is nothing but a real OpenSSH server on 127.0.0.1:22 and `[::1]:22`. It logs nobody in, and
/// sends away after a second who only listens.
#[derive(Debug)]
pub struct SshNetwork {
    /// The server, in whose network everything else runs.
    server: Running,
    _folder: TempDir,
}

impl SshNetwork {
    /// Makes the network and waits until the server listens.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = configure(folder.path());
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" -D -e -f \"$1\""]);
        command.arg(programs::sshd()).arg(configuration).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut server = Running::start(&mut command);
        for address in ["0.0.0.0", "::"] {
            let line = format!("Server listening on {address} port 22");
            wait::until(&line, || {
                assert!(server.is_running(), "sshd ended at once: {}", server.stderr());
                server.stderr().contains(&line)
            });
        }
        Self { server, _folder: folder }
    }

    /// The words that make a program run in this network.
    #[must_use]
    pub fn wrapper(&self) -> Vec<OsString> {
        let mut words = vec!["nsenter".into(), "--target".into(), self.server.pid().to_string().into(), "--net".into()];
        if !geteuid().is_root() {
            words.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        words
    }

    /// How many packets the network has carried: its only device is loopback.
    #[must_use]
    pub fn packets(&self) -> u64 {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.server.pid())).unwrap();
        let line = table.lines().find_map(|line| line.trim_start().strip_prefix("lo:"));
        let counters = line.unwrap_or_else(|| panic!("no loopback in {table}"));
        counters.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// Writes a host key and a configuration.
fn configure(folder: &Path) -> std::path::PathBuf {
    let key = folder.join("key");
    let keygen = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(keygen.is_ok_and(|status| status.success()), "ssh-keygen failed: run `cargo xtask test`, which brings it");
    let configuration = folder.join("configuration");
    let text = format!(
        "HostKey {}\nPidFile none\nLoginGraceTime 1\nMaxStartups 100\nUsePAM no\nPasswordAuthentication no\n\
         PubkeyAuthentication no\nKbdInteractiveAuthentication no\n",
        key.display()
    );
    // From 9.8 on sshd sends away for a while who breaks off often; older versions do not know the option.
    let patient = format!("{text}PerSourcePenalties no\n");
    fs::write(&configuration, patient).unwrap();
    let check = Command::new(programs::sshd()).arg("-t").arg("-f").arg(&configuration).output().unwrap();
    if !check.status.success() {
        fs::write(&configuration, text).unwrap();
    }
    configuration
}

/// The words that make a program see `hosts` as `/etc/hosts`, and resolve names by that file alone.
#[must_use]
pub fn with_hosts(folder: &Path, hosts: &str) -> Vec<OsString> {
    let (hosts_file, switch_file) = (folder.join("hosts"), folder.join("nsswitch.conf"));
    fs::write(&hosts_file, hosts).unwrap();
    fs::write(&switch_file, "hosts: files\n").unwrap();
    assert!(Path::new("/etc/nsswitch.conf").exists(), "/etc/nsswitch.conf is missing, so nothing can be put over it");
    let mut words: Vec<OsString> = vec!["unshare".into()];
    if !geteuid().is_root() {
        words.extend(["--user".into(), "--map-root-user".into()]);
    }
    words.extend(["--mount".into(), "sh".into(), "-c".into()]);
    words.push(
        "mount --bind \"$0\" /etc/hosts && mount --bind \"$1\" /etc/nsswitch.conf && shift && exec \"$@\"".into(),
    );
    words.extend([hosts_file.into(), switch_file.into()]);
    words
}

/// The words that make a program run without the privilege to open what permissions forbid.
#[must_use]
pub fn without_privileges() -> Vec<OsString> {
    if geteuid().is_root() {
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all"].map(OsString::from).to_vec()
    } else {
        Vec::new()
    }
}
