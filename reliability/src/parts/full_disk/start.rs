//! Starts on a disk that is full, or that has no files left.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use crate::context::Context;
use crate::rig::publishing::Told;
use crate::rig::server::{PATIENCE, Plan, Server};
use crate::rig::small_disk::SmallDisk;
use crate::rig::wait::becomes;

/// Numbers of events, apart from those published before.
const FIRST_NUMBER: u64 = 1_000_000;
/// Published while there are no files to be had.
const EVENTS: u64 = 20;

/// It starts, answers what is read, takes nothing in, and goes on when there is room.
pub async fn on_a_full_disk(context: &Context, disk: &SmallDisk, plan: &Plan) -> anyhow::Result<()> {
    let filling = disk.fill(0);
    becomes(PATIENCE, || disk.left().is_ok_and(|left| left == 0)).await;
    // Whoever fills it rests; the ballast is what there is.
    filling.rest();
    let mut server = Server::spawn(plan).await.context("it does not start on a full disk")?;
    server.admin.get("/accounts/acme").await.context("nothing can be read after a start on a full disk")?;
    let product = server.product("acme")?;
    let told = product.ask(FIRST_NUMBER).await;
    if !told.is_full() {
        context.object(format!("after a start on a full disk publishing is answered {told:?}"));
    }
    drop(filling);
    let until = Instant::now() + PATIENCE;
    while !matches!(product.ask(FIRST_NUMBER).await, Told::Accepted(_)) {
        ensure!(!server.has_ended(), "it ended after a start on a full disk:\n{}", server.log());
        ensure!(Instant::now() < until, "there is room, and it takes nothing in:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.end().await?;
    Ok(())
}

/// A server that runs needs no new files. One that starts says what it lacks, and starts once it has it.
pub async fn without_files(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(folder.path(), "size=64m,nr_inodes=48").await? else {
        return context.skip("a disk without files", "it needs `unshare` with the right to mount");
    };
    let plan = disk.plan(Plan::of(context, folder.path()))?;
    let mut server = Server::start(&plan).await?;
    server.account("acme").await?;
    let files = disk.use_up_files()?;
    let product = server.product("acme")?;
    for number in 0..EVENTS {
        let told = product.ask(number).await;
        if !matches!(told, Told::Accepted(_)) {
            context.object(format!("without files left, publishing is answered {told:?}"));
        }
    }
    server.end().await?;
    disk.use_up_files()?;
    if let Ok(mut server) = Server::spawn(&plan).await {
        server.discard().await?;
    } else {
        ensure!(log_names_it(&plan), "a start without files left does not say what is in the way");
    }
    std::fs::remove_dir_all(&files)?;
    let mut server = Server::start(&plan).await.context("it does not start when there are files again")?;
    for number in 0..EVENTS {
        ensure!(
            matches!(server.product("acme")?.ask(number).await, Told::Accepted(_)),
            "event {number} is gone"
        );
    }
    server.end().await?;
    Ok(())
}

fn log_names_it(plan: &Plan) -> bool {
    let log = std::fs::read_to_string(plan.folder.join("log")).unwrap_or_default();
    log.lines().next_back().is_some_and(|line| line.contains("disk") || line.contains("space"))
}
