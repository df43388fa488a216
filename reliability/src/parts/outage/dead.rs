//! A million deliveries that wait for a dead receiver, a healthy one beside it, and the return.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::time::Instant;

use super::door::{Door, Manner, Webhook};
use super::past::leave_behind;
use super::stage::{FRESH, delays_ms, p99, publish, register, too_many_at_once, under};
use crate::context::Context;
use crate::rig::contract::Contract;
use crate::rig::server::{PATIENCE, Plan, Server};
use crate::rig::wait::becomes;

/// Webhooks at the dead receiver.
const WEBHOOKS: Webhook = 100;
/// Events that each of them is owed in a run with every change.
const EVENTS: u64 = 10_000;
/// Fresh events of a measurement.
const MEASURED: u64 = 150;
/// The dead receiver is watched for so long, beside the healthy one, before it returns.
const WATCHED_FOR: Duration = Duration::from_secs(6);
/// It accepts and does not answer. Attempts fail soon, so that webhooks fail again and again while it is watched.
const TIMEOUT: (&str, &str) = (r#"timeout      = "15s""#, r#"timeout      = "1s""#);
/// How often something fresh is published.
const EVERY: Duration = Duration::from_millis(10);
/// Fresh events for the receiver before it returns, each for all of its webhooks: more than wait in memory for one that
/// fails.
const BEFORE_RETURN: u64 = 40;
/// For so long they wait, until retries are due that failed before them.
const RETURNS_AFTER: Duration = Duration::from_secs(6);
/// The same for the receiver that has returned.
const TO_RETURNED: u64 = 10;
const INSTANTLY: Manner = Manner { takes: Duration::ZERO, per_second: None };
/// A usual receiver.
const SOON: Manner = Manner { takes: Duration::from_millis(20), per_second: None };

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = under(context, folder.path(), &Contract::standard().with(TIMEOUT.0, TIMEOUT.1)?)?;
    let (dead, well) = (Door::start(SOON, false).await?, Door::start(INSTANTLY, true).await?);
    let mut server = Server::start(&plan).await?;
    register(&server, "dead", &dead, 0..WEBHOOKS).await?;
    register(&server, "well", &well, 0..1).await?;
    let alone_ms = healthy_ms(context, &server, &well, FRESH).await?;
    server.end().await?;
    let owed = leave_behind(&plan.data(), context.times(EVENTS), "well").await?;
    let waiting = Waiting::of(&plan)?;
    context.report("outage.dead", owed as f64)?;

    let mut server = Server::start(&plan).await?;
    context.report("outage.dead_ready", server.ready_after.as_secs_f64() * 1e3)?;
    // The first attempt to a webhook finds out how it is; what is measured is the rest.
    healthy_ms(context, &server, &well, 2 * FRESH).await?;
    let beside_ms = healthy_ms(context, &server, &well, 3 * FRESH).await?;
    context.report("outage.beside_dead", beside_ms - alone_ms)?;
    tokio::time::sleep(WATCHED_FOR).await;
    context.report("outage.dead_failed", dead.given_up() as f64 / f64::from(WEBHOOKS))?;
    comes_back(context, &server, &dead).await?;
    context.report("outage.dead_memory", server.memory_mib("VmHWM")?)?;
    server.end().await?;
    context.report("outage.forgotten", owed.saturating_sub(waiting.pending_or_delivered(&plan)?) as f64)
}

/// The deliveries that wait for the dead receiver, by the last event among them.
struct Waiting(i64);

impl Waiting {
    fn of(plan: &Plan) -> anyhow::Result<Self> {
        Ok(Self(store(plan)?.query_row("SELECT max(event) FROM deliveries", [], |row| row.get(0))?))
    }

    /// How many of them are delivered or still to be. The process has ended.
    fn pending_or_delivered(&self, plan: &Plan) -> anyhow::Result<u64> {
        const SQL: &str = "SELECT count(*) FROM deliveries d JOIN webhooks w ON w.no = d.webhook
            JOIN accounts a ON a.no = w.account AND a.id = 'dead' JOIN events e ON e.seq = d.event
            WHERE d.event <= ?1 AND d.state IN (0, 1)";
        Ok(store(plan)?.query_row(SQL, [self.0], |row| row.get::<_, i64>(0))?.unsigned_abs())
    }
}

fn store(plan: &Plan) -> anyhow::Result<Connection> {
    let file = plan.data().join("posthaste.db");
    Ok(Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// The p99 of a healthy webhook's first attempts.
async fn healthy_ms(context: &Context, server: &Server, well: &Door, first: u64) -> anyhow::Result<f64> {
    let begun = publish(server, "well", first..first + MEASURED, EVERY).await?;
    becomes(PATIENCE, || delays_ms(&begun, &well.knocks(), 0).len() == begun.len()).await;
    let delays = delays_ms(&begun, &well.knocks(), 1);
    context.report("outage.oldest_overdue", delays.last().copied().unwrap_or_default())?;
    Ok(p99(&delays))
}

/// The dead receiver answers again: slowly at first, and fresh events do not wait for the million.
async fn comes_back(context: &Context, server: &Server, dead: &Door) -> anyhow::Result<()> {
    let fresh = 4 * FRESH..4 * FRESH + BEFORE_RETURN;
    let mut begun = publish(server, "dead", fresh.clone(), EVERY).await?;
    tokio::time::sleep(RETURNS_AFTER).await;
    let before = dead.count();
    dead.open();
    begun.values_mut().for_each(|at| *at = Instant::now());
    begun.extend(publish(server, "dead", fresh.end..fresh.end + TO_RETURNED, 10 * EVERY).await?);
    let expected = begun.len() * WEBHOOKS as usize;
    // Late is one thing, lost another. What had its first attempt at the closed door is a retry, and not asked for here.
    becomes(PATIENCE, || delays_ms(&begun, &dead.knocks(), 0).len() == expected).await;
    let knocks = dead.knocks();
    context.report("outage.fresh_returned", p99(&delays_ms(&begun, &knocks, WEBHOOKS as usize)))?;
    let came = delays_ms(&begun, &knocks, 0).len();
    context.report("outage.lost", expected.saturating_sub(came) as f64)?;
    // A webhook that never had a success is sent one at a time. Who hangs up may be back before that is noticed here.
    let too_many = knocks.iter().take(before).filter(|knock| knock.at_one_time > 2).count();
    context.report("outage.too_many", (too_many + too_many_at_once(&knocks[before..])) as f64)
}
