//! Switches protections off, one at a time, and sees that a test notices.
//!
//! A test that stays green whatever the code does protects nothing. Each entry in `xtask/sabotage` names a protection,
//! the edit that takes it out, and the test that must fail then. The edits are made in a copy of the tree.

mod entry;
mod tree;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};

use entry::{Entry, Proof};
use tree::Tree;

/// Where the entries are, from the workspace's folder.
const ENTRIES_IN: &str = "xtask/sabotage";
/// The longest a test may take that waits for what does not come any more, in seconds.
const TEST_PATIENCE_S: &str = "150";
/// What `timeout` answers when that is over.
const TIMED_OUT: i32 = 124;
/// How much of a build's complaint is shown.
const SHOWN_LINES: usize = 40;

/// Goes through all entries whose file or name contains `wanted`; one that nobody notices is a failure.
pub fn run(root: &Path, wanted: &str) -> anyhow::Result<()> {
    let entries = entry::read(&root.join(ENTRIES_IN), wanted)?;
    if entries.is_empty() {
        bail!("no sabotage is called {wanted:?}");
    }
    let _alone = alone(&root.join("target/sabotage"))?;
    let tree = Tree::copy(root, &root.join("target/sabotage/tree"))?;
    let mut unnoticed = Vec::new();
    for entry in &entries {
        let verdict = attempt(root, &tree, entry).unwrap_or_else(|error| Some(format!("{error:#}")));
        let told = if verdict.is_none() { "caught" } else { "NOT CAUGHT" };
        println!("sabotage {told}: {} ({})", entry.name, entry.caught_by);
        unnoticed.extend(verdict.map(|why| format!("{}: {why}", entry.name)));
    }
    println!("sabotage: {} protections switched off, {} not noticed", entries.len(), unnoticed.len());
    if unnoticed.is_empty() { Ok(()) } else { bail!("nobody noticed:\n{}", unnoticed.join("\n")) }
}

/// Waits until nobody else spoils the same copy.
fn alone(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Makes the edit, runs the test, and takes the edit back. Answers why nobody noticed, if so.
fn attempt(root: &Path, tree: &Tree, entry: &Entry) -> anyhow::Result<Option<String>> {
    let edit = tree.edit(&entry.file, &entry.find, &entry.replace)?;
    let told = match &entry.proof {
        Proof::Cargo(arguments) => cargo(root, tree, arguments, &entry.caught_by),
        Proof::Clients(file) => clients(root, tree, file, &entry.caught_by),
    };
    edit.undo()?;
    let told = told?;
    let printed = format!("{}{}", text(&told.stdout), text(&told.stderr));
    if told.status.code() == Some(TIMED_OUT) {
        // Green is not what it is, and nobody waits for ever.
        return Ok(None);
    }
    let failed = printed.lines().any(|line| line.contains(&entry.caught_by) && line.contains("FAILED"));
    Ok(match (told.status.success(), failed) {
        (true, _) => Some(format!("{} passed, or did not run", entry.caught_by)),
        (false, true) => None,
        (false, false) => Some(format!("something else failed:\n{}", last_lines(&printed))),
    })
}

fn cargo(root: &Path, tree: &Tree, arguments: &[String], test: &str) -> anyhow::Result<Output> {
    build(root, tree, &[&["test", "--no-run"], strings(arguments).as_slice()].concat())?;
    let mut command = housebound("cargo");
    command.args(["test", "--offline"]).args(arguments).args(["--", test]);
    output(in_tree(&mut command, root, tree))
}

fn clients(root: &Path, tree: &Tree, file: &str, test: &str) -> anyhow::Result<Output> {
    build(root, tree, &["build", "--package", "posthaste"])?;
    let mut command = housebound(&root.join("target/clients/bin/python").to_string_lossy());
    command
        .args(["-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-k", test])
        .arg(tree.path().join("tests/clients").join(file))
        .env("POSTHASTE_BINARY", target(root).join("debug/posthaste"));
    output(&mut command)
}

/// A program that has to end, and reaches nothing but this machine where such a room can be had: without its guard, a
/// server would dial whatever the tests' name servers say.
fn housebound(program: &str) -> Command {
    const LOOPBACK_UP: &str = "ip link set lo up && exec \"$@\"";
    let inside = ["unshare", "--net", "--", "sh", "-c", LOOPBACK_UP, "sh"];
    let tried = Command::new(inside[0]).args(&inside[1..]).arg("true").output();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", TEST_PATIENCE_S]);
    if tried.is_ok_and(|output| output.status.success()) {
        command.args(inside);
    }
    command.arg(program);
    command
}

/// Sees to it that the edit still compiles: a build that breaks is no test that notices.
fn build(root: &Path, tree: &Tree, arguments: &[&str]) -> anyhow::Result<()> {
    let built = run_cargo(root, tree, arguments)?;
    if !built.status.success() {
        bail!("does not compile any more:\n{}", last_lines(&text(&built.stderr)));
    }
    Ok(())
}

fn run_cargo(root: &Path, tree: &Tree, arguments: &[&str]) -> anyhow::Result<Output> {
    output(in_tree(Command::new("cargo").args(arguments), root, tree))
}

/// Where and how a spoiled tree is built: whoever debugs one builds it by hand.
fn in_tree<'a>(cargo: &'a mut Command, root: &Path, tree: &Tree) -> &'a mut Command {
    cargo
        .current_dir(tree.path())
        .env("CARGO_TARGET_DIR", target(root))
        .env("CARGO_PROFILE_DEV_DEBUG", "none")
}

fn output(command: &mut Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))
}

/// A target folder apart, so that nothing built from a spoiled tree is ever taken for the real thing.
fn target(root: &Path) -> std::path::PathBuf {
    root.join("target/sabotage/target")
}

fn strings(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}
