//! `serve`: the server from its start to its end.

use std::sync::Arc;

use clap::Args;

use crate::contract_file;
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::server::{Listeners, Server};
use crate::settings::{self, ServerFlags, ServerSettings};
use crate::signals::EndSignals;

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
        let listeners = Listeners::bind(&settings).await?;
        let server = Server::start(&settings, Arc::new(loaded.contract), listeners).await?;
        end.wait().await;
        server.stop().await;
        Ok(Exit::Done)
    }
}
