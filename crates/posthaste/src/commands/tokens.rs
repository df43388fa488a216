//! `token create`, `token list`, `token revoke`.

use clap::{Args, Subcommand, ValueEnum};
use posthaste_core::{Clock as _, Scope};
use serde_json::{Value, json};

use super::{Call, times};
use crate::admin_client::escaped;
use crate::failure::{Exit, Failure};
use crate::output::Column;
use crate::outside::SystemClock;
use crate::settings::ClientFlags;

/// Named tokens of the admin API: one for each program and person.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Creates a token and shows it, once
    Create(CreateToken),
    /// Lists tokens, without their texts
    List {
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Revokes a token at once
    Revoke {
        /// Its id, `tok_…`, or its name
        #[arg(value_name = "ID|NAME")]
        which: String,
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
}

/// What `token create` is told.
#[derive(Args)]
pub struct CreateToken {
    /// Its name; no other token that works may have it
    name: String,
    /// What it may do
    #[arg(long, value_enum)]
    scope: ScopeWord,
    /// For how long it works, such as 12h or 90d; for ever, if left out
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
}

/// What a token may do.
#[derive(Clone, Copy, ValueEnum)]
enum ScopeWord {
    /// Publish events and nothing else
    Publish,
    /// Read all but the tokens and the audit log
    Read,
    /// Everything
    Full,
}

impl From<ScopeWord> for Scope {
    fn from(word: ScopeWord) -> Self {
        match word {
            ScopeWord::Publish => Self::Publish,
            ScopeWord::Read => Self::Read,
            ScopeWord::Full => Self::Full,
        }
    }
}

const COLUMNS: [Column; 7] = [
    ("ID", "/id"),
    ("NAME", "/name"),
    ("SCOPE", "/scope"),
    ("CREATED", "/created_at"),
    ("EXPIRES", "/expires_at"),
    ("REVOKED", "/revoked_at"),
    ("LAST USED", "/last_used_at"),
];

impl TokenCommand {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        match self {
            Self::Create(ask) => create(ask, json).await?,
            Self::List { flags } => {
                let call = Call::new(&flags, json)?;
                let tokens = call.admin.list("/tokens", super::LIST_MOST).await?;
                call.output.table(&COLUMNS, &tokens);
            }
            Self::Revoke { which, flags } => {
                let call = Call::new(&flags, json)?;
                let id = find(&call, &which).await?;
                call.admin.delete(&format!("/tokens/{}", escaped(&id))).await?;
                call.output.answer(format!("token {which} revoked"), &json!({"id": id, "revoked": true}));
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(ask: CreateToken, json: bool) -> Result<(), Failure> {
    let call = Call::new(&ask.flags, json)?;
    let mut body = json!({"name": ask.name, "scope": Scope::from(ask.scope).word()});
    if let Some(text) = &ask.expires_in {
        body["expires_at"] = Value::String(SystemClock.now().plus(times::span(text)?).rfc3339_ms());
    }
    let token = call.admin.post("/tokens", &body).await?;
    let text = |member: &str| token[member].as_str().unwrap_or_default().to_owned();
    let sentence =
        format!("token  {}\nid     {}\nKeep it now: it is not shown again.", text("token"), text("id"));
    call.output.answer(sentence, &token);
    Ok(())
}

/// The id of the token that is meant: by its id, else by the name of one that is not revoked.
async fn find(call: &Call, which: &str) -> Result<String, Failure> {
    let tokens = call.admin.list("/tokens", super::LIST_MOST).await?;
    let by_id = tokens.iter().find(|token| token["id"] == which);
    // The newest of a name is the one that works: those before it have ended.
    let of_name =
        || tokens.iter().rev().find(|token| token["name"] == which && token["revoked_at"].is_null());
    let found = by_id.or_else(of_name).and_then(|token| token["id"].as_str());
    found.map(str::to_owned).ok_or_else(|| Failure::refused(format!("there is no token `{which}` to revoke")))
}
