//! Retries when nothing is overloaded and nothing goes wrong: not early, hardly late, and as long as a receiver asks.

mod receivers;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use posthaste_core::UnixMs;
use tokio::time::{Instant, sleep};

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::contract::{Contract, DELAYS_MS};
use crate::rig::ledger::Ledger;
use crate::rig::server::{Plan, Server};
use crate::rig::wait::becomes;
use receivers::{ASKED, Receivers};

/// The part.
pub const PART: Part = Part {
    name: "schedule",
    says: "retries at rest: when they come, and how long they wait when a receiver asks for it",
    is_alone: true,
    figures: &[
        Figure::count("schedule.retries", "retries awaited at rest"),
        Figure::never(
            "schedule.early",
            "of them earlier than the contract's delay or the receiver's `Retry-After`",
        ),
        Figure::at_most(
            "schedule.late",
            "lateness beyond a tenth of the delay, 99 of 100 retries",
            "ms",
            1_000.0,
        ),
        Figure::greatest("schedule.late_most", "the latest retry, beyond a tenth of its delay", "ms"),
        Figure::never("schedule.extra", "attempts beyond those that were due"),
        Figure::at_most("schedule.asked", "wait granted to a receiver that asks for two hours", "s", 3_600.0),
        Figure::never("schedule.ungranted", "the same where less than an hour was granted"),
    ],
    run,
};

/// Events published in a run with every change. Each is retried four times.
const EVENTS: u64 = 100;
/// The time from one to the next: nothing is overloaded.
const EVERY: Duration = Duration::from_millis(40);
/// The longest wait for the last retry.
const PATIENCE: Duration = Duration::from_secs(20);
/// Attempts that nothing asked for would come by then, too.
const EXTRA_AWAITED: Duration = Duration::from_secs(1);
/// The receivers, and how often each gets an event.
const ATTEMPTS: [(&str, usize); 4] = [("flaky", 4), ("later", 2), ("sooner", 2), ("far", 1)];
/// Times are whole milliseconds on the way from the end of an attempt to the next.
const ROUNDED: Duration = Duration::from_millis(2);
const HOUR_S: f64 = 3_600.0;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let plan = Plan::of(&context, folder.path()).contract(&Contract::short()?)?;
        let server = Server::start(&plan).await?;
        let key = server.account("acme").await?;
        let receivers = Receivers::start().await?;
        for (path, _) in ATTEMPTS {
            server.webhook(&key, &receivers.url(path)).await?;
        }
        let (ledger, count) = (Ledger::default(), context.times(EVENTS));
        let product = server.product("acme")?;
        for number in 0..count {
            ensure!(product.publish(number, &ledger).await.is_accepted(), "it takes events");
            sleep(EVERY).await;
        }
        let is_done = || ATTEMPTS.iter().all(|(path, times)| receivers.visits(path, *times) == count);
        ensure!(becomes(PATIENCE, is_done).await, "not everything is delivered:\n{}", server.log());
        sleep(EXTRA_AWAITED).await;
        judge(&context, &receivers)?;
        let first = ledger.acknowledged_ids().remove(&0).context("an event")?;
        judge_far(&context, &server, &first).await
    })
}

fn judge(context: &Context, receivers: &Receivers) -> anyhow::Result<()> {
    let mut late_ms = Vec::new();
    let mut extra = 0;
    for ((path, number), visits) in receivers.all() {
        let due = ATTEMPTS.iter().find(|(known, _)| *known == path).map_or(0, |(_, times)| *times);
        if visits.len() > due {
            extra += visits.len() - due;
            context.object(format!("{path} was sent number {number} {} times, {due} were due", visits.len()));
        }
        for (pair, delay_ms) in visits.windows(2).zip(DELAYS_MS) {
            let asked = if path == "later" { ASKED } else { Duration::ZERO };
            let delay = asked.max(Duration::from_millis(delay_ms));
            let is_early = judge_one(pair[0], pair[1], delay, &mut late_ms);
            context.report("schedule.early", f64::from(u8::from(is_early)))?;
            if is_early {
                context.object(format!("{path} was tried again with number {number} before it was due"));
            }
        }
    }
    context.report("schedule.extra", extra as f64)?;
    late_ms.sort_by(f64::total_cmp);
    context.report("schedule.retries", late_ms.len() as f64)?;
    context.report("schedule.late", *late_ms.get(late_ms.len() * 99 / 100).context("no retries")?)?;
    context.report("schedule.late_most", *late_ms.last().context("no retries")?)
}

/// Was the second attempt early? Also notes how late it was.
fn judge_one(before: Instant, after: Instant, delay: Duration, late_ms: &mut Vec<f64>) -> bool {
    let due = before + delay;
    late_ms.push(after.saturating_duration_since(due + delay / 10).as_secs_f64() * 1_000.0);
    after + ROUNDED < due
}

/// Whoever asks for two hours is granted one.
async fn judge_far(context: &Context, server: &Server, event: &str) -> anyhow::Result<()> {
    let event = server.admin.get(&format!("/events/{event}")).await?;
    let webhooks = event["webhooks"].as_array().context("no webhooks")?;
    let next = webhooks.iter().find_map(|webhook| webhook["next_attempt_at"].as_str());
    let at = |text: Option<&str>| text.and_then(UnixMs::parse_rfc3339);
    let (next, created) = (at(next).context("nothing waits")?, at(event["created_at"].as_str()));
    let granted_s = next.since(created.context("no time")?).as_secs_f64();
    // Between acceptance and the end of the attempt lies a moment.
    context
        .report("schedule.asked", if granted_s < HOUR_S + 1.0 { granted_s.min(HOUR_S) } else { granted_s })?;
    context.report("schedule.ungranted", f64::from(u8::from(granted_s < HOUR_S)))
}
