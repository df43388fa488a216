//! Each named place in the program where it may end, and its end there: on a new store, and once more on what that left.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use posthaste_faults::POINTS;
use rustix::process::Signal;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Part, Running};
use crate::context::Context;
use crate::dice::Dice;
use crate::figures::Figure;
use crate::rig::server::{Plan, Server};
use crate::rig::world::{Sum, World};

/// The part.
pub const PART: Part = Part {
    name: "points",
    says: "the process ends at each of its named places, on a new store and on what that left",
    is_alone: false,
    figures: &[
        Figure::count("points.named", "places where the process may end"),
        Figure::never("points.not_reached", "named places where it did not end although told to"),
        Figure::some("points.ends", "processes ended at a named place"),
        Figure::some("points.acknowledged", "events acknowledged by processes that ended at a named place"),
        Figure::never("points.lost", "acknowledged events lost by ending at a named place"),
        Figure::never("points.stored_twice", "events stored more than once after an end at a named place"),
        Figure::count("points.repeats", "copies sent again because of an end at a named place"),
        Figure::never(
            "points.repeats_unexplained",
            "copies sent again that no end at a named place explains",
        ),
    ],
    run,
};

/// How many places are tried side by side, each with a store of its own.
const SIDE_BY_SIDE: usize = 4;
/// Publishers of single events at one time.
const PUBLISHERS: usize = 2;
/// How long there is traffic before the other verbs, and beside them.
const TRAFFIC: Duration = Duration::from_millis(120);
/// The second time, the process ends when it comes by for up to the so-manieth time.
const NTH_MAX: u64 = 8;
/// What fills the log until it is written back.
const LOG_FILLED_BY: usize = 10 * 1024 * 1024;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let mut dice = context.dice();
        let mut tries = JoinSet::new();
        for _ in 0..context.times(1) {
            for point in POINTS {
                let (context, places, nth) = (context.clone(), places.clone(), 1 + dice.below(NTH_MAX));
                let seed = dice.next();
                tries.spawn(async move {
                    let _place = places.acquire_owned().await?;
                    one(&context, point.name, nth, Dice::new(seed)).await.with_context(|| point.name)
                });
            }
        }
        context.report("points.named", POINTS.len() as f64)?;
        while let Some(tried) = tries.join_next().await {
            tried??;
        }
        Ok(())
    })
}

/// A store of its own, two lives that are to end at the point, and one in which everything must come right.
async fn one(context: &Context, point: &str, nth: u64, mut dice: Dice) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plain = Plan::new(&context.programs.armed, folder.path()).bug(context.bug.as_deref());
    let mut world = World::around(plain.clone()).await?;
    let mut ends = 0;
    for passes in [1, nth] {
        let fatal = plain.clone().with("POSTHASTE_FAULT_POINT", format!("{point}:{passes}"));
        ends += u64::from(live(context, &mut world, &fatal, point, &mut dice).await?);
    }
    context.report("points.not_reached", f64::from(u8::from(ends == 0)))?;
    if ends == 0 {
        context.object(format!("{point} was not reached"));
    }
    let server = Server::start(&plain).await?;
    world.settle(&server).await?;
    let forgotten = world.repeat(&server).await?;
    let acknowledged = world.desk.ledger.acknowledged();
    let traffic = world.desk.towards(&server)?.traffic(PUBLISHERS);
    tokio::time::sleep(TRAFFIC).await;
    traffic.stop().await;
    let (sum, wrong) = world.close(server).await?;
    report(context, ends, acknowledged, sum)?;
    if forgotten > 0 {
        context.object(format!("{point}: {forgotten} repeated calls got another event than the first"));
    }
    wrong.into_iter().for_each(|wrong| context.object(format!("{point}: {wrong}")));
    Ok(())
}

fn report(context: &Context, ends: u64, acknowledged: usize, sum: Sum) -> anyhow::Result<()> {
    context.report("points.ends", ends as f64)?;
    context.report("points.acknowledged", acknowledged as f64)?;
    context.report("points.lost", sum.lost as f64)?;
    context.report("points.stored_twice", sum.stored_twice as f64)?;
    context.report("points.repeats", sum.repeated as f64)?;
    context.report("points.repeats_unexplained", sum.unexplained as f64)
}

/// One life in which everything is done that the program does; answers whether it ended at the point.
async fn live(
    context: &Context,
    world: &mut World,
    fatal: &Plan,
    point: &str,
    dice: &mut Dice,
) -> anyhow::Result<bool> {
    let ended = match Server::start_or_end(fatal).await? {
        Err(status) => status,
        Ok(mut server) => {
            // Whatever fails here fails because the process has ended.
            let _ = exercise(context, world, &server, point, dice).await;
            let _ = server.terminate();
            server.wait().await?
        }
    };
    // Whoever ends otherwise has not ended at the point.
    let mut is_killed = ended.signal() == Some(Signal::KILL.as_raw());
    if !is_killed && !ended.success() {
        context.object(format!("{point}: it ended with {ended}, and not there"));
    }
    if !is_killed {
        is_killed = copy_to_file(fatal, dice.next()).await?;
        world.desk.diary.next_life();
    } else {
        world.note_crash().await?;
    }
    Ok(is_killed)
}

async fn exercise(
    context: &Context,
    world: &mut World,
    server: &Server,
    point: &str,
    dice: &mut Dice,
) -> anyhow::Result<()> {
    world.settle(server).await?;
    let forgotten = world.repeat(server).await?;
    if forgotten > 0 {
        context.object(format!("{point}: {forgotten} repeated calls got another event than the first"));
    }
    let traffic = world.desk.towards(server)?.traffic(PUBLISHERS);
    tokio::time::sleep(TRAFFIC).await;
    if point.ends_with("-write-back") {
        let _ = world.fill(server, LOG_FILLED_BY).await;
    }
    let _ = server.admin.post("/secrets/rotate", &json!({})).await;
    tokio::time::sleep(TRAFFIC + Duration::from_millis(dice.below(50))).await;
    server.terminate()?;
    traffic.stop().await;
    Ok(())
}

/// Copies the store with the command for it; answers whether that ended at the point.
async fn copy_to_file(fatal: &Plan, number: u64) -> anyhow::Result<bool> {
    let output = fatal.command(&["backup", &format!("copy-{number}"), "--data-dir", "data"]).output().await?;
    Ok(output.status.signal() == Some(Signal::KILL.as_raw()))
}
