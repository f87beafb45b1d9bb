//! Unpacks Debian packages into our folder: nothing is installed, no service is started, no root is needed.
//!
//! Packages come by apt from the machine's own mirror, with lists of our own, so that the system's are left as they are.
//! Of what a package depends on, only that is unpacked beside it which the system lacks.

use super::{complete, is_complete, write_script};
use crate::process::{output_of, run_quietly};
use crate::steps::step;
use anyhow::{Context, Result, bail, ensure};
use std::cell::OnceCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where a wasi-libc comes from that has none of the older ones' faults in name look-up and time-outs.
pub(super) const WASI_LIBC: &str = "wasi-libc/trixie-backports";

/// The folder of the toolchain and the packages unpacked in it.
#[derive(Debug)]
pub(super) struct Debian {
    folder: PathBuf,
    /// Apt's configuration, once its lists were fetched in this run.
    apt: OnceCell<PathBuf>,
    /// Held as long as the set-up lasts.
    _lock: File,
}

impl Debian {
    pub(super) fn new(folder: &Path, lock: File) -> Self {
        Self { folder: folder.to_path_buf(), apt: OnceCell::new(), _lock: lock }
    }

    /// A path in the toolchain's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A path in the tree of unpacked packages.
    pub(super) fn unpacked(&self, path: &str) -> PathBuf {
        self.folder.join("debian").join(path)
    }

    /// Where the output of quiet commands is kept.
    pub(super) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The log of one command.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Whether the packages of a part were unpacked.
    pub(super) fn has(&self, part: &str, packages: &[&str]) -> bool {
        is_complete(&self.stamp(part), &packages.join(" "))
    }

    /// Unpacks the packages of a part, unless they are there.
    pub(super) fn ensure(&self, part: &str, packages: &[&str]) -> Result<()> {
        if self.has(part, packages) {
            return Ok(());
        }
        let by_hand = || format!("install by hand what gives: {}", packages.join(" "));
        let apt = self.apt().with_context(by_hand)?;
        step(&format!("unpack Debian packages for {part}"), || self.unpack(part, packages, apt))
            .with_context(by_hand)?;
        complete(&self.stamp(part), &packages.join(" "))
    }

    /// Writes a program `bin/NAME` that runs an unpacked one with the libraries unpacked beside it.
    pub(super) fn write_wrapper(&self, name: &str, program: &Path) -> Result<PathBuf> {
        let wrapper = self.path("bin").join(name);
        let body = format!("{}exec '{}' \"$@\"\n", self.library_path(), program.display());
        write_script(&wrapper, &body)?;
        Ok(wrapper)
    }

    /// The line of a script that makes unpacked libraries found.
    pub(super) fn library_path(&self) -> String {
        format!("export LD_LIBRARY_PATH='{}'\n", self.libraries())
    }

    /// Where unpacked libraries are, as `LD_LIBRARY_PATH` wants it.
    pub(super) fn libraries(&self) -> String {
        let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
        let folders = [format!("usr/lib/{multiarch}"), format!("lib/{multiarch}"), "usr/lib/llvm-19/lib".to_string()];
        folders.map(|folder| self.unpacked(&folder).display().to_string()).join(":")
    }

    fn stamp(&self, part: &str) -> PathBuf {
        self.folder.join(format!("{part}.packages"))
    }

    /// Apt's configuration, with lists fetched in this run.
    fn apt(&self) -> Result<&Path> {
        if self.apt.get().is_none() {
            let apt = self.folder.join("apt");
            let release = Release::read()?;
            let configuration = release.write_configuration(&apt)?;
            step("fetch Debian's package lists", || {
                let mut update = apt_get(&configuration);
                run_quietly(update.arg("update"), &self.log("apt-update"))
            })?;
            // Cannot be set already, for it was empty above and this is the only thread.
            let _ = self.apt.set(configuration);
        }
        self.apt.get().map(PathBuf::as_path).context("apt was configured")
    }

    fn unpack(&self, part: &str, packages: &[&str], apt: &Path) -> Result<()> {
        let downloads = self.folder.join(format!("{part}.debs"));
        fs::create_dir_all(&downloads)?;
        let wanted = with_missing_dependencies(apt, packages)?;
        let mut download = apt_get(apt);
        download.arg("download").args(wanted).current_dir(&downloads);
        run_quietly(&mut download, &self.log(&format!("apt-{part}")))?;
        let tree = self.unpacked("");
        fs::create_dir_all(&tree)?;
        for entry in fs::read_dir(&downloads)? {
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--extract").arg(entry?.path()).arg(&tree);
            run_quietly(&mut unpack, &self.log(&format!("unpack-{part}")))?;
        }
        fs::remove_dir_all(&downloads)?;
        Ok(())
    }
}

