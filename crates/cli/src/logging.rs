//! Where the log of a part goes: standard error, as much as `CORD_LOG` asks for (`warn` if it is not set).

use tracing_subscriber::EnvFilter;

/// Starts logging. Called by the parts that run on their own, not by `cord run`: it has nothing to log.
pub(crate) fn start() {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::WARN.into()).with_env_var("CORD_LOG");
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
