//! Load tools for measuring deliveries, and one command that measures everything with them.

mod bad_receiver;
mod certificate;
mod child;
mod client;
mod clock;
mod histogram;
mod open_files;
mod pace;
mod payload;
mod posthaste;
mod publisher;
mod request;
mod run;
mod sender;
mod sink;
mod sync_cost;

use clap::{Parser, Subcommand};

/// Measures deliveries. The tools print JSON on standard output.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Measures a Posthaste binary beside a bare sender, and holds the results against the budgets.
    Run(run::Options),
    /// Receives: answers every request at once, keeps connections alive, counts.
    Sink(sink::Options),
    /// Sends signed requests over keep-alive connections as fast as they are answered.
    Sender(sender::Options),
    /// Publishes events to a server as fast as they are accepted.
    Publish(publisher::Options),
}

fn main() -> anyhow::Result<()> {
    open_files::allow_many()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Cli::parse().tool {
        Tool::Run(options) => runtime.block_on(run::run(options)),
        Tool::Sink(options) => runtime.block_on(sink::run(options)),
        Tool::Sender(options) => runtime.block_on(sender::run(options)),
        Tool::Publish(options) => runtime.block_on(publisher::run(options)),
    }
}