fn apt_get(configuration: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.env("APT_CONFIG", configuration).env("LC_ALL", "C.UTF-8");
    command
}

/// The packages asked for, and those they need that the system has not, each as apt wants it named.
fn with_missing_dependencies(apt: &Path, packages: &[&str]) -> Result<Vec<String>> {
    let mut simulate = apt_get(apt);
    simulate.args(["--simulate", "--no-install-recommends", "-o", "Debug::NoLocking=1", "install"]).args(packages);
    let plan = output_of(&mut simulate).context("apt finds no way to these packages")?;
    Ok(wanted_of_plan(&plan, packages))
}

/// Reads apt's plan, whose lines are `Inst NAME [OLD] (VERSION ORIGIN...)`.
fn wanted_of_plan(plan: &str, packages: &[&str]) -> Vec<String> {
    let mut wanted: Vec<String> = packages.iter().map(|package| (*package).to_string()).collect();
    for line in plan.lines() {
        let mut words = line.split_whitespace();
        let (Some("Inst"), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let version = words.find_map(|word| word.strip_prefix('('));
        let asked_for = packages.iter().any(|package| package.split('/').next() == Some(name));
        if let (Some(version), false) = (version, asked_for) {
            wanted.push(format!("{name}={version}"));
        }
    }
    wanted
}

/// Which Debian this is and where its packages come from.
struct Release {
    codename: String,
}

impl Release {
    fn read() -> Result<Self> {
        let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim_matches('"').to_string())
        };
        if value("ID=").as_deref() != Some("debian") {
            bail!("this machine is no Debian, so nothing can be unpacked for it");
        }
        ensure!(Path::new(KEYRING).exists(), "the package debian-archive-keyring is missing");
        Ok(Self { codename: value("VERSION_CODENAME=").context("this Debian has no codename")? })
    }

    /// A configuration of apt that knows our lists only, and nothing of the system's sources and preferences.
    fn write_configuration(&self, folder: &Path) -> Result<PathBuf> {
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let main = self.mirror(&self.codename)?;
        let security = self.mirror(&format!("{}-security", self.codename))?;
        let source = |mirror: &str, suite: &str| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        let sources = [
            source(&main, &self.codename),
            source(&security, &format!("{}-security", self.codename)),
            source(&main, "trixie-backports"),
        ];
        fs::write(folder.join("sources.list"), sources.concat())?;
        let configuration = folder.join("apt.conf");
        let folder = folder.display();
        let text = format!(
            "Dir::Etc::sourcelist \"{folder}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::preferences \"/dev/null\";\nDir::Etc::preferencesparts \"/dev/null\";\n\
             Dir::State::lists \"{folder}/lists\";\nDir::Cache \"{folder}/cache\";\n\
             APT::Sandbox::User \"root\";\nAPT::Default-Release \"\";\nAcquire::Languages \"none\";\n\
             APT::Update::Post-Invoke \"\";\nAPT::Update::Post-Invoke-Success \"\";\n"
        );
        fs::write(&configuration, text)?;
        Ok(configuration)
    }

    /// The mirror this machine uses for a suite, whether its lists were ever fetched or not.
    fn mirror(&self, suite: &str) -> Result<String> {
        let mut ask = Command::new("apt-get");
        ask.args(["indextargets", "--no-release-info", "--format", "$(REPO_URI)", &format!("Release: {suite}")]);
        let answer = output_of(&mut ask)?;
        let mirror = answer.lines().find(|line| line.starts_with("http"));
        mirror.map(str::to_string).with_context(|| format!("apt has no source for {suite}; add one to its sources"))
    }
}

#[cfg(test)]
mod tests {
    use super::wanted_of_plan;

    #[test]
    fn a_plan_adds_what_is_missing_in_its_version() {
        let plan = "NOTE: This is only a simulation!\n\
                    Inst libllvm19 (1:19.1.7-3 Debian:12.15/oldstable [amd64])\n\
                    Inst openssh-client [1:9.2p1-2] (1:9.2p1-2+deb12u10 Debian:12.15/oldstable [amd64])\n\
                    Inst clang-19 (1:19.1.7-3 Debian:12.15/oldstable [amd64]) []\n\
                    Conf clang-19 (1:19.1.7-3 Debian:12.15/oldstable [amd64])\n";
        let wanted = wanted_of_plan(plan, &["clang-19"]);
        assert_eq!(wanted, ["clang-19", "libllvm19=1:19.1.7-3", "openssh-client=1:9.2p1-2+deb12u10"]);
    }

    #[test]
    fn a_package_named_with_its_suite_is_asked_for_once() {
        let plan = "Inst wasi-libc (0.0~git20260129 Debian Backports:trixie-backports [all])\n";
        assert_eq!(wanted_of_plan(plan, &["wasi-libc/trixie-backports"]), ["wasi-libc/trixie-backports"]);
    }
}
