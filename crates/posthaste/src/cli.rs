//! The command line.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::accounts::AccountCommand;
use crate::commands::audit::Audit;
use crate::commands::contracts;
use crate::commands::deliveries::{LookAtDeliveries, Replay};
use crate::commands::events::EventCommand;
use crate::commands::keys::KeyCommand;
use crate::commands::listen::Listen;
use crate::commands::recover::Recover;
use crate::commands::secrets::SecretsCommand;
use crate::commands::sending::SendingCommand;
use crate::commands::store_files::{Backup, Verify};
use crate::commands::tokens::TokenCommand;
use crate::dev::Dev;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::serve::Serve;

/// Webhooks as your product's own API: one binary, a contract file, at-least-once delivery.
#[derive(Parser)]
#[command(name = "posthaste", version = version(), arg_required_else_help = true)]
pub struct Cli {
    /// Prints JSON, one object per line, even to a terminal
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What `--version` says behind the name.
const fn version() -> &'static str {
    match posthaste_faults::IS_ARMED {
        true => concat!(env!("CARGO_PKG_VERSION"), " (armed with faults, for tests only)"),
        false => env!("CARGO_PKG_VERSION"),
    }
}

#[derive(Subcommand)]
enum Command {
    /// The first five minutes: a server, a customer, a receiver and one verified delivery
    Dev(Dev),
    /// The server
    Serve(Serve),
    /// Reads a contract and says, by line and key, what is wrong with it
    Check {
        /// A TOML file, or the name of a built-in contract
        file: String,
    },
    /// Accounts: the product's customers
    #[command(subcommand)]
    Account(AccountCommand),
    /// API keys: the customers' credentials
    #[command(subcommand)]
    Key(KeyCommand),
    /// Events: what happened in the product
    #[command(subcommand)]
    Event(EventCommand),
    /// A local receiver that prints deliveries and checks their signatures
    Listen(Listen),
    /// Looks at deliveries
    Deliveries(LookAtDeliveries),
    /// Sends ended deliveries again
    Replay(Replay),
    /// Sends everything again that failed, of the events accepted since a time; counts first
    Recover(Recover),
    /// Named tokens of the admin API: one for each program and person
    #[command(subcommand)]
    Token(TokenCommand),
    /// Who changed what, newest first
    Audit(Audit),
    /// Prints a contract as OpenAPI 3.1
    Openapi {
        /// A built-in contract or a TOML file
        #[arg(long, value_name = "NAME|FILE", default_value = "standard")]
        contract: String,
    },
    /// The master key, which seals all secrets
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Whether deliveries are sent, or held because the store was put back from an old copy
    #[command(subcommand)]
    Sending(SendingCommand),
    /// Copies a store to a new file, also while a server uses it
    Backup(Backup),
    /// Checks a store or a backup for damage
    Verify(Verify),
    /// Prints completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// Why it is not done.
    pub async fn run(self) -> Result<Exit, Failure> {
        let json = self.json;
        match self.command {
            Command::Dev(dev) => dev.run(json).await,
            Command::Serve(serve) => serve.run().await,
            Command::Check { file } => contracts::check(&file, json),
            Command::Account(command) => command.run(json).await,
            Command::Key(command) => command.run(json).await,
            Command::Event(command) => command.run(json).await,
            Command::Listen(listen) => listen.run(json).await,
            Command::Deliveries(look) => look.run(json).await,
            Command::Replay(replay) => replay.run(json).await,
            Command::Recover(recover) => recover.run(json).await,
            Command::Token(command) => command.run(json).await,
            Command::Audit(audit) => audit.run(json).await,
            Command::Openapi { contract } => contracts::openapi(&contract),
            Command::Secrets(command) => command.run(json).await,
            Command::Sending(command) => command.run(json).await,
            Command::Backup(backup) => backup.run(json),
            Command::Verify(verify) => verify.run(json),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "posthaste", &mut script);
                Output::new(true).line(String::from_utf8_lossy(&script).trim_end());
                Ok(Exit::Done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_with_faults_says_so() {
        assert!(version().starts_with(env!("CARGO_PKG_VERSION")), "{}", version());
        assert_eq!(version().contains("for tests only"), posthaste_faults::IS_ARMED);
    }
}
