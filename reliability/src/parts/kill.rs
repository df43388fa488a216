//! `kill -9` at random moments, again and again on one store: under publishing, while webhooks come and go, while
//! receivers of all manners are delivered to, during the start and what it recovers.
//!
//! What the system has taken survives the process, so this tries recovery. Whether the disk had it is the crash images'
//! to tell.

use std::time::Duration;

use anyhow::ensure;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::server::{Plan, Server};
use crate::rig::world::World;

/// The part.
pub const PART: Part = Part {
    name: "kill",
    says: "kill -9 at random moments under publishing, delivery, start and recovery",
    is_alone: false,
    figures: &[
        Figure::count("kill.cycles", "processes killed under load"),
        Figure::count("kill.starts", "processes killed while they started or recovered"),
        Figure::some("kill.acknowledged", "events acknowledged by processes that were killed"),
        Figure::some("kill.repeated_calls", "publish calls without an answer, repeated after the restart"),
        Figure::never("kill.lost", "acknowledged events lost by killing"),
        Figure::never("kill.stored_twice", "events stored more than once although their calls were repeated"),
        Figure::some("kill.signed", "copies found to be signed with the secret of their webhook"),
        Figure::count("kill.repeats", "copies sent again because of killing"),
        Figure::count(
            "kill.repeats_bound",
            "copies that had arrived unrecorded at a kill, so that they may repeat",
        ),
        Figure::at_most("kill.repeats_by_one", "copies sent again because of one kill", "", UNRECORDED_MAX),
        Figure::never("kill.repeats_unexplained", "copies sent again that no kill explains"),
        Figure::greatest("kill.ready_ms", "from a start after a kill to readiness", "ms"),
    ],
    run,
};

/// Attempts that may be under way at one time, and results that may wait for their commit while one is under way: a
/// slow disk lets as many come together.
const UNRECORDED_MAX: f64 = 1_024.0 + 4_096.0;
/// How often the process is killed in a run with every change.
const CYCLES: u64 = 60;
/// The longest a process lives, in milliseconds after it is ready.
const LIFE_MAX_MS: u64 = 100;
/// Every so many cycles it lives four times as long, so that much is recorded when it dies.
const LONG_LIFE_EVERY: u64 = 6;
/// Every so many cycles it is killed while it starts, so many milliseconds after that began at most.
const START_KILLED_EVERY: u64 = 4;
const START_MAX_MS: u64 = 60;
/// Publishers of single events at one time.
const PUBLISHERS: usize = 4;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let plan = Plan::of(&context, folder.path());
        let mut world = World::settled(plan).await?;
        let mut dice = context.dice();
        let (cycles, mut starts, mut repeated, mut forgotten) = (context.times(CYCLES), 0, 0, 0);
        for cycle in 0..cycles {
            if cycle % START_KILLED_EVERY == START_KILLED_EVERY - 1 {
                let after = Duration::from_millis(dice.below(START_MAX_MS));
                Server::start_and_kill(&world.plan, after).await?;
                world.note_crash().await?;
                starts += 1;
            }
            let mut server = Server::start(&world.plan).await?;
            context.report("kill.ready_ms", server.ready_after.as_secs_f64() * 1000.0)?;
            repeated += world.desk.ledger.left_open().len();
            forgotten += world.repeat(&server).await?;
            let traffic = world.desk.towards(&server)?.traffic(PUBLISHERS);
            let longer = if cycle % LONG_LIFE_EVERY == 0 { 4 } else { 1 };
            tokio::time::sleep(Duration::from_millis((1 + dice.below(LIFE_MAX_MS)) * longer)).await;
            server.kill().await?;
            traffic.stop().await;
            world.note_crash().await?;
        }
        let server = Server::start(&world.plan).await?;
        repeated += world.desk.ledger.left_open().len();
        forgotten += world.repeat(&server).await?;
        let acknowledged = world.desk.ledger.acknowledged();
        ensure!(acknowledged > 0, "nothing was acknowledged: this proves nothing");
        let (sum, wrong) = world.close(server).await?;
        context.report("kill.cycles", cycles as f64)?;
        context.report("kill.starts", starts as f64)?;
        context.report("kill.acknowledged", acknowledged as f64)?;
        context.report("kill.repeated_calls", repeated as f64)?;
        context.report("kill.lost", sum.lost as f64)?;
        context.report("kill.stored_twice", sum.stored_twice as f64)?;
        context.report("kill.signed", sum.signed as f64)?;
        context.report("kill.repeats", sum.repeated as f64)?;
        context.report("kill.repeats_bound", sum.bound as f64)?;
        context.report("kill.repeats_by_one", sum.repeated_by_one as f64)?;
        context.report("kill.repeats_unexplained", sum.unexplained as f64)?;
        if forgotten > 0 {
            context.object(format!("{forgotten} repeated calls got another event than the first"));
        }
        wrong.into_iter().for_each(|wrong| context.object(wrong));
        Ok(())
    })
}
