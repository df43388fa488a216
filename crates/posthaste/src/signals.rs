//! The signals that end the process in an orderly way, and the one that does not end it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// The signals that ask the process to end.
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal is gone, unless whoever started the process wants it to outlive that (`nohup`), or it asks for
    /// something else.
    hang_up: Option<Signal>,
}

impl EndSignals {
    /// Listens to them from now on.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::refused(format!("no signals: {error}")));
        let hang_up = if is_hang_up_ignored() { None } else { Some(listen(SignalKind::hangup())?) };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up,
        })
    }

    /// SIGHUP means something else from now on, and does not end the process.
    pub fn spare_hang_up(&mut self) {
        self.hang_up = None;
    }

    /// Waits for the first of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hung_up(&mut self.hang_up) => {}
        }
    }
}

/// A file that may not get longer (`RLIMIT_FSIZE`) is a write that fails, and no end of the process without a word.
/// Meant to be called in a runtime, before anything is written.
pub fn outlive_full_files() {
    // Whoever has listened once has taken the signal for good.
    if let Err(error) = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())) {
        tracing::debug!(%error, "a file that may not get longer will end the process");
    }
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Was the process started with SIGHUP ignored? Where the system does not tell (`/proc`), it was not.
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hang_up(&status)
}

fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores_hang_up;

    #[test]
    fn what_the_system_says_of_ignored_signals_is_read() {
        for (status, expected) in [
            ("", false),
            ("Name:\tposthaste\nSigIgn:\t0000000000001000\n", false),
            ("Name:\tposthaste\nSigIgn:\t0000000000001001\nSigCgt:\t0\n", true),
            ("SigIgn:\tnonsense\n", false),
        ] {
            assert_eq!(ignores_hang_up(status), expected, "{status}");
        }
    }
}
