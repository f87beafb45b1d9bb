//! What the environment says: read here once, passed on as a value.

use std::path::{Path, PathBuf};

/// The variables this program listens to.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The folder of the guest toolchain. Absolute.
    pub(crate) toolchain: PathBuf,
    /// Where the standard library for guests must come from, if the user insists.
    pub(crate) guest_rust: Option<String>,
    /// An unpacked wasi-sdk, if the user has one and wants it used.
    pub(crate) wasi_sdk: Option<PathBuf>,
    /// The search path for programs.
    pub(crate) path: String,
    /// Whether a build server runs this, and no human reads what is only told.
    pub(crate) is_ci: bool,
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read() -> Self {
        let home = variable("HOME").unwrap_or_else(|| "/root".to_string());
        let cache = variable("XDG_CACHE_HOME").unwrap_or_else(|| format!("{home}/.cache"));
        let toolchain =
            variable("CORD_GUEST_TOOLCHAIN").unwrap_or_else(|| format!("{cache}/cordboard/guest-toolchain"));
        Self {
            toolchain: absolute(&toolchain),
            guest_rust: variable("CORD_GUEST_RUST"),
            wasi_sdk: variable("WASI_SDK_PATH").map(PathBuf::from),
            path: variable("PATH").unwrap_or_default(),
            is_ci: variable("CI").is_some(),
        }
    }

    /// The program of that name on the search path.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.path.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of this program that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn absolute(path: &str) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path))
}
