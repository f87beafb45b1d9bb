//! Decides which of a component's imports nobody provides, so that all of them can be named at once.

/// Interfaces of WASI 0.2 that [`crate::linkers`] provides. A test holds the list against it.
pub(crate) const WASI_0_2: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Interfaces of WASI 0.3 that [`crate::linkers`] provides.
pub(crate) const WASI_0_3: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/client",
    "wasi:http/types",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/types",
];

/// Interfaces of WASI 0.3 that hold only types: nobody needs to provide them.
const WASI_0_3_TYPES: &[&str] = &["wasi:cli/types", "wasi:clocks/types"];

/// The line of WASI that a version belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    /// 0.2.x
    V0_2,
    /// 0.3.x and its release candidates
    V0_3,
}

/// Takes `wasi:cli/run@0.2.3` apart. `None`: not of a version that is known here.
pub(crate) fn interface(name: &str) -> Option<(&str, Line)> {
    let (interface, version) = name.split_once('@')?;
    let line = if version.starts_with("0.2.") {
        Line::V0_2
    } else if version.starts_with("0.3.") {
        Line::V0_3
    } else {
        return None;
    };
    Some((interface, line))
}

/// Whether [`crate::linkers`] provides an import of this name.
pub(crate) fn is_provided(name: &str) -> bool {
    match interface(name) {
        Some((interface, Line::V0_2)) => WASI_0_2.contains(&interface),
        Some((interface, Line::V0_3)) => WASI_0_3.contains(&interface) || WASI_0_3_TYPES.contains(&interface),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_belong_to_their_line() {
        assert_eq!(interface("wasi:cli/run@0.2.0"), Some(("wasi:cli/run", Line::V0_2)));
        assert_eq!(interface("wasi:cli/run@0.3.0-rc-2026-01-06"), Some(("wasi:cli/run", Line::V0_3)));
        for unknown in ["wasi:cli/run", "wasi:cli/run@0.20.0", "wasi:cli/run@1.0.0", "run"] {
            assert_eq!(interface(unknown), None);
        }
    }

    #[test]
    fn each_line_has_its_own_interfaces() {
        assert!(is_provided("wasi:clocks/wall-clock@0.2.6"));
        assert!(!is_provided("wasi:clocks/wall-clock@0.3.0"));
        assert!(is_provided("wasi:clocks/system-clock@0.3.0"));
        assert!(is_provided("wasi:http/types@0.2.0"));
        assert!(!is_provided("wasi:tls/types@0.2.0"));
    }
}
