//! One call to the system fails, each run another: the process ends soon or nobody notices, and the store opens again
//! with everything that was acknowledged in it.

mod idle;
mod trial;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use futures_util::StreamExt as _;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::fail::{Fault, How};
use crate::rig::preload;
use crate::rig::publishing::Numbers;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::scratch;
use crate::rig::server::{Plan, Server};

/// The part.
pub const PART: Part = Part {
    name: "store_failure",
    says: "one write, sync, truncation, opening or renaming of the store's files fails",
    is_alone: false,
    figures: &[
        Figure::count("store_failure.failed", "calls to the system made to fail, one in each run"),
        Figure::count("store_failure.at_start", "of them before the server was ready"),
        Figure::some(
            "store_failure.judged",
            "of them in files that hold what was acknowledged, so that it must end",
        ),
        Figure::count("store_failure.stopped", "runs that ended by themselves after it"),
        Figure::never("store_failure.went_on", "runs that went on after a failed write or sync"),
        Figure::never("store_failure.synced_again", "syncs tried again on a file that failed"),
        Figure::at_most(
            "store_failure.stop_ms",
            "the longest from the failure to the end",
            "ms",
            STOP_MS_MAX,
        ),
        Figure::count("store_failure.acknowledged", "events acknowledged in these runs"),
        Figure::never("store_failure.lost", "of them missing after the next start"),
        Figure::never("store_failure.not_sent", "events stored in these runs that never arrived"),
        Figure::count("store_failure.unknown", "events whose publishers heard 5xx or nothing"),
        Figure::never("store_failure.not_once", "of them not there exactly once after they were repeated"),
        Figure::never("store_failure.stored_when_full", "events stored though refused for want of room"),
    ],
    run,
};

/// How many calls fail in a run with every change.
const FAILURES: u64 = 300;
/// How many runs are under way at one time: mostly they wait.
const SIDE_BY_SIDE: usize = 8;
/// The longest a process may live after a failed write or sync.
const STOP_MS_MAX: f64 = 2_000.0;

/// The kinds of calls and how they may fail, with how often they are chosen.
const KINDS: &[(&str, How, u64)] = &[
    ("sync", How::Io, 5),
    ("write", How::Io, 5),
    ("write", How::NoRoom, 4),
    ("write", How::Quota, 2),
    ("sync", How::NoRoom, 1),
    ("write", How::Interrupted, 1),
    ("write", How::Short, 2),
    ("open", How::Interrupted, 1),
    ("truncate", How::Io, 1),
    ("open", How::Io, 1),
    ("open", How::NoRoom, 1),
    ("rename", How::Io, 1),
];

/// What all runs have in common.
pub(super) struct Scene {
    context: Context,
    folders: tempfile::TempDir,
    library: PathBuf,
    receiver: Receiver,
    /// Each run has numbers of its own.
    numbers: Numbers,
    /// How many calls have failed.
    failed: AtomicU64,
}

impl Scene {
    async fn set(context: &Context) -> anyhow::Result<Self> {
        let folders = scratch::folder()?;
        let library = preload::build("fail", folders.path())?;
        let receiver = Receiver::start("all", Manner::Prompt, &Arc::default()).await?;
        let (context, numbers) = (context.clone(), Numbers::default());
        let failed = AtomicU64::new(0);
        let scene = Self { context, folders, library, receiver, numbers, failed };
        let mut server = Server::start(&scene.plan("first")?).await?;
        let key = server.account("acme").await?;
        server.webhook(&key, &scene.receiver.url).await?;
        server.end().await?;
        Ok(scene)
    }

    fn plan(&self, name: &str) -> anyhow::Result<Plan> {
        let folder = self.folders.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Plan::of(&self.context, &folder))
    }

    /// A folder with a store of its own: an account and its webhook.
    fn copy(&self, name: &str) -> anyhow::Result<Plan> {
        let plan = self.plan(name)?;
        std::fs::create_dir(plan.data())?;
        for entry in std::fs::read_dir(self.folders.path().join("first/data"))? {
            let entry = entry?;
            std::fs::copy(entry.path(), plan.data().join(entry.file_name()))?;
        }
        Ok(plan)
    }
}

fn run(context: Context) -> Running {
    Box::pin(async move {
        let scene = Scene::set(&context).await?;
        let faults = choose(&scene).await?;
        let trials = faults.into_iter().enumerate().map(|(number, fault)| {
            let scene = &scene;
            async move {
                if let Err(error) = trial::run(scene, &format!("trial-{number}"), &fault).await {
                    scene.context.object(format!("{error:#}"));
                }
            }
        });
        let mut under_way = futures_util::stream::iter(trials).buffer_unordered(SIDE_BY_SIDE);
        let (idle, ()) =
            tokio::join!(idle::both(&scene), async { while under_way.next().await.is_some() {} });
        ensure!(scene.failed.load(Ordering::Relaxed) > 0, "no call failed: this proves nothing");
        idle
    })
}

/// Counts the calls of a run in which none fails, and chooses among them.
async fn choose(scene: &Scene) -> anyhow::Result<Vec<Fault>> {
    let mut calls = Vec::new();
    for (number, kind) in ["sync", "write", "truncate", "open", "rename"].into_iter().enumerate() {
        let none = Fault { kind, file: None, at: 0, how: How::Io, goes_on: false };
        calls.push((kind, trial::run(scene, &format!("count-{number}"), &none).await?));
    }
    let of = |wanted: &str| calls.iter().find(|(kind, _)| *kind == wanted).map_or(0, |(_, count)| *count);
    ensure!(KINDS.iter().all(|(kind, ..)| of(kind) > 0), "the library does not see all: {calls:?}");
    let mut dice = scene.context.dice();
    let weights: Vec<usize> =
        KINDS.iter().enumerate().flat_map(|(at, (.., weight))| vec![at; *weight as usize]).collect();
    let mut faults = Vec::new();
    for number in 0..scene.context.times(FAILURES) {
        let (kind, how, _) = KINDS[weights[number as usize % weights.len()]];
        let at = 1 + dice.below(of(kind));
        faults.push(Fault { kind, file: None, at, how, goes_on: !how.is_harmless() && dice.below(2) == 0 });
    }
    Ok(faults)
}
