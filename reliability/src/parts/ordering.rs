//! Events with ordering keys under `kill -9`, at a receiver that is slow and at one that fails: of each key one event at a
//! time arrives, in the order of acceptance, and all of them do.

mod lines;

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use tokio::task::JoinSet;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::contract::Contract;
use crate::rig::listener::Listener;
use crate::rig::publishing::Product;
use crate::rig::server::{Plan, Server};
use crate::rig::wait::drains;
use lines::Lines;

/// The part.
pub const PART: Part = Part {
    name: "ordering",
    says: "events with ordering keys under kill -9, at slow and failing receivers",
    is_alone: false,
    figures: &[
        Figure::count("ordering.kills", "processes killed while events with ordering keys were on their way"),
        Figure::some("ordering.deliveries", "deliveries of events with ordering keys that arrived"),
        Figure::never(
            "ordering.inversions",
            "arrivals before an earlier event of the same key was taken, or after a later one",
        ),
        Figure::never(
            "ordering.lost",
            "events with ordering keys that were acknowledged and never delivered",
        ),
    ],
    run,
};

/// Keys that are published for side by side.
const KEYS: u64 = 10;
/// Events of each.
const EVENTS: u64 = 16;
/// Between them, so that there is something to publish in several lives.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the process is killed.
const KILLS: u64 = 6;
/// The longest a process lives, in milliseconds after it is ready.
const LIFE_MAX_MS: u64 = 400;
/// The longest wait for what is owed at the end.
const END_WITHIN: Duration = Duration::from_secs(45);
/// How long nothing more may come of it: many times the delay of a retry.
const STILL_MAX: Duration = Duration::from_secs(12);
/// Retries come soon, so that many are seen.
const DELAYS: [&str; 9] = ["1s"; 9];

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let plan = Plan::of(&context, folder.path());
        let plan = plan.contract(&Contract::standard().delays(&DELAYS)?)?;
        let lines = Arc::new(Lines::default());
        let takers = [lines::slow(&lines).await?, lines::failing(&lines, context.seed).await?];
        settle(&plan, &takers).await?;
        let events = context.times(EVENTS);
        let begun = publish_under_kills(&context, &plan, &lines, events).await?;
        finish(&context, &plan, &lines, begun, events).await
    })
}

/// An account with a webhook to each taker.
async fn settle(plan: &Plan, takers: &[Listener]) -> anyhow::Result<()> {
    let mut server = Server::start(plan).await?;
    let key = server.account("acme").await?;
    for (taker, name) in takers.iter().zip(["slow", "failing"]) {
        server.webhook(&key, &taker.url(name)).await?;
    }
    server.end().await
}

/// Kills the process again and again while events are published; answers how far each key has come.
async fn publish_under_kills(
    context: &Context,
    plan: &Plan,
    lines: &Arc<Lines>,
    events: u64,
) -> anyhow::Result<Vec<u64>> {
    let (mut dice, kills) = (context.dice(), context.times(KILLS));
    let mut reached = vec![0; usize::try_from(KEYS)?];
    for _ in 0..kills {
        let mut server = Server::start(plan).await?;
        let publishing = tokio::spawn(publish(server.product("acme")?, lines.clone(), reached, events));
        tokio::time::sleep(Duration::from_millis(dice.below(LIFE_MAX_MS))).await;
        server.kill().await?;
        reached = publishing.await??;
    }
    context.report("ordering.kills", kills as f64)?;
    Ok(reached)
}

/// Publishes what is left of each key, one after the other, until all is accepted or nobody answers.
async fn publish(
    product: Product,
    lines: Arc<Lines>,
    mut reached: Vec<u64>,
    events: u64,
) -> anyhow::Result<Vec<u64>> {
    let mut tasks = JoinSet::new();
    for (key, from) in reached.iter().copied().enumerate() {
        let (product, lines, key) = (product.clone(), lines.clone(), key as u64);
        tasks.spawn(async move {
            let mut next = from;
            while next < events && lines.publish(&product, key, next).await? {
                next += 1;
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok((key as usize, next))
        });
    }
    while let Some(ended) = tasks.join_next().await {
        let (key, next) = ended??;
        reached[key] = next;
    }
    Ok(reached)
}

/// A last life, in which all must arrive.
async fn finish(
    context: &Context,
    plan: &Plan,
    lines: &Arc<Lines>,
    reached: Vec<u64>,
    events: u64,
) -> anyhow::Result<()> {
    let server = Server::start(plan).await?;
    let reached = publish(server.product("acme")?, lines.clone(), reached, events).await?;
    ensure!(reached.iter().all(|next| *next == events), "it stopped answering:\n{}", server.log());
    let owed = KEYS * events * lines::TAKERS;
    let left = || usize::try_from(owed.saturating_sub(lines.taken())).unwrap_or(usize::MAX);
    drains(END_WITHIN, STILL_MAX, left).await;
    let (inversions, missing) = (lines.inversions(), lines.missing(KEYS, events));
    context.report("ordering.deliveries", lines.taken() as f64)?;
    context.report("ordering.inversions", inversions.len() as f64)?;
    context.report("ordering.lost", missing.len() as f64)?;
    inversions.iter().take(3).for_each(|what| context.object(format!("out of order: {what}")));
    if let Some(first) = missing.first() {
        context.object(format!("{} acknowledged and never delivered, {first} among them", missing.len()));
    }
    Ok(())
}
