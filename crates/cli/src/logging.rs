//! Where the log of a part goes: standard error, as much as `CORD_LOG` asks for.

use tracing::Level;

/// Starts logging. Called by the parts that run on their own, not by `cord run`: it has nothing to log.
///
/// `CORD_LOG` is `error`, `warn` (if it is not set), `info`, `debug` or `trace`.
#[expect(clippy::disallowed_methods, reason = "the front door: how much is logged is this program's configuration")]
pub(crate) fn start() {
    let level = std::env::var("CORD_LOG").ok().and_then(|name| name.parse().ok()).unwrap_or(Level::WARN);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
}
