//! Files that a disk or a person has damaged: nobody is served what is not as it was accepted, and the damage is seen.

mod damage;
mod fill;
mod judge;
mod program;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;

use super::{Part, Running};
use crate::context::Context;
use crate::dice::Dice;
use crate::figures::Figure;
use crate::rig::scratch;
use damage::{Done, Kind};
use fill::{Filled, Snapshot};
use judge::{Dump, Verdict};

/// The part.
pub const PART: Part = Part {
    name: "corruption",
    says: "flipped bits, lost and swapped pages, files that are cut short or gone, logs and files of different times",
    is_alone: false,
    figures: &[
        Figure::count("corruption.copies", "damaged copies of stores opened and read"),
        Figure::count("corruption.refused", "of them not opened, with the file named"),
        Figure::count("corruption.read_errors", "of them opened, and the damage met by a read and named"),
        Figure::count("corruption.found", "of them opened and read, and the damage found by `verify` alone"),
        Figure::count(
            "corruption.harmless",
            "of them no different in what they hold, or a whole store of another time",
        ),
        Figure::count(
            "corruption.cut_logs",
            "of them logs damaged in their last commit, which a crash leaves as well",
        ),
        Figure::count("corruption.minor", "of them with unnoticed damage in tables without checksums"),
        Figure::never(
            "corruption.unnoticed",
            "unnoticed damage in events, webhooks, accounts, keys, tokens, deliveries",
        ),
        Figure::never("corruption.misnamed", "refusals that do not call it damage, or name no file"),
        Figure::count("corruption.programs", "damaged copies that the program ran on"),
        Figure::never("corruption.wrong_bytes", "bodies that arrived and were never published"),
        Figure::never("corruption.wrong_urls", "requests that arrived where the event does not belong"),
    ],
    run,
};

/// How many damaged copies there are in a run with every change.
const COPIES: u64 = 2_000;
/// At least so many threads damage and read: each of them waits for those of the store it opens.
const WORKERS_MIN: usize = 2;
/// How many objections are told.
const TOLD_MAX: u64 = 5;

/// What became of the copies, by figure.
const FIGURES: [&str; 8] = [
    "corruption.refused",
    "corruption.read_errors",
    "corruption.found",
    "corruption.harmless",
    "corruption.cut_logs",
    "corruption.minor",
    "corruption.unnoticed",
    "corruption.misnamed",
];

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = scratch::folder()?;
        let filled = Arc::new(fill::fill(&context, folder.path()).await?);
        if context.bug.is_some() {
            // The bugs are in the program, not in this process.
            return program::try_out(&context, &filled).await;
        }
        let (trying, given) = (context.clone(), filled.clone());
        let damaged = tokio::task::spawn_blocking(move || damage_all(&trying, &given));
        // The programs mostly wait.
        let tried = program::try_out(&context, &filled).await;
        damaged.await??;
        tried
    })
}

fn damage_all(context: &Context, filled: &Filled) -> anyhow::Result<()> {
    let sound: Vec<Dump> = filled.snapshots.iter().map(Snapshot::dump).collect::<anyhow::Result<_>>()?;
    let (next, told, copies) = (AtomicU64::new(0), AtomicU64::new(0), context.times(COPIES));
    let place = scratch::folder()?;
    for (at, dump) in sound.iter().enumerate() {
        check_sound(&filled.snapshots[at], dump, &sound, at, place.path())?;
    }
    FIGURES.iter().try_for_each(|figure| context.report(figure, 0.0))?;
    let work = || -> anyhow::Result<()> {
        let place = scratch::folder()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= copies {
                return Ok(());
            }
            let mut dice = Dice::new(context.seed.wrapping_mul(1_000_003).wrapping_add(number));
            one(context, filled, &sound, place.path(), &mut dice, &told)?;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..context.workers.max(WORKERS_MIN)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a damaged copy ended in a panic")))
        })
    })
}

/// What nobody has damaged is read whole, and found to be so: else the rest tells nothing.
fn check_sound(
    snapshot: &Snapshot,
    dump: &Dump,
    sound: &[Dump],
    at: usize,
    place: &Path,
) -> anyhow::Result<()> {
    ensure!(dump.unread().is_empty(), "copy {at} is sound, and cannot be read in {:?}", dump.unread());
    let copy = place.join("copy");
    snapshot.copy_to(&copy)?;
    let nothing = Done { says: "nothing".to_owned(), excuse: None };
    let dump = || snapshot.dump().ok();
    let verdict =
        judge::judge(&copy, dump, |log_bytes| snapshot.dump_of_log(log_bytes), sound, at, &nothing)?;
    ensure!(matches!(verdict, Verdict::Harmless), "copy {at} is sound, and is judged {verdict:?}");
    Ok(())
}

fn one(
    context: &Context,
    filled: &Filled,
    sound: &[Dump],
    place: &Path,
    dice: &mut Dice,
    told: &AtomicU64,
) -> anyhow::Result<()> {
    let copy = place.join("copy");
    let (at, kind, mut again, done) = loop {
        let at = dice.below(filled.snapshots.len() as u64) as usize;
        let kind = Kind::choose(dice);
        filled.snapshots[at].copy_to(&copy)?;
        let before = dice.clone();
        if let Some(done) = kind.apply(&copy, filled, at, dice)? {
            break (at, kind, before, done);
        }
    };
    context.report("corruption.copies", 1.0)?;
    // Whoever opens it may change it: what it holds is read from another copy with the same damage.
    let dump = || {
        filled.snapshots[at].copy_to(&copy).ok()?;
        kind.apply(&copy, filled, at, &mut again).ok()?;
        Dump::of(&copy.join("posthaste.db")).ok()
    };
    let cut = |log_bytes| filled.snapshots[at].dump_of_log(log_bytes);
    let verdict = judge::judge(&copy, dump, cut, sound, at, &done)?;
    context.report(verdict.figure(), 1.0)?;
    let objection = match &verdict {
        Verdict::Unnoticed(tables) => format!("{} of copy {at} went unnoticed in {tables:?}", done.says),
        Verdict::Misnamed(told) => format!("{} of copy {at} is not told as damage: {told}", done.says),
        _ => return Ok(()),
    };
    if told.fetch_add(1, Ordering::Relaxed) < TOLD_MAX {
        context.object(objection);
    }
    Ok(())
}

/// What is shared by those who look at one store.
type Shared<T> = Arc<std::sync::Mutex<T>>;
