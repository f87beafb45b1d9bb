//! An OpenSSH server of our own for as long as it is needed: on loopback, with a key of its own, logging nobody in.

use crate::process::run_quietly;
use crate::setup::Toolchain;
use crate::steps::now;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const START: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A running server, ended and cleaned up when this is dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    child: Child,
    folder: PathBuf,
}

impl Sshd {
    /// Starts a server and waits until it listens.
    ///
    /// # Authority
    /// Listens on `address`: this process must be allowed to.
    pub(crate) fn start(toolchain: &Toolchain, address: SocketAddr) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("cordboard-sshd-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let spawned = configure(toolchain, &folder).and_then(|configuration| spawn(toolchain, &configuration, address));
        match spawned {
            Ok(child) => {
                let mut server = Self { child, folder };
                server.wait_until_it_listens(address)?;
                Ok(server)
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                Err(error)
            }
        }
    }

    fn wait_until_it_listens(&mut self, address: SocketAddr) -> Result<()> {
        let started = now();
        while !listens(address) {
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("sshd ended at once ({status}): {}", said.trim());
            }
            if started.elapsed() > START {
                bail!("sshd does not listen on {address} after {} s", START.as_secs());
            }
            sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended already, and a folder that stays in /tmp does no harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether anybody listens there.
#[expect(clippy::disallowed_methods, reason = "asks whether the server of the demonstration is up; no guest is near")]
pub(crate) fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

fn configure(toolchain: &Toolchain, folder: &Path) -> Result<PathBuf> {
    let key = folder.join("key");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).env("PATH", &toolchain.path);
    run_quietly(&mut keygen, &folder.join("keygen.log"))?;
    let configuration = folder.join("configuration");
    // Clients that only read the greeting are sent away after a second, so that reading to the end is short.
    let text = format!(
        "HostKey {}\nPidFile none\nLoginGraceTime 1\nUsePAM no\nPasswordAuthentication no\nPubkeyAuthentication no\n\
         KbdInteractiveAuthentication no\n",
        key.display()
    );
    fs::write(&configuration, text)?;
    Ok(configuration)
}

fn spawn(toolchain: &Toolchain, configuration: &Path, address: SocketAddr) -> Result<Child> {
    let log = fs::File::create(configuration.with_file_name("log"))?;
    let mut sshd = Command::new(&toolchain.sshd);
    sshd.args(["-D", "-e", "-f"]).arg(configuration);
    sshd.args(["-o", &format!("ListenAddress={address}")]);
    sshd.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("cannot start sshd")
}

/// Whether this process may listen there. Nobody must be listening already.
#[expect(clippy::disallowed_methods, reason = "asks whether the server of the demonstration could; no guest is near")]
pub(crate) fn may_listen(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}
