//! Load tools for measuring deliveries: a receiver that does next to nothing, and a sender to compare with.

mod clock;
mod histogram;
mod request;
mod sender;
mod sink;

use clap::{Parser, Subcommand};

/// Load tools for measuring deliveries. Results are JSON on standard output.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Receives: answers every request at once, keeps connections alive, counts.
    Sink(sink::Options),
    /// Sends signed requests over keep-alive connections as fast as they are answered.
    Sender(sender::Options),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Cli::parse().tool {
        Tool::Sink(options) => runtime.block_on(sink::run(options)),
        Tool::Sender(options) => runtime.block_on(sender::run(options)),
    }
}
