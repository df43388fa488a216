//! Switches bugs on, one at a time, and sees that the run that looks for them fails.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use posthaste_faults::BUGS;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Programs;

/// Where it is written what must notice which bug, from the workspace's folder.
const LIST: &str = "reliability/bugs.toml";
/// The longest that one bug is looked for, in seconds.
const PATIENCE_S: &str = "180";
/// How many are looked for at one time: most of it is waiting.
const SIDE_BY_SIDE: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    bug: Vec<Entry>,
}

/// A bug and what must notice it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// A part of the run, and words that its objections must hold, or the name of a figure it must miss.
    part: Option<String>,
    words: Option<String>,
    /// How much the part does, in parts of what it does with every change.
    effort: Option<f64>,
    /// Simulated worlds.
    seeds: Option<u64>,
}

/// A bug that was noticed.
pub struct Noticed {
    name: String,
    says: &'static str,
    by: String,
    after: Duration,
}

/// Switches on every bug whose name holds `wanted`. One that nobody notices, or that is not in the list, is a failure.
pub fn run(root: &Path, programs: &Programs, wanted: &str) -> anyhow::Result<Vec<Noticed>> {
    let text = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let list: List = toml::from_str(&text).context(LIST)?;
    check_names(&list)?;
    let wanted: Vec<&Entry> = list.bug.iter().filter(|entry| entry.name.contains(wanted)).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new((Vec::new(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(entry) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let noticed = one(root, programs, entry);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match noticed {
                        Some(noticed) => found.0.push(noticed),
                        None => found.1.push(entry.name.as_str()),
                    }
                }
            });
        }
    });
    let (mut noticed, missed) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    noticed.sort_by(|one, other| one.name.cmp(&other.name));
    println!("bugs: {} switched on, {} not noticed", wanted.len(), missed.len());
    if missed.is_empty() { Ok(noticed) } else { bail!("nobody noticed {}", missed.join(", ")) }
}

/// Switches one bug on, and tells what came of it.
fn one(root: &Path, programs: &Programs, entry: &Entry) -> Option<Noticed> {
    let began = now();
    match seek(root, programs, entry) {
        Ok(by) => {
            let after = now() - began;
            println!("bug noticed: {} (by {by}, after {:.1} s)", entry.name, after.as_secs_f64());
            Some(Noticed { name: entry.name.clone(), says: says(&entry.name), by, after })
        }
        Err(why) => {
            println!("bug NOT NOTICED: {}: {why:#}", entry.name);
            None
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a chore takes is told to whoever waits for it")]
fn now() -> Instant {
    Instant::now()
}

/// What was noticed, for the figures.
pub fn json(noticed: &[Noticed]) -> Value {
    let entry = |noticed: &Noticed| {
        json!({
            "name": noticed.name,
            "says": noticed.says,
            "caught_by": noticed.by,
            "seconds": (noticed.after.as_secs_f64() * 10.0).round() / 10.0,
        })
    };
    noticed.iter().map(entry).collect()
}

/// Every bug has somebody who must notice it, and nobody looks for one that there is not.
fn check_names(list: &List) -> anyhow::Result<()> {
    for bug in BUGS {
        ensure!(
            list.bug.iter().any(|entry| entry.name == bug.name),
            "{LIST} does not say who notices {}",
            bug.name
        );
    }
    for entry in &list.bug {
        ensure!(BUGS.iter().any(|bug| bug.name == entry.name), "{LIST}: there is no bug {}", entry.name);
    }
    Ok(())
}

fn says(name: &str) -> &'static str {
    BUGS.iter().find(|bug| bug.name == name).map_or("", |bug| bug.says)
}

/// Answers what noticed the bug.
fn seek(root: &Path, programs: &Programs, entry: &Entry) -> anyhow::Result<String> {
    match (&entry.part, &entry.words, entry.seeds) {
        (Some(part), Some(words), None) => by_part(root, programs, entry, part, words),
        (None, None, Some(seeds)) => by_seeds(programs, &entry.name, seeds),
        _ => bail!("{LIST}: {} needs `part` and `words`, or `seeds`", entry.name),
    }
}

fn by_part(
    root: &Path,
    programs: &Programs,
    entry: &Entry,
    part: &str,
    words: &str,
) -> anyhow::Result<String> {
    let json = root.join(super::FOLDER).join(format!("bug-{}.json", entry.name));
    let _ = fs::remove_file(&json);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE_S]).arg(&programs.runner).args([part, "--bug", &entry.name]);
    command
        .arg("--shipped")
        .arg(&programs.shipped)
        .arg("--armed")
        .arg(&programs.armed)
        .arg("--json")
        .arg(&json);
    command.arg("--effort").arg(entry.effort.unwrap_or(1.0).to_string());
    let output = command.current_dir(root).stdin(Stdio::null()).output()?;
    ensure!(!output.status.success(), "{part} finds everything as promised");
    let found: Value =
        serde_json::from_str(&fs::read_to_string(&json).context("the part did not come to its end")?)?;
    let is_told = told(&found).any(|what| what.contains(words));
    let all: Vec<String> = told(&found).collect();
    ensure!(is_told, "{part} says other things than {words:?}: {all:?}");
    Ok(part.to_owned())
}

/// What a run objected to, and the names of the figures it missed.
fn told(found: &Value) -> impl Iterator<Item = String> {
    let objections = found["objections"].as_array().into_iter().flatten();
    let missed = found["figures"].as_array().into_iter().flatten().filter(|figure| figure["is_met"] == false);
    let words = objections.map(|objection| &objection["what"]).chain(missed.map(|figure| &figure["id"]));
    words.filter_map(|words| words.as_str().map(str::to_owned))
}

fn by_seeds(programs: &Programs, bug: &str, seeds: u64) -> anyhow::Result<String> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE_S]).arg(&programs.simulator).arg(format!("0..{seeds}"));
    let output = command.arg("--stop").env("POSTHASTE_BUG", bug).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seed = text.lines().find_map(|line| line.strip_prefix("seed ")?.split(':').next());
    ensure!(!output.status.success(), "{seeds} simulated worlds find everything as promised");
    let seed = seed.with_context(|| format!("the simulator failed otherwise:\n{text}"))?;
    Ok(format!("simulation, seed {seed}"))
}
