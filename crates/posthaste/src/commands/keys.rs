//! `key create`, `key list`, `key revoke`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Call;
use crate::admin_client::escaped;
use crate::failure::{Exit, Failure};
use crate::output::Column;
use crate::settings::ClientFlags;

/// API keys: the customers' credentials.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Creates a key and shows it, once
    Create(CreateKey),
    /// Lists an account's keys, without their texts
    List {
        /// The account
        #[arg(long)]
        account: String,
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Revokes a key at once
    Revoke {
        /// The key's id, `key_…`
        id: String,
        /// The account
        #[arg(long)]
        account: String,
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
}

/// What `key create` is told.
#[derive(Args)]
pub struct CreateKey {
    /// The account
    #[arg(long)]
    account: String,
    /// The tier, for contracts with tiers
    #[arg(long)]
    tier: Option<String>,
    /// A role, for contracts with roles (repeatable)
    #[arg(long = "role")]
    roles: Vec<String>,
    /// A scope, for contracts with scopes (repeatable)
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// A label for people
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
}

const COLUMNS: [Column; 6] = [
    ("ID", "/id"),
    ("TIER", "/tier"),
    ("ROLES", "/roles"),
    ("SCOPES", "/scopes"),
    ("CREATED", "/created_at"),
    ("REVOKED", "/revoked_at"),
];

impl KeyCommand {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        match self {
            Self::Create(ask) => create(ask, json).await?,
            Self::List { account, flags } => {
                let call = Call::new(&flags, json)?;
                let keys = call.admin.list(&keys_of(&account), super::LIST_MOST).await?;
                call.output.table(&COLUMNS, &keys);
            }
            Self::Revoke { id, account, flags } => {
                let call = Call::new(&flags, json)?;
                call.admin.delete(&format!("{}/{}", keys_of(&account), escaped(&id))).await?;
                call.output.answer(format!("key {id} revoked"), &json!({"id": id, "revoked": true}));
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(ask: CreateKey, json: bool) -> Result<(), Failure> {
    let call = Call::new(&ask.flags, json)?;
    let mut body = json!({"roles": ask.roles, "scopes": ask.scopes});
    for (member, value) in [("tier", ask.tier), ("description", ask.description)] {
        if let Some(value) = value {
            body[member] = Value::String(value);
        }
    }
    let key = call.admin.post(&keys_of(&ask.account), &body).await?;
    let text = |member: &str| key[member].as_str().unwrap_or_default().to_owned();
    let signing = key["signing_secret"].as_str();
    let signing = signing.map_or_else(String::new, |secret| format!("\nsigning secret  {secret}"));
    let sentence = format!(
        "key             {}{signing}\nid              {}\nKeep it now: it is not shown again.",
        text("key"),
        text("id")
    );
    call.output.answer(sentence, &key);
    Ok(())
}

fn keys_of(account: &str) -> String {
    format!("/accounts/{}/keys", escaped(account))
}
