//! What the commands do. Those that talk to a server know only its HTTP side.

pub mod times;

pub mod accounts;
pub mod audit;
pub mod contracts;
pub mod deliveries;
pub mod events;
pub mod keys;
pub mod listen;
pub mod recover;
pub mod secrets;
pub mod sending;
pub mod store_files;
pub mod tokens;

use serde_json::Value;

use crate::admin_client::{AdminClient, escaped};
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{self, ClientFlags, ClientSettings};

/// The most items that a list shows.
const LIST_MOST: usize = 10_000;

/// A call of a command to a server: whom to ask, and where the answer goes.
pub struct Call {
    /// The server.
    pub admin: AdminClient,
    /// Where the answer goes.
    pub output: Output,
}

impl Call {
    /// Finds the server that the flags, the environment and the settings file point to.
    ///
    /// # Errors
    /// If a setting is wrong, or there is no server to be found.
    pub fn new(flags: &ClientFlags, json: bool) -> Result<Self, Failure> {
        Ok(Self { admin: AdminClient::find(&client_settings(flags)?)?, output: Output::new(json) })
    }

    /// The ids of an account's webhooks, or the one that was asked for.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn webhooks(&self, account: &str, only: Option<&str>) -> Result<Vec<String>, Failure> {
        if let Some(webhook) = only {
            return Ok(vec![webhook.to_owned()]);
        }
        let webhooks = self.all_webhooks(account).await?;
        Ok(webhooks.iter().filter_map(|webhook| webhook["id"].as_str().map(str::to_owned)).collect())
    }

    /// An account's webhooks as the server tells of them.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn all_webhooks(&self, account: &str) -> Result<Vec<Value>, Failure> {
        self.admin.list(&format!("/accounts/{}/webhooks", escaped(account)), LIST_MOST).await
    }
}

fn client_settings(flags: &ClientFlags) -> Result<ClientSettings, Failure> {
    let settings = settings::gather(flags).and_then(|layers| ClientSettings::read(&layers));
    settings.map_err(|fault| Failure::usage(fault.to_string()))
}
