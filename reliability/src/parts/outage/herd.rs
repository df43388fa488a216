//! A node that was down for an hour: what became due meanwhile is spread, and fresh events go beside it.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::door::{Door, Knock, Manner, Webhook};
use super::past::leave_behind;
use super::stage::{FRESH, delays_ms, p99, peak_per_second, publish, register, too_many_at_once};
use crate::context::Context;
use crate::rig::server::{Plan, Server};
use crate::rig::wait::becomes;

/// Accounts, and webhooks of each.
const ACCOUNTS: Webhook = 10;
const WEBHOOKS: Webhook = 100;
/// Overdue events of each account in a run with every change, each for all of its webhooks.
const EVENTS: u64 = 100;
/// Fresh events for a webhook without a backlog, and for those of an account with one.
const FRESH_EVENTS: u64 = 50;
const EVERY: Duration = Duration::from_millis(20);
/// What all backlogs together may have under way at first; each that ends makes room for one more.
const AT_FIRST: usize = 32;
const PATIENCE: Duration = Duration::from_secs(120);
const MANNER: Manner = Manner { takes: Duration::from_millis(20), per_second: None };

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan::of(context, folder.path());
    let (overdue, well) = (Door::start(MANNER, true).await?, Door::start(MANNER, true).await?);
    let mut server = Server::start(&plan).await?;
    for account in 0..ACCOUNTS {
        let numbers = account * WEBHOOKS..(account + 1) * WEBHOOKS;
        register(&server, &format!("late{account}"), &overdue, numbers).await?;
    }
    register(&server, "well", &well, 0..1).await?;
    server.end().await?;
    let owed = leave_behind(&plan.data(), context.times(EVENTS), "well").await?;
    context.report("outage.overdue", owed as f64)?;

    let began = Instant::now();
    let server = Server::start(&plan).await?;
    context.report("outage.overdue_ready", server.ready_after.as_secs_f64() * 1e3)?;
    let to_well = publish(&server, "well", FRESH..FRESH + FRESH_EVENTS, EVERY).await?;
    let to_late = publish(&server, "late0", 2 * FRESH..2 * FRESH + 1, EVERY).await?;
    let expected = owed + u64::from(WEBHOOKS);
    becomes(PATIENCE, || overdue.count() as u64 >= expected).await;
    context.report("outage.overdue_drained", began.elapsed().as_secs_f64() * 1e3)?;
    let knocks = overdue.knocks();
    let fresh_ms = p99(&delays_ms(&to_well, &well.knocks(), 1));
    let fresh_ms = fresh_ms.max(p99(&delays_ms(&to_late, &knocks, WEBHOOKS as usize)));
    context.report("outage.overdue_fresh", fresh_ms)?;
    judge(context, &knocks, expected)
}

fn judge(context: &Context, knocks: &[Knock], expected: u64) -> anyhow::Result<()> {
    let distinct: HashSet<(Webhook, u64)> =
        knocks.iter().map(|knock| (knock.webhook, knock.number)).collect();
    context.report("outage.lost", expected.saturating_sub(distinct.len() as u64) as f64)?;
    // Fresh events have slots of their own; up to as many as were published may be among those under way.
    let fresh = WEBHOOKS as usize;
    let most = knocks.iter().map(|knock| knock.in_all).max().unwrap_or_default();
    context.report("outage.overdue_at_once", most.saturating_sub(fresh) as f64)?;
    context.report("outage.overdue_peak", peak_per_second(knocks) as f64)?;
    let is_too_soon = |knock: &&Knock| knock.in_all > AT_FIRST + fresh + knock.answered_before;
    let too_many = too_many_at_once(knocks) + knocks.iter().filter(is_too_soon).count();
    context.report("outage.too_many", too_many as f64)
}
