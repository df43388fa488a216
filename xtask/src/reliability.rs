//! Builds the program as it is shipped and as it is tried, and runs the package `reliability`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

/// Where the programs and the figures of a run are put, from the workspace's folder.
const FOLDER: &str = "target/reliability";

/// Runs the parts that are wished for, or all.
pub fn run(root: &Path, wishes: &[&str]) -> anyhow::Result<()> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let shipped = program(root, &["--release"], "release", &folder.join("posthaste"))?;
    let armed_features = ["--features", "posthaste/armed"];
    let armed = program(root, &armed_features, "debug", &folder.join("posthaste-armed"))?;
    crate::cargo(&["build", "--release", "--package", "posthaste-reliability"])?;
    let mut runner = Command::new(root.join("target/release/posthaste-reliability"));
    runner.args(wishes).arg("--shipped").arg(shipped).arg("--armed").arg(armed);
    runner.arg("--json").arg(folder.join("reliability.json")).current_dir(root);
    crate::run(&mut runner)
}

/// Builds `posthaste` and puts it where the next build does not replace it.
fn program(root: &Path, arguments: &[&str], profile: &str, kept: &Path) -> anyhow::Result<PathBuf> {
    crate::cargo(&[&["build", "--package", "posthaste"], arguments].concat())?;
    let built = root.join("target").join(profile).join("posthaste");
    // A new file: the old one may still be running.
    let _ = fs::remove_file(kept);
    fs::copy(&built, kept).with_context(|| built.display().to_string())?;
    Ok(kept.to_owned())
}
