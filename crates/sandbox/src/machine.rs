//! What this machine has: memory, and mappings that one process may have.
//!
//! # Authority
//!
//! Reads the kernel's own accounts under `/proc` and `/sys`, and nothing else.

use std::fs;
use std::path::Path;

/// So many mappings may a process have where the kernel does not tell: what Linux begins with.
const USUAL_MAPPINGS: u64 = 65_530;

/// What an instance is expected to use where no limit was typed, in bytes.
const USUAL_INSTANCE_BYTES: u64 = 16 << 20;

/// The instances of one guest that are let live at once where nobody says how many: as many as fit into the machine's
/// memory if each used all that it may (`memory_bytes`, or 16 MiB where it has no limit), but at least one and at most a
/// thousand. In a container the machine is the container.
#[must_use]
pub fn default_instances(memory_bytes: Option<u64>) -> u32 {
    fitting(machine_bytes(), memory_bytes)
}

fn fitting(machine_bytes: Option<u64>, memory_bytes: Option<u64>) -> u32 {
    let each = memory_bytes.unwrap_or(USUAL_INSTANCE_BYTES).max(1);
    let most = machine_bytes.map_or(1, |all| all / each).clamp(1, 1000);
    u32::try_from(most).unwrap_or(1)
}

/// The memory of this machine, or of the container that this process is in.
fn machine_bytes() -> Option<u64> {
    let whole = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(total_bytes);
    let container = fs::read_to_string("/proc/self/cgroup").ok().as_deref().and_then(container_bytes);
    match (whole, container) {
        (Some(whole), Some(container)) => Some(whole.min(container)),
        (one, other) => one.or(other),
    }
}

/// `MemTotal:       24644192 kB`
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The narrowest limit on the way from this process's control group (`0::/a/b`) to the root.
fn container_bytes(groups: &str) -> Option<u64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |group: &Path| {
        let text = fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("memory.max")).ok()?;
        // `max` is no number, and no limit.
        text.trim().parse::<u64>().ok()
    };
    Path::new(group).ancestors().filter_map(limit).min()
}

/// How many mappings the kernel lets a process have.
pub(crate) fn max_mappings() -> u64 {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL_MAPPINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_instances_as_fit() {
        let check = |machine: Option<u64>, each: Option<u64>, expected: u32| {
            assert_eq!(fitting(machine, each), expected, "{machine:?} {each:?}");
        };
        check(Some(1 << 30), Some(64 << 20), 16);
        check(Some(1 << 30), None, 64);
        check(Some(1 << 30), Some(2 << 30), 1);
        check(Some(1 << 40), None, 1000);
        check(Some(1 << 30), Some(0), 1000);
        check(None, None, 1);
    }

    #[test]
    fn the_kernel_is_understood() {
        assert_eq!(total_bytes("MemFree: 7 kB\nMemTotal:       24644192 kB\n"), Some(24_644_192 * 1024));
        assert_eq!(total_bytes("MemTotal: many\n"), None);
        assert_eq!(container_bytes("9:name=systemd:/\n"), None);
        assert!(machine_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(max_mappings() > 1000);
    }
}
