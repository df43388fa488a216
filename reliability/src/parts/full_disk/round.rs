//! One time that the disk fills and is freed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::time::Instant;

use super::steady::Steady;
use crate::context::Context;
use crate::rig::ledger::Ledger;
use crate::rig::receiver::Receiver;
use crate::rig::server::Server;
use crate::rig::small_disk::{Filling, SmallDisk};
use crate::rig::wait::becomes;

/// Less than is reserved of a disk of 64 MiB, and more than nothing.
const LITTLE_BYTES: u64 = 1024 * 1024;
/// As much of it is left at the first refusal at least: it comes before the disk is full.
const SOME_BYTES: u64 = LITTLE_BYTES / 4;
/// Events accepted while no attempt ends: more than attempts may be under way to one webhook, so that others wait.
const WAITING: u64 = 200;
/// What is seen of the room on the disk may be a second old.
const SEEN_AFTER: Duration = Duration::from_millis(1_300);
/// How long each state is looked at.
const LOOK: Duration = Duration::from_millis(1_000);
/// How long it takes to fill what there is.
const FILLED_AFTER: Duration = Duration::from_millis(200);
/// How long anything may take that has a bound of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// What each round is made of.
pub struct Scene<'a> {
    pub context: &'a Context,
    pub disk: &'a SmallDisk,
    pub receiver: &'a Receiver,
    pub ledger: &'a Ledger,
    pub steady: &'a Steady,
}

/// Fills it up to a little, then altogether, and frees it.
pub async fn one(scene: &Scene<'_>, server: &mut Server, number: u64) -> anyhow::Result<()> {
    let Scene { context, disk, receiver, steady, .. } = *scene;
    let spares = ["first", "second", "third"].map(|spare| format!("spare-{number}-{spare}"));
    for spare in &spares {
        server.account(spare).await?;
    }
    let before = steady.accepted();
    becomes(PATIENCE, || steady.accepted() > before + 20).await;
    // Attempts are under way when room runs out, and end when there is none. Others are to wait meanwhile.
    receiver.set_open(false);
    let before = steady.accepted();
    let is_laden = becomes(PATIENCE, || steady.accepted() > before + WAITING).await;
    ensure!(is_laden, "it does not take events in while a receiver answers nothing:\n{}", server.log());
    let filling = disk.fill(LITTLE_BYTES);
    becomes(PATIENCE, || disk.left().is_ok_and(|left| left <= LITTLE_BYTES)).await;
    let (full, refused) = (Instant::now(), steady.refused());
    let is_refused = becomes(PATIENCE, || steady.refused() > refused).await;
    context.report("full_disk.refuse_ms", full.elapsed().as_secs_f64() * 1e3)?;
    if !is_refused {
        context.object("publishing is not refused with little room left");
    } else if disk.left()? < SOME_BYTES {
        context.object("publishing is refused only when nothing is left");
    }
    let taken = taken_without_room(&filling, steady).await?;
    context.report("full_disk.taken", taken as f64)?;
    if taken > 0 {
        context.object("events are accepted with too little room left");
    }
    if server.status("/readyz").await != Some(503) {
        context.object("/readyz is well while new events are refused");
    }
    fill_but_for_the_ballast(disk, &filling).await?;
    use_up_the_ballast(scene, server, &filling, &spares).await?;
    receiver.set_open(true);
    while_full(scene, server).await?;
    ensure!(!server.has_ended(), "it ended on a full disk:\n{}", server.log());
    drop(filling);
    resume(context, server, steady).await?;
    context.report("full_disk.rounds", 1.0)
}

/// How many events are accepted in a while without room. A server that shortens its log has room for a moment, and may go
/// on for as long as that is seen: the while is one before and in which nobody gave room back.
async fn taken_without_room(filling: &Filling, steady: &Steady) -> anyhow::Result<u64> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        tokio::time::sleep_until(filling.room_found_at() + SEEN_AFTER).await;
        let (from, accepted) = (Instant::now(), steady.accepted());
        tokio::time::sleep(LOOK).await;
        if filling.room_found_at() + SEEN_AFTER <= from {
            return Ok(steady.accepted() - accepted);
        }
    }
    bail!("room is given back again and again on a disk that is filled")
}

