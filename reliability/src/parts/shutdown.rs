//! The process is told to end, under load, again and again on one store: it ends with 0 and in time, nothing is lost and
//! nothing is repeated. What it accepts while it ends counts as everything else does.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;
use tokio::time::Instant;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{PATIENCE, Plan, Server};
use crate::rig::wait::becomes;
use crate::rig::world::World;

/// The part.
pub const PART: Part = Part {
    name: "shutdown",
    says: "SIGTERM, SIGINT and SIGHUP under load, twice, and during the start",
    is_alone: false,
    figures: &[
        Figure::count("shutdown.ends", "processes told to end under load"),
        Figure::count("shutdown.starts", "processes told to end while they started"),
        Figure::some("shutdown.acknowledged", "events acknowledged by processes that were told to end"),
        Figure::never("shutdown.disorderly", "ends with another code than 0"),
        Figure::never("shutdown.lost", "acknowledged events lost by ending in order"),
        Figure::never("shutdown.repeats", "copies sent again after an end in order"),
        Figure::at_most(
            "shutdown.end_ms",
            "from the signal to the end, while receivers answer",
            "ms",
            5_000.0,
        ),
        Figure::at_most(
            "shutdown.silent_end_ms",
            "the same while a receiver does not answer",
            "ms",
            15_000.0,
        ),
    ],
    run,
};

/// How often it is told to end in a run with every change.
const CYCLES: u64 = 20;
/// The longest it lives before, in milliseconds after it is ready.
const LIFE_MAX_MS: u64 = 200;
/// Every so many cycles it is told while it starts, so many milliseconds after that began at most.
const START_TOLD_EVERY: u64 = 4;
const START_MAX_MS: u64 = 60;
/// Publishers of single events at one time.
const PUBLISHERS: usize = 4;
/// How long after the first signal the second comes.
const SECOND_AFTER: Duration = Duration::from_millis(20);

fn run(context: Context) -> Running {
    Box::pin(async move {
        let (under_load, silent) = tokio::join!(under_load(&context), while_nobody_answers(&context));
        under_load?;
        silent
    })
}

async fn under_load(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut plan = Plan::of(context, folder.path());
    // Whoever started this may have it ignore SIGHUP (`nohup`); the program would do likewise.
    plan.wrapper = ["/usr/bin/env", "--default-signal=HUP"].map(str::to_owned).to_vec();
    let mut world = World::settled(plan).await?;
    world.desk.diary.next_life();
    let mut dice = context.dice();
    let (cycles, mut starts, mut disorderly, mut forgotten) = (context.times(CYCLES), 0_u64, 0_u64, 0);
    for cycle in 0..cycles {
        if cycle % START_TOLD_EVERY == START_TOLD_EVERY - 1 {
            starts += 1;
            let after = Duration::from_millis(dice.below(START_MAX_MS));
            let (status, has_spoken) = Server::start_and_signal(&world.plan, after, Signal::TERM).await?;
            // Before it listens to signals, which it does before it says anything, the system ends it.
            let is_unborn = status.signal() == Some(Signal::TERM.as_raw()) && !has_spoken;
            if !status.success() && !is_unborn {
                disorderly += 1;
                context.object(format!("told to end {after:?} after its launch, it ended with {status}"));
            }
            world.desk.diary.next_life();
        }
        let mut server = Server::start(&world.plan).await?;
        forgotten += world.repeat(&server).await?;
        let traffic = world.desk.towards(&server)?.traffic(PUBLISHERS);
        tokio::time::sleep(Duration::from_millis(1 + dice.below(LIFE_MAX_MS))).await;
        let (status, took) = end(&mut server, cycle).await?;
        traffic.stop().await;
        world.desk.diary.next_life();
        if !status.success() {
            disorderly += 1;
            context.object(format!("cycle {cycle} ended with {status}:\n{}", server.log()));
        }
        context.report("shutdown.end_ms", took.as_secs_f64() * 1000.0)?;
    }
    let server = Server::start(&world.plan).await?;
    forgotten += world.repeat(&server).await?;
    let acknowledged = world.desk.ledger.acknowledged();
    ensure!(acknowledged > 0, "nothing was acknowledged: this proves nothing");
    let (sum, wrong) = world.close(server).await?;
    context.report("shutdown.ends", cycles as f64)?;
    context.report("shutdown.starts", starts as f64)?;
    context.report("shutdown.acknowledged", acknowledged as f64)?;
    context.report("shutdown.disorderly", disorderly as f64)?;
    context.report("shutdown.lost", sum.lost as f64)?;
    context.report("shutdown.repeats", sum.repeated as f64)?;
    if forgotten > 0 {
        context.object(format!("{forgotten} repeated calls got another event than the first"));
    }
    wrong.into_iter().for_each(|wrong| context.object(wrong));
    Ok(())
}

/// Tells it to end in one of the ways there are; answers how it ended and how long that took.
async fn end(server: &mut Server, cycle: u64) -> anyhow::Result<(ExitStatus, Duration)> {
    let begun = Instant::now();
    server.signal(match cycle % 5 {
        1 => Signal::INT,
        2 => Signal::HUP,
        _ => Signal::TERM,
    })?;
    if cycle % 5 == 3 {
        tokio::time::sleep(SECOND_AFTER).await;
        // It may have ended by now.
        let _ = server.terminate();
    }
    let status = server.wait().await?;
    Ok((status, begun.elapsed()))
}

/// An attempt whose receiver never answers holds the end up for so long and no longer, and is made again.
async fn while_nobody_answers(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan::of(context, folder.path());
    let world = World::settled(plan).await?;
    let silent = Receiver::start("silent", Manner::Silent, &world.desk.diary).await?;
    let mut server = Server::start(&world.plan).await?;
    server.webhook(&world.desk.key, &silent.url).await?;
    let number = 0;
    ensure!(world.desk.towards(&server)?.publish(number).await.is_accepted(), "not accepted");
    let arrived = || world.desk.diary.at("silent").get(&number).map_or(0, |copies| copies.copies.len());
    ensure!(becomes(PATIENCE, || arrived() == 1).await, "the silent receiver got nothing");
    let (status, took) = end(&mut server, 0).await?;
    ensure!(status.success(), "it ended with {status}:\n{}", server.log());
    context.report("shutdown.silent_end_ms", took.as_secs_f64() * 1000.0)?;
    world.desk.diary.next_life();
    let server = Server::start(&world.plan).await?;
    let arrived = || world.desk.diary.at("silent").get(&number).map_or(0, |copies| copies.copies.len());
    if !becomes(PATIENCE, || arrived() == 2).await {
        context.object("what was never answered was not made again after the restart");
    }
    drop(server);
    Ok(())
}
