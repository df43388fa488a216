//! Coverage-guided fuzzing for a bounded time: every target in `fuzz/targets`, with libFuzzer, on the stable compiler.
//!
//! Inputs that broke a target once are kept in `fuzz/regressions` and run first, `fuzz/seeds` is where it begins, and
//! what it finds on the way stays below `target/fuzz`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, bail, ensure};

use crate::counts::Counts;
use crate::debian;

/// How long each target runs when nobody says otherwise.
pub const SECONDS: u64 = 20;
/// The longest that one input may take, in seconds.
const INPUT_SECONDS: u64 = 5;
/// The most memory a target may take, in MiB.
const MEMORY_MIB: u64 = 1024;

/// What `cargo fuzz` compiles with, less the sanitizers, which want another compiler.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cdebug-assertions";

/// Builds all targets and runs each for so many seconds, as many at a time as there are processors.
///
/// Where no C++ compiler can be had, it says so and goes on; under CI that is a failure.
pub fn run(root: &Path, seconds: u64, counts: &mut Counts) -> anyhow::Result<()> {
    if let Err(why) = debian::ensure("c++", "g++") {
        println!("SKIPPED: fuzz: {why:#}");
        if crate::is_ci() {
            bail!("nothing may be skipped under CI");
        }
        return Ok(());
    }
    let programs = build(root)?;
    let targets = targets(root)?;
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let executions = one(root, &programs, target, seconds);
            ended.lock().unwrap_or_else(PoisonError::into_inner).push((target, executions));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(targets.len()) {
            scope.spawn(work);
        }
    });
    let mut faults = Vec::new();
    for (target, executions) in ended.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match executions {
            Ok(executions) => {
                let line = format!("counted | fuzz | executions of {target} | {executions}");
                println!("{line}");
                counts.take(&line);
            }
            Err(fault) => faults.push(format!("{fault:#}")),
        }
    }
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// Builds with flags of its own, in a folder of its own; answers where the programs are. Under CI the targets are linted
/// too, here, where what they need has just been built.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let host = host()?;
    let cargo = |verb: &str, rest: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .args([verb, "--quiet", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target", &host])
            .args(["--target-dir", "target/fuzz"])
            .args(rest)
            .env("RUSTFLAGS", FLAGS)
            .current_dir(root);
        crate::run(&mut command)
    };
    cargo("build", &[])?;
    if crate::is_ci() {
        cargo("clippy", &["--", "-D", "warnings"])?;
    }
    Ok(root.join("target/fuzz").join(host).join("debug"))
}

fn host() -> anyhow::Result<String> {
    let told = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it compiles for")
}

/// The targets by name, in order.
fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root.join("fuzz/targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    ensure!(!names.is_empty(), "fuzz/targets holds no targets");
    Ok(names)
}

/// Runs one target; answers how many inputs it was given.
fn one(root: &Path, programs: &Path, target: &str, seconds: u64) -> anyhow::Result<u64> {
    let regressions = root.join("fuzz/regressions").join(target);
    let corpus = root.join("target/fuzz/corpus").join(target);
    let mut command = Command::new(programs.join(target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .args([format!("-timeout={INPUT_SECONDS}"), format!("-rss_limit_mb={MEMORY_MIB}")])
        .arg(format!("-artifact_prefix={}/", regressions.display()))
        .args(["-print_final_stats=1", "-verbosity=1"]);
    let words = root.join("fuzz/words").join(target);
    if words.exists() {
        command.arg(format!("-dict={}", words.display()));
    }
    for folder in [corpus, regressions.clone(), root.join("fuzz/seeds").join(target)] {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        command.arg(folder);
    }
    let output = command.current_dir(root).output().with_context(|| format!("cannot start {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last: Vec<&str> = told.lines().rev().take(40).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        bail!(
            "fuzz target {target} broke; the input is kept in {}\n{}",
            regressions.display(),
            last.join("\n")
        );
    }
    let executions = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let executions = executions.and_then(|number| number.trim().parse().ok());
    executions.with_context(|| format!("fuzz target {target} does not say how many inputs it was given"))
}
