//! Switches bugs on, one at a time, and sees that the run that looks for them fails because of them: the same run with no
//! bug switched on is content.

use std::collections::BTreeMap;
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
/// Parts that always run the program that has all bugs: what they find with every change is found without a bug.
const WITHOUT_A_BUG_ANYWAY: [&str; 1] = ["points"];
/// As the name of a bug: none, in the program that has them all.
const NO_BUG: &str = "";

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
    /// A part of the run that must object.
    part: Option<String>,
    /// Simulated worlds.
    seeds: Option<u64>,
    /// Each of them must be in an objection, or in the name of a figure that is missed.
    words: Vec<String>,
    /// None of them may be.
    #[serde(default)]
    without: Vec<String>,
    /// How much the part does, in parts of what it does with every change.
    #[serde(default = "whole")]
    effort: f64,
}

fn whole() -> f64 {
    1.0
}

/// A bug that was noticed.
pub struct Noticed {
    name: String,
    says: &'static str,
    by: String,
    after: Duration,
}

/// Switches on every bug whose name holds `wanted`. One that nobody notices, or that is not in the list, is a failure, and
/// so is a part that objects without one.
pub fn run(root: &Path, programs: &Programs, wanted: &str) -> anyhow::Result<Vec<Noticed>> {
    let text = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let list: List = toml::from_str(&text).context(LIST)?;
    check_names(&list)?;
    let wanted: Vec<&Entry> = list.bug.iter().filter(|entry| entry.name.contains(wanted)).collect();
    let objecting = objecting(root, programs, &controls(&wanted));
    let tried =
        side_by_side(SIDE_BY_SIDE, &wanted, |entry| Some((entry.title(), one(root, programs, entry))));
    let missed: Vec<&str> =
        tried.iter().filter(|(_, noticed)| noticed.is_none()).map(|(title, _)| title.as_str()).collect();
    println!("bugs: {} switched on, {} not noticed", wanted.len(), missed.len());
    ensure!(missed.is_empty(), "nobody noticed {}", missed.join(", "));
    ensure!(objecting.is_empty(), "without any bug there are objections of {}", objecting.join(", "));
    let mut noticed: Vec<Noticed> = tried.into_iter().filter_map(|(_, noticed)| noticed).collect();
    noticed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(noticed)
}

/// Does something for each of them, so many at one time, and answers what came of it.
fn side_by_side<T: Sync, R: Send>(width: usize, all: &[T], each: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..width {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = each(one);
                    found.lock().unwrap_or_else(PoisonError::into_inner).extend(result);
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A run of a part with the program that has all bugs.
#[derive(Clone, Copy)]
struct Run<'a> {
    part: &'a str,
    /// One of them, or none.
    bug: &'a str,
    effort: f64,
}

/// What these bugs are noticed by, once each and no more than needed, and with no bug.
fn controls<'a>(wanted: &[&'a Entry]) -> Vec<Run<'a>> {
    let mut efforts: BTreeMap<&str, f64> = BTreeMap::new();
    for entry in wanted {
        let is_needed = |part: &&String| !WITHOUT_A_BUG_ANYWAY.contains(&part.as_str());
        let Some(part) = entry.part.as_ref().filter(is_needed) else { continue };
        let least = efforts.entry(part).or_insert(entry.effort);
        *least = least.min(entry.effort);
    }
    efforts.into_iter().map(|(part, effort)| Run { part, bug: NO_BUG, effort }).collect()
}

/// The parts that object without a bug. Some measure times: those have another try with nothing beside them.
fn objecting(root: &Path, programs: &Programs, controls: &[Run]) -> Vec<String> {
    let began = now();
    let objecting =
        side_by_side(SIDE_BY_SIDE, controls, |run| (!is_content(root, programs, run)).then_some(*run));
    let objecting =
        side_by_side(1, &objecting, |run| (!is_content(root, programs, run)).then(|| run.part.to_owned()));
    println!("without a bug: {} parts, {:.0} s", controls.len(), (now() - began).as_secs_f64());
    objecting
}

/// Without a bug nothing may be objected to.
fn is_content(root: &Path, programs: &Programs, run: &Run) -> bool {
    let began = now();
    let why = match told_by(root, programs, run) {
        Ok(told) if told.is_empty() => {
            println!("content without a bug: {} (after {:.1} s)", run.part, (now() - began).as_secs_f64());
            return true;
        }
        Ok(told) => format!("{told:?}"),
        Err(why) => format!("{why:#}"),
    };
    println!("NOT CONTENT WITHOUT A BUG: {}: {why}", run.part);
    false
}

