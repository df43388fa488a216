//! `/readyz` tells the truth: it is red when due work does not move although the process looks alive, and never for
//! anything that is as it should be.

use std::time::Duration;

use anyhow::ensure;
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::client::Answer;
use crate::rig::receiver::{Manner, Receiver};
use crate::rig::server::{Plan, Server};
use crate::rig::world::World;

/// The part.
pub const PART: Part = Part {
    name: "health",
    says: "readiness while deliveries stall, runtimes die or hang, and while all is well",
    is_alone: false,
    figures: &[
        Figure::count("health.faults", "ways of standing still that were tried"),
        Figure::never("health.false_greens", "ways of standing still that readiness did not tell"),
        Figure::at_most("health.red_ms", "from standing still to telling so", "ms", 10_000.0),
        Figure::count("health.looks", "looks at readiness while all was well"),
        Figure::never("health.false_reds", "looks that found it red while all was well"),
        Figure::never("health.lost", "acknowledged events lost while all was well"),
    ],
    run,
};

/// What may stand still: the bug that makes it, and after how long it does so at the latest, once there is traffic.
const FAULTS: [(&str, Duration); 4] = [
    ("dispatcher-stalls", Duration::ZERO),
    ("dispatcher-starts-nothing", Duration::ZERO),
    // These live for two seconds.
    (ENDS_IT, Duration::from_secs(2)),
    ("runtime-thread-hangs", Duration::from_secs(2)),
];
/// With this one the process tells by ending; with the others it stays.
const ENDS_IT: &str = "runtime-thread-dies";
/// How long it may take to be told.
const RED_PATIENCE: Duration = Duration::from_secs(30);
/// How long there is traffic while all is well, and how long there is none.
const TRAFFIC: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(7);
/// How long a receiver takes whose webhook is deleted while much waits for it.
const LEAVING_TAKES: Duration = Duration::from_millis(1_200);
/// The longest that an answer is waited for; none counts as red.
const ANSWER_PATIENCE: Duration = Duration::from_secs(4);
/// How often readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Publishers of single events at one time.
const PUBLISHERS: usize = 2;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let faults = async {
            // With a bug that was asked for, the part sees whether all is well.
            let faults = if context.bug.is_some() { &[][..] } else { &FAULTS[..] };
            futures_util::future::try_join_all(faults.iter().map(|(bug, after)| red(&context, bug, *after)))
                .await
        };
        let (told, well) = tokio::join!(faults, while_all_is_well(&context));
        context.report("health.faults", told?.len() as f64)?;
        well
    })
}

/// Has the process stand still in one way and measures how long readiness does not say so.
async fn red(context: &Context, bug: &str, after: Duration) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if bug.starts_with("runtime") && cores < 2 {
        return context.skip(bug, "there is one processor, and no thread to lose");
    }
    let folder = tempfile::tempdir()?;
    let mut world = World::around(Plan::new(&context.programs.armed, folder.path()).bug(Some(bug))).await?;
    let mut server = Server::start(&world.plan).await?;
    let begun = Instant::now();
    let traffic = match world.settle(&server).await {
        Ok(()) => Some(world.desk.towards(&server)?.traffic(PUBLISHERS)),
        // It is half gone already.
        Err(_) if bug.starts_with("runtime") => None,
        Err(error) => return Err(error.context(bug.to_owned())),
    };
    let is_told = loop {
        let answer = tokio::time::timeout(Duration::from_secs(1), server.status("/readyz")).await;
        if matches!(answer, Ok(Some(503))) {
            break true;
        }
        if server.has_ended() {
            if bug != ENDS_IT {
                context.object(format!("{bug} is not told, the process ended:\n{}", server.log()));
            }
            break bug == ENDS_IT;
        }
        if begun.elapsed() > RED_PATIENCE {
            break false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let took = begun.elapsed().saturating_sub(after);
    println!("health: {bug} is told after {} ms", took.as_millis());
    context.report("health.red_ms", took.as_secs_f64() * 1000.0)?;
    context.report("health.false_greens", f64::from(u8::from(!is_told)))?;
    // What publishes may wait for an answer that does not come.
    server.discard().await?;
    if let Some(traffic) = traffic {
        traffic.stop().await;
    }
    Ok(())
}

/// Traffic, with a receiver that never answers and a webhook that is paused, then nothing at all: it is never red.
async fn while_all_is_well(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan::of(context, folder.path());
    let mut world = World::settled(plan).await?;
    let silent = Receiver::start("silent", Manner::Silent, &world.desk.diary).await?;
    let paused = Receiver::start("paused", Manner::Prompt, &world.desk.diary).await?;
    let leaving = Receiver::start("leaving", Manner::Slow(LEAVING_TAKES), &world.desk.diary).await?;
    let server = Server::start(&world.plan).await?;
    server.webhook(&world.desk.key, &silent.url).await?;
    let leaver = server.webhook(&world.desk.key, &leaving.url).await?;
    let webhook = server.webhook(&world.desk.key, &paused.url).await?;
    let customer = server.customer(&world.desk.key);
    let path = |webhook: &Value| format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap_or_default());
    let body = json!({"status": "paused"}).to_string();
    let answer = customer.call(Method::PATCH, &path(&webhook), body).await;
    ensure!(answer.as_ref().is_some_and(Answer::is_success), "a webhook is not paused: {answer:?}");
    let traffic = world.desk.towards(&server)?.traffic(PUBLISHERS);
    let (mut looks, mut reds) = look(&server, TRAFFIC).await;
    traffic.stop().await;
    let leaver = path(&leaver);
    let deleting = customer.call(Method::DELETE, &leaver, String::new());
    match tokio::time::timeout(ANSWER_PATIENCE, deleting).await {
        Ok(Some(answer)) if answer.is_success() => world.desk.diary.delete("/leaving"),
        // Readiness must tell why.
        other => context.object(format!("a webhook is not deleted: {other:?}")),
    }
    let (more_looks, more_reds) = look(&server, REST).await;
    looks += more_looks;
    reds += more_reds;
    context.report("health.looks", looks as f64)?;
    context.report("health.false_reds", reds as f64)?;
    if reds > 0 {
        context.object(format!("readiness was red {reds} times of {looks} while all was well"));
    }
    drop(silent);
    let (sum, wrong) = world.close(server).await?;
    context.report("health.lost", sum.lost as f64)?;
    let sent = world.desk.diary.at("paused").len();
    if sent > 0 {
        context.object(format!("{sent} events were sent to a webhook that is paused"));
    }
    wrong.into_iter().for_each(|wrong| context.object(wrong));
    Ok(())
}

/// Looks at readiness for so long; answers how often, and how often it was not ready.
async fn look(server: &Server, patience: Duration) -> (u64, u64) {
    let (begun, mut looks, mut reds) = (Instant::now(), 0, 0);
    while begun.elapsed() < patience {
        looks += 1;
        let answer = tokio::time::timeout(ANSWER_PATIENCE, server.status("/readyz")).await;
        reds += u64::from(answer != Ok(Some(200)));
        tokio::time::sleep(LOOK_EVERY).await;
    }
    (looks, reds)
}
