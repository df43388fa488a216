//! A receiver that comes back with a capacity of 50 requests in a second: under a contract that says so, and under one
//! that does not.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::ensure;

use super::door::{ASKED_FOR, Door, Knock, Manner};
use super::past::leave_behind;
use super::stage::{FRESH, peak_per_second, publish, register, too_many_at_once, under};
use crate::context::Context;
use crate::rig::contract::Contract;
use crate::rig::server::{PATIENCE, Server};
use crate::rig::wait::becomes;

/// What the receiver can take in a second.
const PER_SECOND: u32 = 50;
/// Deliveries that wait for it.
const BACKLOG: u64 = 200;
/// The same beside fresh ones: whenever these come, more of them wait than are sent until the last fresh one.
const BACKLOG_BESIDE_FRESH: u64 = 400;
/// Fresh events, published as fast as they are taken: more than half of what waits in memory for a webhook that does well, so that
/// some have no room there, whenever they come.
const FRESH_EVENTS: u64 = 160;
/// By so many at one time.
const PUBLISHERS: u64 = 8;
const TAKES: Duration = Duration::from_millis(5);
const SUCCESS: &str = r#"success      = ["2xx"]"#;
const DELAYS: [&str; 60] = ["1s"; 60];

/// The contract bounds the rate: it is kept, and fresh events have half of it.
pub async fn paced(context: &Context) -> anyhow::Result<()> {
    let door = Door::start(Manner { takes: TAKES, per_second: None }, true).await?;
    let rate = format!("{SUCCESS}\nrate         = {{ limit = {PER_SECOND}, window = \"1s\" }}");
    let contract = Contract::standard().with(SUCCESS, &rate)?;
    let (_folder, server) = with_backlog(context, &door, &contract, BACKLOG_BESIDE_FRESH).await?;
    // Side by side: they must wait for their turns, and not for the commits of those before them.
    let each = FRESH_EVENTS / PUBLISHERS;
    let shares = (0..PUBLISHERS).map(|one| FRESH + one * each..FRESH + (one + 1) * each);
    let publishing = shares.map(|numbers| publish(&server, "acme", numbers, Duration::ZERO));
    futures_util::future::try_join_all(publishing).await?;
    let expected = (BACKLOG_BESIDE_FRESH + FRESH_EVENTS) as usize;
    becomes(PATIENCE, || door.count() >= expected).await;
    let knocks = door.knocks();
    report_lost(context, &knocks, expected)?;
    context.report("outage.rate_peak", peak_per_second(&knocks) as f64)?;
    let share = fresh_share(&knocks);
    context.report("outage.fresh_share", share)?;
    context.report("outage.backlog_share", 1.0 - share)?;
    context.report("outage.too_many", too_many_at_once(&knocks) as f64)
}

/// The receiver refuses what is too much: it gets everything, and what it refused not before it said.
pub async fn refusing(context: &Context) -> anyhow::Result<()> {
    let manner = Manner { takes: TAKES, per_second: Some(PER_SECOND as usize) };
    let door = Door::start(manner, true).await?;
    let contract = Contract::standard().delays(&DELAYS)?;
    let (_folder, _server) = with_backlog(context, &door, &contract, BACKLOG).await?;
    let taken = || door.knocks().iter().filter(|knock| knock.is_taken).count();
    becomes(PATIENCE, || taken() >= BACKLOG as usize).await;
    let knocks = door.knocks();
    report_lost(context, &knocks, BACKLOG as usize)?;
    let refused = knocks.iter().filter(|knock| !knock.is_taken).count();
    ensure!(refused > 0, "nothing was refused: this proves nothing");
    context.report("outage.refused", refused as f64)?;
    context.report("outage.early", early(&knocks) as f64)
}

/// A server under a contract, and a webhook with a backlog.
async fn with_backlog(
    context: &Context,
    door: &Door,
    contract: &Contract,
    backlog: u64,
) -> anyhow::Result<(tempfile::TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let plan = under(context, folder.path(), contract)?;
    let mut server = Server::start(&plan).await?;
    register(&server, "acme", door, 0..1).await?;
    server.end().await?;
    leave_behind(&plan.data(), backlog, "nobody").await?;
    let server = Server::start(&plan).await?;
    Ok((folder, server))
}

fn report_lost(context: &Context, knocks: &[Knock], expected: usize) -> anyhow::Result<()> {
    let taken: HashSet<u64> =
        knocks.iter().filter(|knock| knock.is_taken).map(|knock| knock.number).collect();
    context.report("outage.lost", expected.saturating_sub(taken.len()) as f64)
}

/// Of what arrived from the first fresh event to the last, how much was fresh; the few that stood before them aside.
fn fresh_share(knocks: &[Knock]) -> f64 {
    let is_fresh = |knock: &Knock| knock.number >= FRESH;
    let fresh = knocks.iter().filter(|knock| is_fresh(knock)).count();
    let first = knocks.iter().position(is_fresh).unwrap_or_default();
    let last = knocks.iter().rposition(is_fresh).unwrap_or_default();
    fresh as f64 / (last - first + 1) as f64
}

/// How many came again before the receiver's wait was over.
fn early(knocks: &[Knock]) -> usize {
    let mut refused_at = HashMap::new();
    let mut early = 0;
    for knock in knocks {
        let before = refused_at.remove(&knock.number);
        early += usize::from(before.is_some_and(|at| knock.at.duration_since(at) < ASKED_FOR));
        if !knock.is_taken {
            refused_at.insert(knock.number, knock.at);
        }
    }
    early
}
