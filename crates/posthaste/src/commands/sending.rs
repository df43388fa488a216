//! `sending show` and `sending release`: whether deliveries are sent, or held after a restore.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Call;
use crate::failure::{Exit, Failure};
use crate::settings::ClientFlags;

/// Sending, which is held when a store was put back from a copy older than an hour.
#[derive(Subcommand)]
pub enum SendingCommand {
    /// Says whether deliveries are sent, and how many wait
    Show {
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Lets deliveries be sent that are held because the store was put back from an old copy
    Release {
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
}

impl SendingCommand {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        let (call, sending) = match self {
            Self::Show { flags } => {
                let call = Call::new(&flags, json)?;
                let sending = call.admin.get("/sending").await?;
                (call, sending)
            }
            Self::Release { flags } => {
                let call = Call::new(&flags, json)?;
                let sending = call.admin.post("/sending/release", &json!({})).await?;
                (call, sending)
            }
        };
        call.output.answer(standing(&sending), &sending);
        Ok(Exit::Done)
    }
}

fn standing(sending: &Value) -> String {
    let (pending, events) = (&sending["pending"], &sending["events"]);
    let waiting = format!("{pending} deliveries and {events} new events wait");
    match sending["copied_at"].as_str() {
        Some(copied_at) => format!(
            "Sending is held: the store was put back from a copy of {copied_at}. {waiting}. \
             `posthaste sending release` lets them go."
        ),
        None => format!("Deliveries are sent. {waiting}."),
    }
}
