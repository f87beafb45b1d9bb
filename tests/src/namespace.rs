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

/// An address of [`Network`] that is not loopback.
pub const OTHER_ADDRESS: &str = "10.77.0.1";

/// A network of a test's own in which there is nothing but loopback and [`OTHER_ADDRESS`]. It lives as long as a process.
#[derive(Debug)]
pub struct Network {
    /// In whose network everything else runs.
    process: Running,
}

impl Network {
    /// Makes the network.
    #[must_use]
    pub fn start() -> Self {
        Self::with_addresses([])
    }

    /// Makes the network, with these addresses too.
    #[must_use]
    pub fn with_addresses<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let add = addresses.into_iter().map(|address| format!("ip address add {address} dev lo && "));
        let line = add.collect::<String>() + "echo ready && exec sleep infinity";
        let network = Self::running(&line, &[], Stdio::inherit());
        network.process.wait_for_stdout("ready\n");
        network
    }

    /// Makes the network, and in it a process by a line of shell with `$0` and so on for `words`.
    fn running(line: &str, words: &[&Path], stderr: Stdio) -> Self {
        let mut command = Command::new("unshare");
        let mut set_up = format!("ip link set lo up && ip address add {OTHER_ADDRESS}/32 dev lo && ");
        if !geteuid().is_root() {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
            // Who enters later has no privilege there, and may listen wherever root may.
            set_up += "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start && ";
        }
        set_up += line;
        command.args(["--net", "sh", "-c", &set_up]).args(words).stdin(Stdio::null()).stderr(stderr);
        Self { process: Running::start(&mut command) }
    }

    /// The words that make a program run in this network.
    #[must_use]
    pub fn wrapper(&self) -> Vec<OsString> {
        let pid = self.process.pid().to_string();
        let mut words = vec!["nsenter".into(), "--target".into(), pid.into(), "--net".into()];
        if !geteuid().is_root() {
            words.extend(["--user".into(), "--preserve-credentials".into()]);
        }
        words
    }

    /// A program in this network. Its standard input is empty.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let words = self.wrapper();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(program).stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// How many packets the network has carried: its only device is loopback.
    #[must_use]
    pub fn packets(&self) -> u64 {
        let table = fs::read_to_string(format!("/proc/{}/net/dev", self.process.pid())).unwrap();
        let line = table.lines().find_map(|line| line.trim_start().strip_prefix("lo:"));
        let counters = line.unwrap_or_else(|| panic!("no loopback in {table}"));
        counters.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// A network in which there is nothing but a real OpenSSH server on 127.0.0.1:22 and `[::1]:22`. It logs nobody in, and
/// sends away after a second who only listens.
#[derive(Debug)]
pub struct SshNetwork {
    network: Network,
    _folder: TempDir,
}

impl SshNetwork {
    /// Makes the network and waits until the server listens.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = configure(folder.path());
        let line = "exec \"$0\" -D -e -f \"$1\"";
        let mut network = Network::running(line, &[&programs::sshd(), &configuration], Stdio::piped());
        for address in ["0.0.0.0", "::"] {
            let line = format!("Server listening on {address} port 22");
            wait::until(&line, || {
                let server = &mut network.process;
                assert!(server.is_running(), "sshd ended at once: {}", server.stderr());
                server.stderr().contains(&line)
            });
        }
        Self { network, _folder: folder }
    }

    /// The words that make a program run in this network.
    #[must_use]
    pub fn wrapper(&self) -> Vec<OsString> {
        self.network.wrapper()
    }

    /// How many packets the network has carried.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.network.packets()
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
    mounted([(&hosts_file, "/etc/hosts"), (&switch_file, "/etc/nsswitch.conf")])
}

/// The words that make a program resolve names by the name server on 127.0.0.1 alone, without waiting long for it.
#[must_use]
pub fn with_resolver(folder: &Path) -> Vec<OsString> {
    let (resolver, switch_file) = (folder.join("resolv.conf"), folder.join("nsswitch.conf"));
    fs::write(&resolver, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
    fs::write(&switch_file, "hosts: dns\n").unwrap();
    mounted([(&resolver, "/etc/resolv.conf"), (&switch_file, "/etc/nsswitch.conf")])
}

/// The words that make a program see files where others are.
fn mounted(files: [(&Path, &str); 2]) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["unshare".into()];
    if !geteuid().is_root() {
        words.extend(["--user".into(), "--map-root-user".into()]);
    }
    words.extend(["--mount".into(), "sh".into(), "-c".into()]);
    let [(_, first), (_, second)] = files;
    for at in [first, second] {
        assert!(Path::new(at).exists(), "{at} is missing, so nothing can be put over it");
    }
    words.push(format!("mount --bind \"$0\" {first} && mount --bind \"$1\" {second} && shift && exec \"$@\"").into());
    words.extend(files.map(|(file, _)| file.into()));
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
