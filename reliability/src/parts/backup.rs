//! Backups under load, cut off and without room; and stores put back from them, as docs/operating.md says.

mod restoring;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::ledger::Ledger;
use crate::rig::publishers::Publishers;
use crate::rig::publishing::Numbers;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{PATIENCE, Plan, Server};
use crate::rig::stored::Stored;
use crate::rig::wait::becomes;

/// The part.
pub const PART: Part = Part {
    name: "backup",
    says: "backups under load, cut off and without room, checks beside a server, stores put back",
    is_alone: false,
    figures: &[
        Figure::count("backup.made", "backups made under load, each checked by `verify`"),
        Figure::never("backup.missing", "events acknowledged before a backup that are not in it"),
        Figure::greatest("backup.took", "the longest that a backup under load took", "ms"),
        Figure::count("backup.verified_live", "checks of a store under load"),
        Figure::never("backup.false_alarms", "checks of sound stores and backups that found damage"),
        Figure::some("backup.cut_off", "backups that were killed"),
        Figure::never("backup.looks_whole", "files of killed or failed backups that look whole"),
        Figure::count("backup.put_back", "stores put back from a backup"),
        Figure::never(
            "backup.sent_unasked",
            "requests of old stores that were put back, before they were let go",
        ),
        Figure::never("backup.not_sent", "deliveries that were owed by a store put back and never came"),
    ],
    run,
};

/// How many backups are made under load.
const BACKUPS: u64 = 10;
/// How often the store is checked under load.
const CHECKS: u64 = 20;
/// How many backups are killed.
const KILLS: u64 = 8;
const PUBLISHERS: usize = 4;
const SIGKILL: i32 = rustix::process::Signal::KILL.as_raw();

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let plan = Plan::of(&context, folder.path());
        let ledger = Arc::new(Ledger::default());
        let receiver = Receiver::start("all", Manner::Prompt, &Arc::default()).await?;
        let mut server = Server::start(&plan).await?;
        let key = server.account("acme").await?;
        server.webhook(&key, &receiver.url).await?;
        let numbers = Numbers::default();
        let product = server.product("acme")?.padded(4_000);
        let publishers = Publishers::start(PUBLISHERS, &product, &numbers, &ledger);
        under_load(&context, &plan, &ledger, folder.path()).await?;
        let looks_whole = cut_off(&context, &plan, folder.path()).await?;
        ensure!(publishers.stop().await == 0, "it stopped answering under load:\n{}", server.log());
        server.end().await?;
        refusals(&context, &plan, folder.path()).await?;
        context.report("backup.looks_whole", looks_whole as f64)?;
        if looks_whole > 0 {
            context.object(format!("{looks_whole} backups that were killed left a file that looks whole"));
        }
        restoring::put_back(&context, &plan, folder.path()).await
    })
}

async fn back_up(plan: &Plan, file: &Path) -> anyhow::Result<Output> {
    Ok(plan.command(&["backup", text(file)?, "--data-dir", "data"]).output().await?)
}

/// Does `verify` find nothing?
async fn is_sound(plan: &Plan, place: &Path) -> anyhow::Result<bool> {
    let output = plan.command(&["verify", text(place)?, "--data-dir", "data"]).output().await?;
    if !output.status.success() {
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.status.success())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path that is no text")
}

async fn under_load(context: &Context, plan: &Plan, ledger: &Ledger, folder: &Path) -> anyhow::Result<()> {
    let (mut missing, mut alarms) = (0, 0);
    let is_acknowledged = becomes(PATIENCE, || ledger.acknowledged() > 0).await;
    ensure!(is_acknowledged, "nothing was acknowledged: this proves nothing");
    let backups = context.times(BACKUPS);
    for number in 0..backups {
        let file = folder.join(format!("backup-{number}.db"));
        let before = ledger.acknowledged_ids();
        let began = Instant::now();
        let output = back_up(plan, &file).await?;
        ensure!(output.status.success(), "no backup: {}", String::from_utf8_lossy(&output.stderr));
        context.report("backup.took", began.elapsed().as_secs_f64() * 1_000.0)?;
        alarms += u64::from(!is_sound(plan, &file).await?);
        let stored = events_in(&file)?;
        missing += before.keys().filter(|number| !stored.contains_key(number)).count();
    }
    let checks = context.times(CHECKS);
    for _ in 0..checks {
        alarms += u64::from(!is_sound(plan, &plan.data()).await?);
    }
    context.report("backup.made", backups as f64)?;
    context.report("backup.verified_live", checks as f64)?;
    context.report("backup.missing", missing as f64)?;
    context.report("backup.false_alarms", alarms as f64)
}

fn events_in(file: &Path) -> anyhow::Result<std::collections::BTreeMap<u64, u64>> {
    let folder = tempfile::tempdir()?;
    std::fs::copy(file, folder.path().join("posthaste.db"))?;
    Stored::default().events_by_number(folder.path())
}

/// Kills backups at random moments. Answers how many left a file under the name they were to have that is not whole.
async fn cut_off(context: &Context, plan: &Plan, folder: &Path) -> anyhow::Result<u64> {
    let (mut dice, mut looks_whole, mut killed) = (context.dice(), 0, 0);
    let kills = context.times(KILLS);
    let armed = Plan { program: context.programs.armed.clone(), ..plan.clone() };
    for number in 0..kills {
        let file = folder.join(format!("cut-{number}.db"));
        let mut command = armed.command(&["backup", text(&file)?, "--data-dir", "data"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let status = if number % 4 < 2 {
            let point = ["store.backup-begun", "store.backup-copied"][number as usize % 2];
            command.env("POSTHASTE_FAULT_POINT", point);
            let status = command.status().await?;
            ensure!(status.signal() == Some(SIGKILL), "a backup does not come by {point}: {status}");
            status
        } else {
            let mut child = command.spawn()?;
            tokio::time::sleep(Duration::from_millis(5 + dice.below(60))).await;
            let _ = child.start_kill();
            child.wait().await?
        };
        // One that is done before is a backup.
        killed += u64::from(status.signal() == Some(SIGKILL));
        // Under its name there is all of it, marked as a copy, or nothing.
        looks_whole += u64::from(file.exists() && !is_whole(plan, &file).await?);
    }
    context.report("backup.cut_off", killed as f64)?;
    Ok(looks_whole)
}

async fn is_whole(plan: &Plan, file: &Path) -> anyhow::Result<bool> {
    let is_marked = rusqlite::Connection::open(file)?
        .query_row("SELECT 1 FROM meta WHERE key = 'copied_ms'", [], |_| Ok(()))
        .is_ok();
    Ok(is_marked && is_sound(plan, file).await?)
}

/// A file that is there stays as it is, and a disk without room is told.
async fn refusals(context: &Context, plan: &Plan, folder: &Path) -> anyhow::Result<()> {
    let there = folder.join("there.db");
    std::fs::write(&there, b"mine")?;
    let output = back_up(plan, &there).await?;
    if output.status.success() || std::fs::read(&there)? != b"mine" {
        context.object("a file that was there was overwritten by a backup");
    }
    let full = folder.join("full.db");
    let limited = Plan { wrapper: ["prlimit", "--fsize=65536"].map(str::to_owned).to_vec(), ..plan.clone() };
    let output = back_up(&limited, &full).await?;
    let left = [full.clone(), full.with_extension("db.part")].iter().any(|file| file.exists());
    if output.status.success() || full.exists() {
        context.object("a backup without room says that it is made");
    }
    if output.status.code().is_some() && left {
        context.object("a backup without room left a file behind");
    }
    Ok(())
}