/// Then whoever fills it rests: the ballast is there for what it is promised for. If it was given to the disk on the way and
/// taken from it, as much is given back.
async fn fill_but_for_the_ballast(disk: &SmallDisk, filling: &Filling) -> anyhow::Result<()> {
    let (ballast, nothing) = (ballast_of(disk), 4096);
    let bytes = ballast.metadata().map_or(0, |ballast| ballast.len());
    ensure!(bytes > 0, "there is no ballast before the disk is full");
    filling.leave(0);
    let is_filled = becomes(PATIENCE, || disk.left().is_ok_and(|left| left <= nothing)).await;
    filling.rest();
    ensure!(is_filled, "the disk does not fill");
    if !ballast.exists() && disk.left()? <= nothing {
        filling.leave(bytes);
        becomes(PATIENCE, || disk.left().is_ok_and(|left| left > nothing)).await;
        filling.rest();
    }
    Ok(())
}

fn ballast_of(disk: &SmallDisk) -> PathBuf {
    disk.folder.join("data/posthaste.ballast")
}

/// What frees room is done, and done again where the ballast was not needed for it: a log that was shortened just before had
/// left room. With the ballast there is room for the results of attempts as well, and they are to find none.
async fn use_up_the_ballast(
    scene: &Scene<'_>,
    server: &Server,
    filling: &Filling,
    spares: &[String],
) -> anyhow::Result<()> {
    let ballast = ballast_of(scene.disk);
    for spare in spares {
        delete(scene.context, server, spare).await;
        filling.leave(0);
        tokio::time::sleep(FILLED_AFTER).await;
        if !ballast.exists() {
            return Ok(());
        }
        filling.rest();
    }
    bail!("what frees room is done again and again on a full disk, and the ballast is not used for it")
}

async fn delete(context: &Context, server: &Server, spare: &str) {
    let deleted = server.admin.delete(&format!("/accounts/{spare}")).await;
    if let Err(error) = deleted {
        context.object(format!("nothing can be deleted on a full disk: {error}"));
    }
}

/// What is read is answered, readiness tells, and no attempt begins.
async fn while_full(scene: &Scene<'_>, server: &Server) -> anyhow::Result<()> {
    let Scene { context, ledger, receiver, .. } = *scene;
    let mut is_red = false;
    let mut arrived = None;
    let until = Instant::now() + SEEN_AFTER + LOOK;
    while Instant::now() < until {
        let read = server.admin.get("/accounts/acme").await;
        context.report("full_disk.reads", f64::from(u8::from(read.is_ok())))?;
        context.report("full_disk.unread", f64::from(u8::from(read.is_err())))?;
        is_red |= server.status("/readyz").await == Some(503);
        if arrived.is_none() && until - Instant::now() < LOOK {
            arrived = Some(receiver.diary.arrived());
            let waiting = receiver.missing(ledger).len();
            ensure!(waiting > 0, "no delivery waits on the full disk, so this proves nothing");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = receiver.diary.arrived() - arrived.unwrap_or_else(|| receiver.diary.arrived());
    context.report("full_disk.begun", begun as f64)?;
    if begun > 0 || !is_red {
        context.object(format!("on a full disk {begun} attempts begin; /readyz tells of it: {is_red}"));
    }
    Ok(())
}

async fn resume(context: &Context, server: &Server, steady: &Steady) -> anyhow::Result<()> {
    let (freed, accepted) = (Instant::now(), steady.accepted());
    let mut is_well = becomes(PATIENCE, || steady.accepted() > accepted).await;
    while is_well && server.status("/readyz").await != Some(200) {
        is_well = freed.elapsed() < PATIENCE;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    context.report("full_disk.resume_ms", freed.elapsed().as_secs_f64() * 1e3)?;
    ensure!(is_well, "it does not go on when there is room again:\n{}", server.log());
    Ok(())
}
