//! The project's chores; `cargo xtask` lists them.

mod counts;
mod debian;

mod clients;
mod fuzz;
mod instructions;
mod reliability;
mod sabotage;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use counts::Counts;

const USAGE: &str = "usage: cargo xtask VERB

  test                 every test: the workspace's, the rules of the house, real clients on real deliveries, fuzzing,
                       faults, sabotage, the hot path's instructions, and docs/reliability.md against what was counted
  clients              only the third: Python clients judge deliveries and OpenAPI documents
  counts               what counts, and writes the figures into docs/reliability.md
  fuzz [--seconds N]   only the fuzz targets, each for 20 seconds or as many as are said
  tidy                 only the rules of the house
  instructions         only the instructions of the hot path, held against bench/hot-path.toml
  instructions --accept    keeps what is counted now
  sabotage [WORD]      only that, or those of them with this word in their file's name or their own: switches
                       protections off one by one in a copy of the tree, and sees that a test fails
  reliability [--minutes N]    tries what is promised: the program killed, cut off from its disk, damaged, and so on; once,
                       or again and again for so long; writes the figures into docs/reliability.md and
                       docs/reliability.json
  reliability PART ... [--seed N] [--effort X] [--bug NAME]    only these parts, and writes no documents
  reliability --bugs [WORD]    switches bugs on, all or those with this word in their name, and sees that they are noticed;
                       writes all of them into the same documents
  reliability --page   writes what the last run found into the documents, where that run did not
  seeds FIRST..LAST    simulated worlds, as many as you like";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => test(),
        ["clients"] => clients::run(&root(), &mut Counts::default()),
        ["fuzz"] => fuzz::run(&root(), fuzz::SECONDS, &mut Counts::default()),
        ["fuzz", "--seconds", seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::run(&root(), seconds, &mut Counts::default()),
            Err(_) => Err(anyhow::anyhow!("`{seconds}` is no number of seconds")),
        },
        ["tidy"] => tidy::run(&root()),
        ["instructions"] => instructions::check(&root()),
        ["instructions", "--accept"] => instructions::accept(&root()),
        ["counts"] => counted().and_then(|counts| counts.write(&root())),
        ["sabotage"] => sabotage::run(&root(), ""),
        ["sabotage", wanted] => sabotage::run(&root(), wanted),
        ["reliability", wishes @ ..] => reliability::run(&root(), wishes),
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
    let counts = counted()?;
    print!("{}", counts.table());
    counts.check(&root())?;
    instructions::check(&root())?;
    reliability::test(&root())?;
    sabotage::run(&root(), "")
}

/// Runs everything that can count something.
fn counted() -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let wanted = [("nft", "nftables"), ("ip", "iproute2")];
    if let Err(why) = wanted.into_iter().try_for_each(|(program, package)| debian::ensure(program, package)) {
        // The test that needs them says what it skips, and fails under CI.
        println!("{why:#}");
    }
    let workspace = ["test", "--workspace", "--all-targets", "--no-fail-fast", "--", "--show-output"];
    counts::collect(Command::new("cargo").args(workspace).current_dir(root()), &mut counts)?;
    cargo(&["test", "--workspace", "--doc"])?;
    clients::run(&root(), &mut counts)?;
    fuzz::run(&root(), fuzz::SECONDS, &mut counts)?;
    Ok(counts)
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
