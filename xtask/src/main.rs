//! The project's chores: `cargo xtask test`, `cargo xtask tidy`, `cargo xtask instructions`,
//! `cargo xtask seeds FIRST..LAST`.

mod clients;
mod instructions;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

const USAGE: &str = "usage: cargo xtask VERB

  test                 every test: the workspace's, the rules of the house, real clients on real deliveries, and
                       the hot path's instructions
  clients              only the third: Python clients judge deliveries and OpenAPI documents
  tidy                 only the rules of the house
  instructions         only the last: the instructions of the hot path, held against bench/hot-path.toml
  instructions --accept    keeps what is counted now
  seeds FIRST..LAST    simulated worlds, as many as you like";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => test(),
        ["clients"] => clients::run(&root()),
        ["tidy"] => tidy::run(&root()),
        ["instructions"] => instructions::check(&root()),
        ["instructions", "--accept"] => instructions::accept(&root()),
        ["seeds", range] => seeds(range),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> anyhow::Result<()> {
    tidy::run(&root())?;
    cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"])?;
    cargo(&["test", "--workspace", "--doc"])?;
    clients::run(&root())?;
    instructions::check(&root())
}

fn seeds(range: &str) -> anyhow::Result<()> {
    cargo(&["run", "--quiet", "--release", "--package", "posthaste-sim", "--", range])
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("cargo").args(arguments).current_dir(root()))
}

/// Runs a command to its end; its output goes where ours goes.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// The workspace's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the chores have no settings but this one")]
fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
