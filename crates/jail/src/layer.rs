//! The layers of the jail by name: what each denies, and what it needs of the kernel.

use std::fmt;
use std::io;

/// One thing that the operating system denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Descriptors that were not opened by this program.
    Descriptors,
    /// More files, threads and core dumps than there is need for.
    Limits,
    /// Capabilities, and groups; with a user named, the user.
    Capabilities,
    /// Being looked into by other processes of the same user.
    Dumpable,
    /// Gaining privileges by starting a program.
    Privileges,
    /// Files, TCP ports, abstract sockets, signals to others.
    Landlock,
    /// Calls to the kernel.
    Seccomp,
}

impl Layer {
    /// All, in the order in which they are put on: each needs what the later ones take away.
    pub const ALL: [Layer; 7] = [
        Layer::Descriptors,
        Layer::Limits,
        Layer::Capabilities,
        Layer::Dumpable,
        Layer::Privileges,
        Layer::Landlock,
        Layer::Seccomp,
    ];

    /// The name that users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layer::Descriptors => "descriptors",
            Layer::Limits => "limits",
            Layer::Capabilities => "capabilities",
            Layer::Dumpable => "dumpable",
            Layer::Privileges => "privileges",
            Layer::Landlock => "landlock",
            Layer::Seccomp => "seccomp",
        }
    }

    /// What a process can no longer do.
    #[must_use]
    pub fn denies(self) -> &'static str {
        match self {
            Layer::Descriptors => "descriptors that whoever started it left open",
            Layer::Limits => "core dumps, locked memory, and more files or threads than now allowed",
            Layer::Capabilities => "whatever root may do beyond owning files, and root's groups",
            Layer::Dumpable => "being read or traced by processes of the same user",
            Layer::Privileges => "setuid programs and file capabilities",
            Layer::Landlock => "files outside the volumes, TCP, abstract sockets and signals to others",
            Layer::Seccomp => "new sockets, programs, processes, executable memory, and what no guest needs",
        }
    }

    /// What the kernel must have.
    #[must_use]
    pub fn needs(self) -> &'static str {
        match self {
            Layer::Descriptors => "a mounted /proc",
            Layer::Limits | Layer::Dumpable => "any Linux",
            Layer::Capabilities => "any Linux; for --user root, and a user that its namespace knows",
            Layer::Privileges => "Linux 3.5",
            Layer::Landlock => {
                "Linux 6.7 with CONFIG_SECURITY_LANDLOCK, and landlock among the lsm= it was started with"
            }
            Layer::Seccomp => "Linux 3.5 with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A choice of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers(u8);

impl Layers {
    /// Every layer.
    pub const ALL: Layers = Layers(u8::MAX);
    /// No layer.
    pub const NONE: Layers = Layers(0);

    /// These and `layer`.
    #[must_use]
    pub fn with(self, layer: Layer) -> Self {
        Layers(self.0 | 1 << layer as u8)
    }

    /// These but `layer`.
    #[must_use]
    pub fn without(self, layer: Layer) -> Self {
        Layers(self.0 & !(1 << layer as u8))
    }

    /// Whether `layer` is among them.
    #[must_use]
    pub fn contains(self, layer: Layer) -> bool {
        self.0 & 1 << layer as u8 != 0
    }
}

/// A layer that this machine does not give.
#[derive(Debug, thiserror::Error)]
#[error("the jail's layer {layer} is not in force (it needs {needs})", needs = .layer.needs())]
pub struct MissingLayerError {
    /// Which.
    pub layer: Layer,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}
