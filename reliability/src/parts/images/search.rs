//! Goes through the images of a trace.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context as _;

use super::check::{Depth, Wrong, check};
use super::disk::Disk;
use super::image::{How, Image, Variant};
use super::recording::Trace;
use super::trace::Record;
use crate::dice::Dice;

/// After so many bad images of one trace nobody needs more.
const WRONG_MAX: u64 = 3;
/// One image in so many is looked at for what each webhook is owed.
const DELIVERIES_ONE_IN: u64 = 4;
/// One image in so many is written to, closed and opened again.
const GOES_ON_ONE_IN: u64 = 8;
/// From this size on not each image goes through the store's own check.
const LARGE_BYTES: usize = 1 << 20;
/// But one in so many.
const LARGE_VERIFIED_ONE_IN: u64 = 10;
/// The program finds its ballast in all images but one in so many: making it costs more than all the rest.
const NO_BALLAST_ONE_IN: u64 = 32;
const BALLAST_BYTES: u64 = 8 << 20;

/// Which image: after how many records of the trace, and which one there.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// How many records were done.
    pub place: usize,
    /// What becomes of what was not synced by then.
    pub variant: Variant,
}

/// What was found.
#[derive(Default)]
pub struct Tally {
    /// Images opened or refused.
    pub images: AtomicU64,
    /// Promises looked for and found.
    pub kept: AtomicU64,
    /// Images that had lost something.
    pub lost: AtomicU64,
    /// Images that opened and were damaged.
    pub damaged: AtomicU64,
    /// Images that did not open.
    pub refused: AtomicU64,
    is_enough: AtomicBool,
}

/// Chooses so many images: each place of the trace where anything changes gets its share of them. Where there are fewer
/// images than places chance decides, and every other one is right after an answer: nothing is promised more freshly. Chance
/// decides too what becomes of what was not synced. In the order of places.
pub fn choose(trace: &Trace, count: u64, dice: &mut Dice) -> anyhow::Result<Vec<Choice>> {
    let places = places(trace)?;
    anyhow::ensure!(!places.is_empty(), "nothing was written");
    let is_answer = |place: &usize| matches!(trace.records.get(place - 1), Some(Record::Answer { .. }));
    let answers: Vec<usize> = places.iter().copied().filter(is_answer).collect();
    let all = places.len() as u64;
    let any = |places: &[usize], dice: &mut Dice| places[dice.below(places.len() as u64) as usize];
    let mut chosen: Vec<Choice> = (0..count)
        .map(|no| {
            let place = match count >= all {
                true => places[(no % all) as usize],
                false if no % 2 == 0 && !answers.is_empty() => any(&answers, dice),
                false => any(&places, dice),
            };
            let how = How::WAYS[dice.below(How::WAYS.len() as u64) as usize];
            Choice { place, variant: Variant { how, seed: dice.next() >> 16 } }
        })
        .collect();
    chosen.sort_by_key(|choice| choice.place);
    Ok(chosen)
}

/// After how many records the disk or what was promised is another than before, and something may be lost.
fn places(trace: &Trace) -> anyhow::Result<Vec<usize>> {
    let mut disk = Disk::default();
    let mut places = Vec::new();
    for (at, record) in trace.records.iter().enumerate() {
        disk.take(at, record)?;
        let is_change = !matches!(record, Record::SyncBegun | Record::AnswerFailed { .. });
        if is_change && (disk.is_unsynced() || matches!(record, Record::SyncEnded { .. })) {
            places.push(at + 1);
        }
    }
    Ok(places)
}

/// Checks images one after the other; blocks. They are written below `memory`. Answers what was wrong, in sentences.
///
/// # Errors
/// If the trace or the disk is not as it should be.
pub fn search(trace: &Trace, chosen: &[Choice], memory: &Path, tally: &Tally) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut disk = Disk::default();
    let mut done = 0;
    let mut wrong = Vec::new();
    let folder = tempfile::tempdir_in(memory).context("no room for images")?;
    for choice in chosen {
        if tally.is_enough.load(Ordering::Relaxed) {
            break;
        }
        for record in &trace.records[done..choice.place] {
            disk.take(done, record)?;
            done += 1;
        }
        if let Some(what) = one(&runtime, trace, &disk, *choice, folder.path(), tally)? {
            wrong.push(what);
        }
    }
    Ok(wrong)
}

/// Builds one image and checks it; answers what is wrong with it.
fn one(
    runtime: &tokio::runtime::Runtime,
    trace: &Trace,
    disk: &Disk,
    choice: Choice,
    folder: &Path,
    tally: &Tally,
) -> anyhow::Result<Option<String>> {
    let image = Image::of(disk, choice.variant);
    image.write(&trace.folder, folder)?;
    let mut dice = Dice::new(choice.variant.seed);
    let depth = Depth {
        has_deliveries: dice.once_in(DELIVERIES_ONE_IN),
        goes_on: dice.once_in(GOES_ON_ONE_IN),
        is_verified: image.size() < LARGE_BYTES || dice.once_in(LARGE_VERIFIED_ONE_IN),
    };
    let data = folder.join("data");
    if dice.once_in(2) {
        leave_index(&data, &mut dice)?;
    }
    if data.is_dir() && !dice.once_in(NO_BALLAST_ONE_IN) {
        File::create(data.join("posthaste.ballast"))?.set_len(BALLAST_BYTES)?;
    }
    let checked = runtime.block_on(check(trace, choice.place, &data, depth));
    tally.images.fetch_add(1, Ordering::Relaxed);
    let (count, what) = match checked {
        Ok(kept) => {
            tally.kept.fetch_add(kept, Ordering::Relaxed);
            return Ok(None);
        }
        Err(Wrong::Lost(what)) => (&tally.lost, format!("lost: {what}")),
        Err(Wrong::Damaged(what)) => (&tally.damaged, format!("damaged and accepted: {what}")),
        Err(Wrong::Refused(what)) => (&tally.refused, format!("refused: {what}")),
    };
    count.fetch_add(1, Ordering::Relaxed);
    let so_far = [&tally.lost, &tally.damaged, &tally.refused].map(|count| count.load(Ordering::Relaxed));
    tally.is_enough.fetch_or(so_far.iter().sum::<u64>() >= WRONG_MAX, Ordering::Relaxed);
    let name = format!("{}:{}:{}", trace.folder.display(), choice.place, choice.variant);
    let after = tally.images.load(Ordering::Relaxed);
    Ok(Some(format!("{what}; image {after} of this trace, again with: images --image {name}")))
}

/// SQLite's index of its log, as it may lie there after a crash: anything.
fn leave_index(data: &Path, dice: &mut Dice) -> anyhow::Result<()> {
    const INDEX_BYTES: usize = 32 * 1024;
    if data.join("posthaste.db-wal").is_file() {
        let bytes: Vec<u8> = (0..INDEX_BYTES / 8).flat_map(|_| dice.next().to_le_bytes()).collect();
        std::fs::write(data.join("posthaste.db-shm"), bytes)?;
    }
    Ok(())
}

/// Writes one image to a folder, to be looked at.
///
/// # Errors
/// If the trace or the disk is not as it should be.
pub fn leave(trace: &Trace, choice: Choice, to: &Path) -> anyhow::Result<()> {
    let mut disk = Disk::default();
    for (at, record) in trace.records.iter().take(choice.place).enumerate() {
        disk.take(at, record)?;
    }
    std::fs::create_dir_all(to)?;
    Ok(Image::of(&disk, choice.variant).write(&trace.folder, to)?)
}
