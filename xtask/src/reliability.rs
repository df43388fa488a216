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

/// Runs the parts that are wished for, or all. What all of them found is kept in the documents if so wished.
pub fn run(root: &Path, wishes: &[&str], is_kept: bool) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let json = folder.join("reliability.json");
    if wishes == ["--page"] {
        let found = fs::read_to_string(&json).context("there is no run to keep")?;
        return page::keep(root, &serde_json::from_str(&found)?);
    }
    let programs = build(root, &folder)?;
    if let ["--bugs", wanted @ ..] = wishes {
        return bugs::run(root, &programs, wanted.first().copied().unwrap_or("")).map(drop);
    }
    let _ = fs::remove_file(&json);
    let ended = crate::run(programs.try_out(root).args(wishes).arg("--json").arg(&json));
    let is_whole = wishes.first().is_none_or(|first| first.starts_with("--"));
    if !is_whole {
        return ended;
    }
    let text = fs::read_to_string(&json).context("the run left no figures");
    let mut found: Value = serde_json::from_str(&text?)?;
    let noticed = bugs::run(root, &programs, "");
    if let Ok(noticed) = &noticed {
        found["bugs"] = bugs::json(noticed);
    }
    fs::write(&json, serde_json::to_string_pretty(&found)? + "\n")?;
    if is_kept {
        page::keep(root, &found)?;
    }
    ended.and(noticed.map(drop))
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
