//! The disk fills while events are published and delivered: they are refused before it is full, everything else goes on
//! as far as it may, and all goes on by itself when there is room again.

mod round;
mod start;
mod steady;

use std::sync::Arc;

use anyhow::ensure;
use posthaste_store::verify;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::ledger::Ledger;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{PATIENCE, Plan, Server};
use crate::rig::small_disk::SmallDisk;
use crate::rig::stored::Stored;
use crate::rig::wait::becomes;
use steady::Steady;

/// The part.
pub const PART: Part = Part {
    name: "full_disk",
    says: "a disk of 64 MiB fills under publishing and delivery and is freed; files run out",
    is_alone: false,
    figures: &[
        Figure::count("full_disk.rounds", "times that the disk was filled and freed"),
        Figure::at_most("full_disk.refuse_ms", "the longest until publishing was refused", "ms", 2_000.0),
        Figure::count("full_disk.refused", "events refused with 503 storage_full"),
        Figure::never("full_disk.taken", "events accepted with too little room left"),
        Figure::count("full_disk.reads", "reads answered while the disk was full"),
        Figure::never("full_disk.unread", "reads not answered while the disk was full"),
        Figure::never("full_disk.begun", "attempts begun while there was no room for their results"),
        Figure::at_most("full_disk.resume_ms", "the longest until all went on again", "ms", 5_000.0),
        Figure::count("full_disk.acknowledged", "events acknowledged around full disks"),
        Figure::never("full_disk.lost", "of them never delivered"),
        Figure::never("full_disk.repeated", "of them delivered twice"),
        Figure::never("full_disk.unrecorded", "of them delivered and not recorded"),
        Figure::never("full_disk.damaged", "faults found in the store afterwards"),
    ],
    run,
};

/// How often the disk is filled in a run with every change.
const ROUNDS: u64 = 2;
/// The disk, as tmpfs takes it.
const DISK: &str = "size=64m";

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let Some(disk) = SmallDisk::mount(folder.path(), DISK).await? else {
            return context.skip("a full disk", "it needs `unshare` with the right to mount");
        };
        let plan = disk.plan(Plan::of(&context, folder.path()))?;
        under_load(&context, &disk, &plan).await?;
        start::on_a_full_disk(&context, &disk, &plan).await?;
        start::without_files(&context).await
    })
}

async fn under_load(context: &Context, disk: &SmallDisk, plan: &Plan) -> anyhow::Result<()> {
    let ledger = Arc::new(Ledger::default());
    let receiver = Receiver::start("all", Manner::Prompt, &Arc::default()).await?;
    let mut server = Server::start(plan).await?;
    let key = server.account("acme").await?;
    server.webhook(&key, &receiver.url).await?;
    let steady = Steady::start(&server.product("acme")?, &ledger);
    for number in 0..context.times(ROUNDS) {
        let scene = round::Scene { context, disk, receiver: &receiver, ledger: &ledger, steady: &steady };
        round::one(&scene, &mut server, number).await?;
    }
    let refused = steady.stop(context).await;
    context.report("full_disk.refused", refused as f64)?;
    context.report("full_disk.acknowledged", ledger.acknowledged() as f64)?;
    ensure!(ledger.acknowledged() > 0 && refused > 0, "nothing was accepted or refused: this proves nothing");
    becomes(PATIENCE, || receiver.missing(&ledger).is_empty()).await;
    // The next start finds a full disk, and is promised to work only with the ballast, which is made again a little later.
    let ballast = plan.data().join("posthaste.ballast");
    ensure!(becomes(PATIENCE, || ballast.exists()).await, "there is no ballast again:\n{}", server.log());
    server.end().await?;
    check(context, plan, &receiver, &ledger)
}

/// What was acknowledged has arrived once and is recorded.
fn check(context: &Context, plan: &Plan, receiver: &Receiver, ledger: &Ledger) -> anyhow::Result<()> {
    let (missing, repeated) = (receiver.missing(ledger), receiver.repeated());
    context.report("full_disk.lost", missing.len() as f64)?;
    context.report("full_disk.repeated", repeated as f64)?;
    let mut stored = Stored::default();
    let recorded: std::collections::BTreeSet<u64> =
        stored.delivered(&plan.data())?.into_iter().map(|(_, number)| number).collect();
    let unrecorded =
        receiver.diary.at(receiver.name).into_keys().filter(|number| !recorded.contains(number)).count();
    context.report("full_disk.unrecorded", unrecorded as f64)?;
    let copy = tempfile::tempdir()?;
    for entry in std::fs::read_dir(plan.data())? {
        let entry = entry?;
        std::fs::copy(entry.path(), copy.path().join(entry.file_name()))?;
    }
    let problems = verify(copy.path(), None)?.problems;
    context.report("full_disk.damaged", problems.len() as f64)?;
    if missing.len() + unrecorded + problems.len() > 0 || repeated > 0 {
        context.object(format!("lost {missing:?}, {repeated} twice, {unrecorded} unrecorded, {problems:?}"));
    }
    Ok(())
}
