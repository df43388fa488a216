//! `account create`, `account list`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Call;
use crate::failure::{Exit, Failure};
use crate::output::Column;
use crate::settings::ClientFlags;

/// Accounts: the product's customers.
#[derive(Subcommand)]
pub enum AccountCommand {
    /// Creates an account
    Create(CreateAccount),
    /// Lists accounts
    List {
        /// Where the server is
        #[command(flatten)]
        flags: ClientFlags,
    },
}

/// What `account create` is told.
#[derive(Args)]
pub struct CreateAccount {
    /// The product's own id of the customer
    id: String,
    /// A label for people
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
}

const COLUMNS: [Column; 3] = [("ID", "/id"), ("NAME", "/name"), ("CREATED", "/created_at")];

impl AccountCommand {
    /// Does it.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub async fn run(self, json: bool) -> Result<Exit, Failure> {
        match self {
            Self::Create(ask) => {
                let call = Call::new(&ask.flags, json)?;
                let account = call.admin.post("/accounts", &json!({"id": ask.id, "name": ask.name})).await?;
                call.output.answer(format!("account {} created", ask.id), &account);
            }
            Self::List { flags } => {
                let call = Call::new(&flags, json)?;
                let accounts = call.admin.list("/accounts", super::LIST_MOST).await?;
                call.output.table(&COLUMNS, &accounts);
            }
        }
        Ok(Exit::Done)
    }
}
