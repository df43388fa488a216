//! `serve`: the server from its start to its end.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::Args;

use crate::contract_file;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::server::{Listeners, Server};
use crate::settings::{self, ServerFlags, ServerSettings};
use crate::signals::EndSignals;

/// How long the end may take when the server is broken.
const BROKEN_PATIENCE: Duration = Duration::from_secs(1);
/// How long the process may take then to end by itself, with all that it has to say.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What `serve` is told.
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    flags: ServerFlags,
}

impl Serve {
    /// Serves until the process is told to stop.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub async fn run(self) -> Result<Exit, Failure> {
        // Before anything else, so that a signal during the start ends in order what it had begun.
        let mut end = EndSignals::new()?;
        let settings = settings::gather(&self.flags).and_then(|layers| ServerSettings::read(&layers));
        let settings = settings.map_err(|fault| Failure::usage(fault.to_string()))?;
        if settings.tls.is_some() || settings.admin_tls.is_some() {
            // It asks for a look at the certificate files.
            end.spare_hang_up();
        }
        logging::start(&settings.log)?;
        if posthaste_faults::IS_ARMED {
            tracing::warn!(
                "this was built for tests, with faults that can be switched on: it is not for use"
            );
        }
        let loaded = contract_file::load(&settings.contract)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let listeners = Listeners::bind(&settings).await?;
        let server = Server::start(&settings, Arc::new(loaded.contract), listeners).await?;
        let broken = tokio::select! {
            () = end.wait() => None,
            why = server.until_broken() => Some(why),
        };
        let Some(why) = broken else {
            let stopped = server.stop().await;
            return stopped.map(|()| Exit::Done).map_err(Failure::refused);
        };
        end_without_fail();
        tracing::error!(why, "the server cannot go on and ends");
        let _ = tokio::time::timeout(BROKEN_PATIENCE, server.stop()).await;
        Err(Failure::refused(format!("the server ended because it could not go on: {why}")))
    }
}

/// Ends the process from a thread of its own if it does not end by itself: the log may be a pipe that nobody reads.
fn end_without_fail() {
    let ends = || {
        let (_stays, never) = channel::<()>();
        let _ = never.recv_timeout(LAST_WORDS);
        std::process::exit(i32::from(Exit::Refused as u8));
    };
    // Where there is no thread for it, the end may wait.
    let _ = std::thread::Builder::new().name("posthaste-end".to_owned()).spawn(ends);
}
