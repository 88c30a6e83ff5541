//! Log lines on standard error: for eyes on a terminal, JSON otherwise.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging. `wanted` is the operator's filter, `default` what the command shows without one.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(wanted: Option<&str>, default: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(wanted.unwrap_or(default))
        .map_err(|error| anyhow::anyhow!("--log {}: {error}", wanted.unwrap_or(default)))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_ansi(true).compact().init();
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
    Ok(())
}
