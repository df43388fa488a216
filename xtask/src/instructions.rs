//! Counts the instructions of the hot path and holds them against the figures that are kept.
//!
//! Times are noisy where changes are tested; instructions much less so. What is counted and how is said in
//! `bench/hot-path`, what was counted last stands in `bench/hot-path.toml`.

mod compare;
mod kept;
mod maker;
mod profile;
mod valgrind;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::debian;
use compare::{Line, Verdict};
use kept::Kept;
use maker::Maker;

/// The figures' file, from the workspace's folder.
const KEPT_AT: &str = "bench/hot-path.toml";
/// The program, and the package it comes in.
const VALGRIND: &str = "valgrind";
/// How often it is counted. Hash tables lie otherwise in each process, which is up to 2 % of what the dispatcher takes.
const RUNS: usize = 5;
const ACCEPT: &str = "cargo xtask instructions --accept";

/// Counts and compares; figures that moved are a failure.
///
/// Where nothing can be counted, or the figures were counted of something else, it says so and goes on; under CI it
/// fails, or compares all the same.
pub fn check(root: &Path) -> anyhow::Result<()> {
    if let Err(why) = debian::ensure(VALGRIND, VALGRIND) {
        return skip(&why.to_string());
    }
    let kept = Kept::read(&root.join(KEPT_AT))?;
    let maker = Maker::of_this_machine()?;
    let differences = maker.differences(&kept.maker);
    if !differences.is_empty() && !crate::is_ci() {
        return skip(&format!("{KEPT_AT} is of another build: {}", differences.join("; ")));
    }
    let counted = count(root)?;
    let lines = compare::lines(&kept.figures, &counted);
    print!("{}", compare::table(&lines));
    if lines.iter().all(Line::holds) {
        return Ok(());
    }
    for difference in differences {
        println!("counted with another tool than the kept figures: {difference}");
    }
    bail!("{}", advice(&lines))
}

/// Counts and keeps.
pub fn accept(root: &Path) -> anyhow::Result<()> {
    debian::ensure(VALGRIND, VALGRIND)?;
    let file = root.join(KEPT_AT);
    let before = Kept::read(&file).map(|kept| kept.figures).unwrap_or_default();
    let counted = count(root)?;
    print!("{}", compare::table(&compare::lines(&before, &counted)));
    Kept { maker: Maker::of_this_machine()?, figures: counted }.write(&file)
}

fn advice(lines: &[Line]) -> String {
    let is_worse = lines.iter().any(|line| line.verdict == Verdict::Above);
    let what =
        if is_worse { "the hot path takes more instructions" } else { "the kept figures are out of date" };
    format!(
        "{what}: make it take fewer, or, if that is meant to be, run `{ACCEPT}` and say why in the commit"
    )
}

fn skip(why: &str) -> anyhow::Result<()> {
    println!("SKIPPED: instructions of the hot path: {why}");
    if crate::is_ci() {
        bail!("nothing may be skipped under CI");
    }
    println!("         to keep figures of this machine: {ACCEPT}");
    Ok(())
}

/// Builds the hot path, runs it under callgrind and gives back each part's instructions for one delivery.
fn count(root: &Path) -> anyhow::Result<compare::Figures> {
    build(root)?;
    let runs = (0..RUNS).map(|_| count_once(root)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(compare::medians(&runs))
}

fn count_once(root: &Path) -> anyhow::Result<compare::Figures> {
    let profile = root.join("target/hot-path.callgrind");
    let deliveries = valgrind::run(&root.join("target/debug/posthaste-hot-path"), &profile)?;
    let text = std::fs::read_to_string(&profile).with_context(|| profile.display().to_string())?;
    let parts = profile::parts(&text)?;
    Ok(parts.into_iter().map(|(part, instructions)| (part, instructions / deliveries)).collect())
}

/// Builds what is counted. The dependencies are those of the binary that the tests run, so that only what is the
/// project's own is built once more, optimised; a profile of its own would build all of them again, for minutes.
fn build(root: &Path) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--bin", "posthaste-hot-path"]).current_dir(root);
    // The binary is not built, but named, so that features of dependencies are chosen for both.
    cargo.args(["--package", "posthaste", "--package", "posthaste-hot-path"]);
    for setting in ["opt-level=2", "debug=false", "incremental=false"] {
        cargo.arg("--config").arg(format!("profile.dev.{setting}"));
    }
    crate::run(&mut cargo)
}
