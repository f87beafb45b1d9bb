//! What the tests need of the system: a real `sshd` that anybody can start, and a few small programs.

use super::debian::Debian;
use super::write_script;
use crate::environment::Environment;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The user that sshd wants to have when root starts it.
const SSHD_USER: &str = "sshd:x:74:65534:Privilege separation:/run/sshd:/usr/sbin/nologin\n";

/// What the tests, the benchmarks and the demonstration run: the program, the package it is in, and where in that.
const TOOLS: [(&str, &str, &str); 9] = [
    ("nc", "netcat-openbsd", "bin/nc.openbsd"),
    ("ssh-keygen", "openssh-client", "usr/bin/ssh-keygen"),
    ("ip", "iproute2", "bin/ip"),
    ("openssl", "openssl", "usr/bin/openssl"),
    ("curl", "curl", "usr/bin/curl"),
    ("wrk", "wrk", "usr/bin/wrk"),
    ("h2load", "nghttp2-client", "usr/bin/h2load"),
    ("nghttp", "nghttp2-client", "usr/bin/nghttp"),
    ("socat", "socat", "usr/bin/socat"),
];

/// A program that is `sshd`, the system's or an unpacked one. Never a service: whoever starts it also ends it.
pub(super) fn set_up_sshd(debian: &Debian) -> Result<PathBuf> {
    let script = debian.path("bin/sshd");
    let system = Path::new("/usr/sbin/sshd").exists();
    let has_user = fs::read_to_string("/etc/passwd")?.lines().any(|line| line.starts_with("sshd:"));
    if !system {
        debian.ensure("sshd", &["openssh-server"])?;
    }
    // Root's sshd wants a user that only an installation makes. A library answers for that user instead.
    if !has_user {
        debian.ensure("sshd-user", &["libnss-wrapper"])?;
    }
    let mut body = "set -eu\n".to_string();
    let prefix = if system { PathBuf::from("/") } else { debian.unpacked("") };
    let sshd = prefix.join("usr/sbin/sshd");
    let options = options_of_later_versions(&prefix);
    if !system {
        body += &debian.library_path();
    }
    // Where root's sshd locks up the part of it that speaks to strangers. An installation makes it at boot.
    body += "if [ \"$(id -u)\" = 0 ]; then\n    mkdir -p -m 755 /run/sshd\n";
    if !has_user {
        body += &answer_for_user(debian)?;
    }
    body += &format!("fi\nexec '{}' {options}\"$@\"\n", sshd.display());
    if !fs::read_to_string(&script).is_ok_and(|found| found.ends_with(&body)) {
        write_script(&script, &body)?;
    }
    Ok(script)
}

/// Options for later versions of sshd, which are several programs. `prefix` is where the package was put.
fn options_of_later_versions(prefix: &Path) -> String {
    let parts = prefix.join("usr/lib/openssh");
    if !parts.join("sshd-session").exists() {
        return String::new();
    }
    // They shut out for a while whoever connects and does not log in, which is all that our guests do.
    let mut options = "-o PerSourcePenalties=no ".to_string();
    for (option, name) in [("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")] {
        let program = parts.join(name);
        if program.exists() && prefix != Path::new("/") {
            options += &format!("-o '{option}={}' ", program.display());
        }
    }
    options
}

/// The lines of a script after which a user `sshd` is known.
fn answer_for_user(debian: &Debian) -> Result<String> {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let library = debian.unpacked(&format!("usr/lib/{multiarch}/libnss_wrapper.so"));
    let (users, groups) = (debian.path("sshd-user/passwd"), debian.path("sshd-user/group"));
    fs::create_dir_all(debian.path("sshd-user"))?;
    fs::write(&users, fs::read_to_string("/etc/passwd")? + SSHD_USER)?;
    fs::copy("/etc/group", &groups).context("cannot copy /etc/group")?;
    Ok(format!(
        "    export LD_PRELOAD='{}' NSS_WRAPPER_PASSWD='{}' NSS_WRAPPER_GROUP='{}'\n",
        library.display(),
        users.display(),
        groups.display()
    ))
}

/// A folder of tools the system lacks. It may be empty.
pub(super) fn set_up_tools(environment: &Environment, debian: &Debian) -> Result<PathBuf> {
    let tools = debian.path("tools");
    fs::create_dir_all(&tools)?;
    for (name, package, program) in TOOLS {
        let ours = tools.join(name);
        if environment.find_program(name).is_none() && !ours.exists() {
            debian.ensure(package, &[package])?;
            let wrapper = debian.write_wrapper(name, &debian.unpacked(program))?;
            std::os::unix::fs::symlink(wrapper, &ours)?;
        }
    }
    Ok(tools)
}
