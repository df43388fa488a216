//! A run: which parts, how long, and what became of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::context::{Context, Programs};
use crate::figures::{Figures, check_names};
use crate::parts::{PARTS, Part, images};
use crate::report::{Ran, Report};

/// How many parts share the machine, unless one wants it alone.
const SIDE_BY_SIDE: u32 = 2;

/// Tries what is promised, and writes down how often.
#[derive(Debug, Clone, Parser)]
pub struct Wishes {
    /// Only these parts
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    /// The program as it is shipped
    #[arg(long, value_name = "FILE")]
    shipped: PathBuf,
    /// The program with fault points and bugs
    #[arg(long, value_name = "FILE")]
    armed: PathBuf,
    /// All parts again and again, each time with another seed, for so long; 0 for once
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    minutes: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much each part does, in parts of what it does with every change
    #[arg(long, default_value_t = 1.0)]
    effort: f64,
    /// Start the program with this bug: the run must fail
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// Threads that a part may keep busy where it can use several
    #[arg(long, value_name = "THREADS", default_value_t = 1)]
    workers: usize,
    /// Build one crash image of a kept trace again, and check it
    #[arg(long, value_name = "FOLDER:RECORDS:VARIANT")]
    image: Option<String>,
    /// Where the figures go
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Wishes {
    /// Where the figures go, or else where we are.
    fn folder(&self) -> PathBuf {
        let folder = self.json.as_deref().and_then(Path::parent);
        folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
    }
}

/// Runs what is wished for, and answers whether everything was as promised.
pub async fn run(wishes: Wishes) -> anyhow::Result<bool> {
    if let Some(image) = &wishes.image {
        return images::again(image).await;
    }
    let all: Vec<_> = PARTS.iter().flat_map(|part| part.figures).copied().collect();
    check_names(&all)?;
    let wanted = wanted(&wishes.parts)?;
    let figures = Arc::new(Figures::default());
    let began = Instant::now();
    let until = began + Duration::from_secs(wishes.minutes * 60);
    let mut ran = Vec::new();
    let mut round = 0;
    loop {
        ran.extend(side_by_side(&wishes, &wanted, &figures, wishes.seed + round).await?);
        round += 1;
        if Instant::now() >= until {
            break;
        }
    }
    let report = Report::of(&all, &figures, ran, began.elapsed(), round);
    print!("{}", report.table());
    if let Some(file) = &wishes.json {
        std::fs::write(file, report.json()?).with_context(|| file.display().to_string())?;
    }
    Ok(report.is_good())
}

fn wanted(names: &[String]) -> anyhow::Result<Vec<&'static Part>> {
    let unknown: Vec<&String> =
        names.iter().filter(|name| !PARTS.iter().any(|part| part.name == name.as_str())).collect();
    let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    ensure!(unknown.is_empty(), "no part is called {unknown:?}; there are {known:?}");
    Ok(PARTS.iter().filter(|part| names.is_empty() || names.iter().any(|name| name == part.name)).collect())
}

/// Runs each part once. Those that measure have the machine to themselves.
async fn side_by_side(
    wishes: &Wishes,
    wanted: &[&'static Part],
    figures: &Arc<Figures>,
    seed: u64,
) -> anyhow::Result<Vec<Ran>> {
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE as usize));
    let mut under_way = Vec::new();
    for part in wanted.iter().copied() {
        let needed = if part.is_alone { SIDE_BY_SIDE } else { 1 };
        let place = places.clone().acquire_many_owned(needed).await?;
        let programs = Programs { shipped: wishes.shipped.clone(), armed: wishes.armed.clone() };
        let context =
            Context::new(programs, seed, wishes.effort, wishes.bug.clone(), figures.clone(), part.figures)
                .with_workers(wishes.workers)
                .keeping_in(wishes.folder());
        under_way.push(tokio::spawn(async move {
            let ran = one(part, context).await;
            drop(place);
            ran
        }));
    }
    let mut ran = Vec::new();
    for part in under_way {
        ran.push(part.await?);
    }
    Ok(ran)
}

async fn one(part: &Part, context: Context) -> Ran {
    let began = Instant::now();
    let ended = (part.run)(context.clone()).await;
    let mut objections = context.objections();
    match ended {
        Err(error) => objections.push(format!("{error:#}")),
        // What was skipped has said so, and fails in CI. With a bug, only what the bug does is to fail the run.
        Ok(()) if context.skipped().is_empty() && context.bug.is_none() => {
            objections.extend(context.unmeasured())
        }
        Ok(()) => {}
    }
    let ran = Ran {
        part: part.name,
        says: part.says,
        seed: context.seed,
        effort: context.effort,
        bug: context.bug.clone(),
        took: began.elapsed(),
        objections,
        skipped: context.skipped(),
    };
    println!("{}", ran.line());
    ran
}
