//! What a long-running process tells about itself: to standard error, at the level of `ANTIPODE_LOG` (default `info`).

use tracing_subscriber::EnvFilter;

pub fn to_stderr() {
    let filter = EnvFilter::try_from_env("ANTIPODE_LOG").unwrap_or_else(|_| EnvFilter::new("info,hickory_server=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// For commands with progress of their own: warnings only, unless asked for more.
pub fn quiet() {
    let filter = EnvFilter::try_from_env("ANTIPODE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