impl Entry {
    /// The bug, and where it is looked for.
    fn title(&self) -> String {
        format!("{} ({})", self.name, self.part.as_deref().unwrap_or("simulation"))
    }

    /// Is it this bug that was noticed?
    fn check(&self, told: &[String]) -> anyhow::Result<()> {
        let is_told = |words: &&String| told.iter().any(|what| what.contains(words.as_str()));
        let missing: Vec<&String> = self.words.iter().filter(|words| !is_told(words)).collect();
        ensure!(missing.is_empty(), "{missing:?} is not among what is told: {told:?}");
        let other: Vec<&String> = self.without.iter().filter(is_told).collect();
        ensure!(other.is_empty(), "{other:?} is told as well, which is not of this bug: {told:?}");
        Ok(())
    }
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
            println!("bug NOT NOTICED: {}: {why:#}", entry.title());
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
    ensure!(!entry.words.is_empty(), "{LIST}: {} needs `words`", entry.name);
    match (&entry.part, entry.seeds) {
        (Some(part), None) => {
            let told = told_by(root, programs, &Run { part, bug: &entry.name, effort: entry.effort })?;
            ensure!(!told.is_empty(), "{part} finds everything as promised");
            entry.check(&told)?;
            Ok(part.clone())
        }
        (None, Some(seeds)) => by_seeds(programs, entry, seeds),
        _ => bail!("{LIST}: {} needs `part` or `seeds`", entry.name),
    }
}

/// Runs a part, and answers what it objected to and the names of the figures that it missed.
fn told_by(root: &Path, programs: &Programs, run: &Run) -> anyhow::Result<Vec<String>> {
    let file = if run.bug == NO_BUG { "none" } else { run.bug };
    let json = root.join(super::FOLDER).join(format!("bug-{file}-{}.json", run.part));
    let _ = fs::remove_file(&json);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE_S]).arg(&programs.runner).args([run.part, "--bug", run.bug]);
    command
        .arg("--shipped")
        .arg(&programs.shipped)
        .arg("--armed")
        .arg(&programs.armed)
        .arg("--json")
        .arg(&json);
    command.arg("--effort").arg(run.effort.to_string());
    let output = command.current_dir(root).stdin(Stdio::null()).output()?;
    let text = fs::read_to_string(&json)
        .with_context(|| format!("the part did not come to its end: {}", output.status))?;
    let told = told(&serde_json::from_str(&text)?);
    ensure!(output.status.success() == told.is_empty(), "{} and {told:?} do not agree", output.status);
    Ok(told)
}

/// What a run objected to, and the names of the figures it missed.
fn told(found: &Value) -> Vec<String> {
    let objections = found["objections"].as_array().into_iter().flatten();
    let missed = found["figures"].as_array().into_iter().flatten().filter(|figure| figure["is_met"] == false);
    let words = objections.map(|objection| &objection["what"]).chain(missed.map(|figure| &figure["id"]));
    words.filter_map(|words| words.as_str().map(str::to_owned)).collect()
}

fn by_seeds(programs: &Programs, entry: &Entry, seeds: u64) -> anyhow::Result<String> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", PATIENCE_S]).arg(&programs.simulator).arg(format!("0..{seeds}"));
    let output = command.arg("--stop").env("POSTHASTE_BUG", &entry.name).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success(), "{seeds} simulated worlds find everything as promised");
    let told = text.lines().find_map(|line| line.strip_prefix("seed ")?.split_once(": "));
    let (seed, told) = told.with_context(|| format!("the simulator failed otherwise:\n{text}"))?;
    entry.check(&[told.to_owned()])?;
    Ok(format!("simulation, seed {seed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_is_taken_for_the_bug() {
        let entry: Entry = toml::from_str(
            r#"
            name = "a bug"
            part = "kill"
            words = ["kill.lost", "were not delivered"]
            without = ["ended by itself"]
            "#,
        )
        .unwrap();
        let cases: [(&[&str], bool); 5] = [
            (&["kill.lost", "3 were not delivered"], true),
            (&["kill.lost", "3 were not delivered", "something else"], true),
            (&["kill.lost"], false),
            (&["kill.lost", "3 were not delivered", "it ended by itself"], false),
            (&[], false),
        ];
        for (told, is_noticed) in cases {
            let told: Vec<String> = told.iter().map(|what| (*what).to_owned()).collect();
            assert_eq!(entry.check(&told).is_ok(), is_noticed, "{told:?}");
        }
    }
}
