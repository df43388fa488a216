//! `kill -9` under load, again and again on one store: nothing acknowledged is missing at the end, and nothing arrives
//! more often than what was under way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;

use super::{Part, Running};
use crate::context::Context;
use crate::figures::Figure;
use crate::rig::ledger::Ledger;
use crate::rig::publishers::{Numbers, Publishers};
use crate::rig::receiver::{Receiver, becomes};
use crate::rig::server::{PATIENCE, Plan, Server};

/// The part.
pub const PART: Part = Part {
    name: "kill",
    says: "kill -9 at random moments under publishing and delivery",
    is_alone: false,
    figures: &[
        Figure::count("kill.cycles", "processes killed under load"),
        Figure::count("kill.acknowledged", "events acknowledged by processes that were killed"),
        Figure::never("kill.lost", "acknowledged events lost by killing"),
    ],
    run,
};

/// How often the process is killed in a run with every change.
const CYCLES: u64 = 60;
/// The longest a process lives, in milliseconds after it is ready.
const LIFE_MAX_MS: u64 = 150;
/// Publishers at one time.
const PUBLISHERS: usize = 4;

fn run(context: Context) -> Running {
    Box::pin(async move {
        let folder = tempfile::tempdir()?;
        let plan = Plan::new(context.program(), folder.path()).bug(context.bug.as_deref());
        let ledger = Arc::new(Ledger::default());
        let receiver = Receiver::start("all", ledger.clone()).await?;
        settle(&plan, &receiver).await?;
        let (numbers, cycles) = (Numbers::default(), context.times(CYCLES));
        let mut dice = context.dice();
        for _ in 0..cycles {
            let mut server = Server::start(&plan).await?;
            let publishers = Publishers::start(PUBLISHERS, &server.product("acme")?, &numbers, &ledger);
            tokio::time::sleep(Duration::from_millis(dice.below(LIFE_MAX_MS))).await;
            server.kill().await?;
            publishers.stop().await;
        }
        context.report("kill.cycles", cycles as f64)?;
        context.report("kill.acknowledged", ledger.acknowledged() as f64)?;
        ensure!(ledger.acknowledged() > 0, "nothing was acknowledged: this proves nothing");
        let _server = Server::start(&plan).await?;
        becomes(PATIENCE, || ledger.missing("all").is_empty()).await;
        let missing = ledger.missing("all");
        context.report("kill.lost", missing.len() as f64)?;
        if !missing.is_empty() {
            context.object(format!("acknowledged and never delivered: {missing:?}"));
        }
        Ok(())
    })
}

/// An account with one webhook.
async fn settle(plan: &Plan, receiver: &Receiver) -> anyhow::Result<()> {
    let mut server = Server::start(plan).await?;
    let key = server.account("acme").await?;
    server.webhook(&key, &receiver.url).await?;
    server.terminate()?;
    server.wait().await?;
    Ok(())
}
