//! Tries what is promised: the program under faults, killed, cut off from its disk, its files damaged, its clock turned,
//! and the engine in simulated worlds. `cargo xtask reliability` builds what it needs and runs it.
//!
//! It prints and writes figures; a figure that misses its bound, or a part that does not come to its end, fails the run.

mod dice;
mod figures;

mod context;
mod report;
mod rig;

mod parts;

mod run;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    match run::run(run::Wishes::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
