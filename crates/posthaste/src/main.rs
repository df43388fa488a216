//! Posthaste: webhooks by contract.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use posthaste::cli::Cli;
use posthaste::failure::Exit;
use posthaste::open_files;
use posthaste::output::note;
use posthaste::signals::outlive_full_files;

/// Takes a tenth less processor time for a delivery than the C library's, whose threads wait for one another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long threads that block may take once the command has ended; what hangs does not keep the process.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(failure) = open_files::refuse_few(open_files::NEEDED_BY_ALL) {
        note(format!("posthaste: {failure}"));
        return failure.exit.into();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(format!("posthaste: the runtime cannot start: {error}"));
            return Exit::Refused.into();
        }
    };
    let ended = runtime.block_on(async {
        outlive_full_files();
        cli.run().await
    });
    runtime.shutdown_timeout(LAST_PATIENCE);
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            note(format!("posthaste: {failure}"));
            failure.exit.into()
        }
    }
}
