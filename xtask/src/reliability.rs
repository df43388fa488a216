//! Builds the program as it is shipped and as it is tried, runs the package `reliability`, switches bugs on and sees that
//! they are noticed, and writes down what was found.

mod bugs;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Where the programs and the figures of a run are put, from the workspace's folder.
const FOLDER: &str = "target/reliability";
/// The figures of a run of all parts, in that folder, and those of some parts.
const WHOLE: &str = "reliability.json";
const PARTS: &str = "parts.json";

/// The programs of a run.
struct Programs {
    /// `posthaste` as it is shipped.
    shipped: PathBuf,
    /// The same with fault points and bugs.
    armed: PathBuf,
    /// The simulator with bugs.
    simulator: PathBuf,
    /// What tries them.
    runner: PathBuf,
}

/// Runs the parts that are wished for, or all; or switches bugs on. What all of them found is kept in the documents.
pub fn run(root: &Path, wishes: &[&str]) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let json = folder.join(WHOLE);
    if wishes == ["--page"] {
        return page::keep(root, &found(&json)?);
    }
    let programs = build(root, &folder)?;
    if let ["--bugs", wanted @ ..] = wishes {
        let noticed = bugs::run(root, &programs, wanted.first().copied().unwrap_or(""))?;
        return if wanted.is_empty() { page::keep_bugs(root, bugs::json(&noticed)) } else { Ok(()) };
    }
    let is_whole = wishes.first().is_none_or(|first| first.starts_with("--"));
    if !is_whole {
        return try_out(root, &programs, wishes, &folder.join(PARTS));
    }
    let ended = try_out(root, &programs, wishes, &json);
    page::keep(root, &found(&json)?)?;
    ended
}

/// Runs all parts once and switches all bugs on. What is found is put where `--page` takes it from, and into no document.
pub fn test(root: &Path) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let json = folder.join(WHOLE);
    let programs = build(root, &folder)?;
    let ended = try_out(root, &programs, &[], &json);
    let mut found = found(&json)?;
    let noticed = bugs::run(root, &programs, "");
    if let Ok(noticed) = &noticed {
        found["bugs"] = bugs::json(noticed);
    }
    fs::write(&json, serde_json::to_string_pretty(&found)? + "\n")?;
    ended.and(noticed.map(drop))
}

fn try_out(root: &Path, programs: &Programs, wishes: &[&str], json: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_file(json);
    crate::run(programs.try_out(root).args(wishes).arg("--json").arg(json))
}

/// The figures of a run of all parts.
fn found(json: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(json).context("the run left no figures")?;
    Ok(serde_json::from_str(&text)?)
}

impl Programs {
    /// The command that tries the programs out.
    fn try_out(&self, root: &Path) -> Command {
        let mut command = Command::new(&self.runner);
        command.arg("--shipped").arg(&self.shipped).arg("--armed").arg(&self.armed).current_dir(root);
        command
    }
}

fn build(root: &Path, folder: &Path) -> anyhow::Result<Programs> {
    let build = |arguments: &str| {
        crate::cargo(&["build", "--quiet"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>())
    };
    let kept = |built: &str, name: &str| keep(&root.join("target").join(built), &folder.join(name));
    // Together, so that what both need is built once.
    build("--package posthaste --package posthaste-sim --features posthaste/armed,posthaste-sim/armed")?;
    let armed = kept("debug/posthaste", "posthaste-armed")?;
    let simulator = kept("debug/posthaste-sim", "posthaste-sim-armed")?;
    // Apart, so that the program is the one that is shipped.
    build("--release --package posthaste")?;
    build("--release --package posthaste-reliability")?;
    let shipped = kept("release/posthaste", "posthaste")?;
    let runner = kept("release/posthaste-reliability", "posthaste-reliability")?;
    Ok(Programs { armed, simulator, shipped, runner })
}

/// Puts a program where the next build does not replace it.
fn keep(built: &Path, kept: &Path) -> anyhow::Result<PathBuf> {
    // A new file: the old one may still be running.
    let _ = fs::remove_file(kept);
    fs::copy(built, kept).with_context(|| built.display().to_string())?;
    if !kept.is_file() {
        bail!("{} was not built", kept.display());
    }
    Ok(kept.to_owned())
}
