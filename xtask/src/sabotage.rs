//! Switches protections off, one at a time, and sees that a test notices.
//!
//! A test that stays green whatever the code does protects nothing. Each entry in `xtask/sabotage` names a protection,
//! the edit that takes it out, and the test that must fail then. The edits are made in a copy of the tree.

mod bench;
mod entry;
mod tree;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, bail};

use bench::Bench;
use entry::Entry;

/// Where the entries are, from the workspace's folder.
const ENTRIES_IN: &str = "xtask/sabotage";
/// How many trees are spoiled side by side: after a small change a build keeps little more than one processor busy.
const BENCHES: usize = 2;
/// So few entries are gone through one by one.
const FEW: usize = 4;

/// Goes through all entries whose file or name contains `wanted`; one that nobody notices is a failure.
pub fn run(root: &Path, wanted: &str) -> anyhow::Result<()> {
    let entries = entry::read(&root.join(ENTRIES_IN), wanted)?;
    if entries.is_empty() {
        bail!("no sabotage is called {wanted:?}");
    }
    let folder = root.join("target/sabotage");
    let _alone = alone(&folder)?;
    let benches = benches(root, &folder, &entries)?;
    let left = Mutex::new(entries.iter().collect::<VecDeque<_>>());
    let unnoticed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for (number, bench) in benches.iter().enumerate() {
            let (left, unnoticed) = (&left, &unnoticed);
            scope.spawn(move || {
                while let Some(entry) = next(left, number) {
                    let why = attempt(bench, entry);
                    unnoticed.lock().unwrap_or_else(PoisonError::into_inner).extend(why);
                }
            });
        }
    });
    let unnoticed: Vec<String> = unnoticed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("sabotage: {} protections switched off, {} not noticed", entries.len(), unnoticed.len());
    if unnoticed.is_empty() { Ok(()) } else { bail!("nobody noticed:\n{}", unnoticed.join("\n")) }
}

/// The entries whose text does not stand where they look for it, each with why: the code changed, and they did not.
pub fn misplaced(root: &Path) -> anyhow::Result<Vec<String>> {
    let entries = entry::read(&root.join(ENTRIES_IN), "")?;
    let why = |entry: &Entry| {
        Some(format!("{}: {:#}", entry.name, tree::sound(root, &entry.file, &entry.find).err()?))
    };
    Ok(entries.iter().filter_map(why).collect())
}

/// What is built at the first is copied for the others.
fn benches(root: &Path, folder: &Path, entries: &[Entry]) -> anyhow::Result<Vec<Bench>> {
    let first = Bench::set_up_first(root, &folder.join("1"))?;
    if entries.len() <= FEW {
        return Ok(vec![first]);
    }
    first.prepare(entries)?;
    let mut benches = vec![first];
    for number in 2..=BENCHES {
        benches.push(benches[0].set_up_another(&folder.join(number.to_string()))?);
    }
    Ok(benches)
}

/// Those of one file stand together, and each bench goes on where it was: one from the front, one from the back.
fn next<'a>(left: &Mutex<VecDeque<&'a Entry>>, bench: usize) -> Option<&'a Entry> {
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    if bench.is_multiple_of(2) { left.pop_front() } else { left.pop_back() }
}

/// Answers why nobody noticed, if so.
fn attempt(bench: &Bench, entry: &Entry) -> Option<String> {
    let why = bench.attempt(entry).unwrap_or_else(|error| Some(format!("{error:#}")));
    let told = if why.is_none() { "caught" } else { "NOT CAUGHT" };
    println!("sabotage {told}: {} ({})", entry.name, entry.caught_by);
    why.map(|why| format!("{}: {why}", entry.name))
}

/// Waits until nobody else spoils the same copies.
fn alone(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("lock")).context("the lock of the copies")?;
    lock.lock()?;
    Ok(lock)
}
