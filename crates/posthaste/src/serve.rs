//! `serve`: the server from its start to its end.

use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::contract_file;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::server::Server;
use crate::settings::{self, ServerFlags, ServerSettings};

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
        let settings = settings::gather(&self.flags).and_then(|layers| ServerSettings::read(&layers));
        let settings = settings.map_err(|fault| Failure::usage(fault.to_string()))?;
        logging::start(&settings.log)?;
        let loaded = contract_file::load(&settings.contract)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let mut end = EndSignals::new()?;
        let server = Server::start(&settings, Arc::new(loaded.contract)).await?;
        end.wait().await;
        server.stop().await;
        Ok(Exit::Done)
    }
}

/// The signals that ask the process to end.
pub struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    /// Listens to them from now on.
    ///
    /// # Errors
    /// If the system does not let us.
    pub fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::refused(format!("no signals: {error}")));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the first of them.
    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
