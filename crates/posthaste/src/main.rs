//! Posthaste: webhooks by contract.

use std::process::ExitCode;

use clap::Parser as _;
use posthaste::cli::Cli;
use posthaste::failure::Exit;
use posthaste::output::note;

/// Takes a tenth less processor time for a delivery than the C library's, whose threads wait for one another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(format!("posthaste: the runtime cannot start: {error}"));
            return Exit::Refused.into();
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            note(format!("posthaste: {failure}"));
            failure.exit.into()
        }
    }
}
