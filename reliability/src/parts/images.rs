//! Power failures: every write, sync and answer of the real program under load is recorded, and the disk rebuilt as a
//! power failure at any of these moments may leave it. Each such image is opened as the program opens its store.
//!
//! An image may miss what was not synced, or have any part of it. It must open by itself, hold everything that was
//! promised in an answer before that moment, hold nothing that nobody put there, and pass the store's own check.

mod trace;

mod disk;
mod image;
mod promise;

mod load;
mod recording;
mod scenes;

mod check;
mod search;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use super::{Part, Running};
use crate::context::Context;
use crate::dice::Dice;
use crate::figures::Figure;
use crate::rig::{preload, scratch};
use recording::{Recorder, Trace};
use scenes::Scene;
use search::{Choice, Tally, choose, search};

/// The part.
pub const PART: Part = Part {
    name: "images",
    says: "power failures: images of the disk at writes, syncs and answers of the recorded program, opened and checked",
    is_alone: false,
    figures: &[
        Figure::count("images.traces", "courses of the program that were recorded"),
        Figure::count("images.records", "writes, syncs, names and answers recorded"),
        Figure::count("images.images", "images of the disk opened"),
        Figure::count("images.kept", "promises looked for in them and found"),
        Figure::never("images.lost", "images that had lost something promised"),
        Figure::never("images.damaged", "images that opened although they were damaged"),
        Figure::never("images.refused", "images that did not open"),
        Figure::greatest("images.rate", "images opened in a second by each worker", "/s"),
    ],
    run,
};

/// What is recorded in one round, and how many images are opened of it in a run with every change.
const ROUND: [(Scene, u64); 6] = [
    (Scene::Young, 2_000),
    (Scene::Young, 2_000),
    (Scene::Young, 2_000),
    (Scene::Varied, 7_400),
    (Scene::Killed, 6_480),
    // Each takes as long as twenty others.
    (Scene::Long, 120),
];

/// Among so many images of a trace some keep a promise.
const ENOUGH: u64 = 20;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let home = tempfile::tempdir()?;
        let library = preload::build("record", home.path())?;
        let mut dice = context.dice();
        let rounds = context.effort.ceil().max(1.0) as u64;
        let (mut looking, mut opened, mut kept) = (Duration::ZERO, 0, 0);
        for _ in 0..rounds {
            for (scene, images) in ROUND {
                let count = (context.times(images) / rounds).max(1);
                let (took, tally) = one(&context, &library, scene, count, Dice::new(dice.next())).await?;
                looking += took;
                opened += tally.images.load(Ordering::Relaxed);
                kept += tally.kept.load(Ordering::Relaxed);
            }
        }
        ensure!(kept > 0, "no promise was looked for and found: this proves nothing");
        let seconds = looking.as_secs_f64() * context.workers as f64;
        context.report("images.rate", (opened as f64 / seconds.max(1e-6)).round())
    })
}

/// Records one trace and goes through images of it; answers how long that took, and what was found.
async fn one(
    context: &Context,
    library: &Path,
    scene: Scene,
    count: u64,
    mut dice: Dice,
) -> anyhow::Result<(Duration, Arc<Tally>)> {
    let name = Scene::ALL.iter().find(|(known, _)| *known == scene).map_or("", |(_, name)| name);
    let folder = tempfile::Builder::new().prefix("trace-").tempdir_in(&context.folder)?;
    let trace = record(context, library, scene, folder.path(), &mut dice)
        .await
        .with_context(|| format!("the trace {name:?}"));
    let trace = match trace {
        Ok(trace) => Arc::new(trace),
        Err(error) => {
            anyhow::bail!("{error:#}; it is kept in {}", folder.keep().display());
        }
    };
    context.report("images.traces", 1.0)?;
    context.report("images.records", trace.records.len() as f64)?;
    let chosen = choose(&trace, count, &mut dice)?;
    let began = Instant::now();
    let (tally, wrong) = look(&trace, chosen, context.workers).await?;
    report(context, &tally)?;
    let is_vain = count >= ENOUGH && tally.kept.load(Ordering::Relaxed) == 0 && wrong.is_empty();
    ensure!(!is_vain, "{name}: no promise was looked for and found: this proves nothing");
    if !wrong.is_empty() {
        let _ = folder.keep();
    }
    wrong.into_iter().for_each(|what| context.object(format!("{name}: {what}")));
    Ok((began.elapsed(), tally))
}

async fn record(
    context: &Context,
    library: &Path,
    scene: Scene,
    folder: &Path,
    dice: &mut Dice,
) -> anyhow::Result<Trace> {
    let mut recorder = Recorder::new(context.program(), library, folder, context.bug.as_deref())?;
    scene.play(&mut recorder, dice).await?;
    recorder.end()
}

/// Goes through the images on several threads.
async fn look(
    trace: &Arc<Trace>,
    chosen: Vec<Choice>,
    workers: usize,
) -> anyhow::Result<(Arc<Tally>, Vec<String>)> {
    let tally = Arc::new(Tally::default());
    let memory = Arc::new(scratch::folder()?);
    let shares = (0..workers).map(|worker| {
        let share: Vec<Choice> = chosen.iter().skip(worker).step_by(workers).copied().collect();
        let (trace, tally, memory) = (trace.clone(), tally.clone(), memory.clone());
        tokio::task::spawn_blocking(move || search(&trace, &share, memory.path(), &tally))
    });
    let mut wrong = Vec::new();
    for share in shares.collect::<Vec<_>>() {
        wrong.extend(share.await??);
    }
    Ok((tally, wrong))
}

fn report(context: &Context, tally: &Tally) -> anyhow::Result<()> {
    for (id, count) in [
        ("images.images", &tally.images),
        ("images.kept", &tally.kept),
        ("images.lost", &tally.lost),
        ("images.damaged", &tally.damaged),
        ("images.refused", &tally.refused),
    ] {
        context.report(id, count.load(Ordering::Relaxed) as f64)?;
    }
    Ok(())
}

/// Builds one image of a kept trace again, `FOLDER:RECORDS:VARIANT`, and says what is wrong with it. The image itself is
/// left in a folder of its own beside the trace.
///
/// # Errors
/// If there is no such trace.
pub async fn again(name: &str) -> anyhow::Result<bool> {
    let mut words = name.rsplitn(3, ':');
    let mut word = || words.next().context("an image is FOLDER:RECORDS:VARIANT");
    let (variant, place, folder) = (word()?.parse()?, word()?.parse()?, PathBuf::from(word()?));
    let trace = Arc::new(Trace::read(&folder)?);
    let choice = Choice { place, variant };
    let left = folder.join(format!("image-{place}-{variant}"));
    search::leave(&trace, choice, &left)?;
    println!("the image is left in {}", left.display());
    let (_, wrong) = look(&trace, vec![choice], 1).await?;
    wrong.iter().for_each(|what| println!("{what}"));
    Ok(wrong.is_empty())
}
