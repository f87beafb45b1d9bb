//! Describes the machine that is measured on, as far as it matters to the figures.

use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;
use std::time::SystemTime;

/// What figures depend on besides the programs. Those of different machines are never held against each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) system: String,
    pub(crate) is_virtual: bool,
}

impl Machine {
    /// This one.
    pub(crate) fn here() -> Self {
        let processors = read("/proc/cpuinfo");
        let memory_kib = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| {
            // In kB, which it says behind the number.
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Self {
            processor: field(&processors, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            // As it was sold: the kernel keeps some of it.
            memory_gib: memory_kib.unwrap_or(0).div_ceil(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: field_of_shell(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_default(),
            is_virtual: field(&processors, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        }
    }

    /// In one sentence.
    pub(crate) fn describe(&self) -> String {
        let Self { processor, cores, memory_gib, kernel, system, is_virtual } = self;
        let kind = if *is_virtual { "a virtual machine" } else { "a machine" };
        let plural = if *cores == 1 { "" } else { "s" };
        format!("{kind} with {cores} core{plural} ({processor}), {memory_gib} GiB, {system}, Linux {kernel}")
    }
}

/// The day, by the calendar of Greenwich.
pub(crate) fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

/// The state of the source, as git names it. What this program writes itself is not meant.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let written = [":!bench/results.json", ":!bench/plots", ":!README.md", ":!docs"];
    let changed = git(&[&["status", "--porcelain", "--", "."], written.as_slice()].concat());
    let dirty = if changed.is_empty() { "" } else { "-dirty" };
    git(&["describe", "--always", "--exclude=*"]) + dirty
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn field_of_shell(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A Processor @ 2 GHz\nflags\t: fpu vme\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A Processor @ 2 GHz"));
        assert_eq!(field(text, "model"), None);
        assert_eq!(field_of_shell("ID=x\nPRETTY_NAME=\"Some Linux\"\n", "PRETTY_NAME").as_deref(), Some("Some Linux"));
    }
}
