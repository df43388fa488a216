//! Logs: to standard error, as text for people and as JSON for everybody else.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Begins to log what the filter lets through.
///
/// # Errors
/// If the filter is none.
pub fn start(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::builder().parse(filter).map_err(|error| Failure::usage(error.to_string()))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // The log may lie on a disk that is full. What cannot be written would be told the same way, and end the thread.
    let logs = logs.log_internal_errors(false);
    let started = match std::io::stderr().is_terminal() {
        true => logs.try_init(),
        false => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::refused(format!("logging cannot begin: {error}")))
}
