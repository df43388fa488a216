//! From the beginning of a publish request to arrival, when there is little to do.

use serde::Serialize;

use super::bare;
use super::load;
use super::stage::{Setting, Stage};
use crate::histogram::{Histogram, Summary};
use crate::sync_cost;

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// From the beginning of the publish request to arrival.
    pub end_to_end: Summary,
    /// From the beginning of the publish request to its answer.
    pub acknowledged: Summary,
    /// Appending 4 KiB and making them durable, in the folder of the store, half before and half after.
    pub sync: Summary,
    /// The bare sender at the same rate.
    pub bare: Summary,
    /// Acknowledged and not arrived.
    pub lost: u64,
}

const PER_SECOND: u64 = 100;
const SYNCS: u32 = 100;
const BARE_SECONDS: u64 = 5;

/// Publishes evenly for so long.
pub async fn measure(setting: &Setting, seconds: u64) -> anyhow::Result<Latency> {
    let mut stage = Stage::set(setting, 1, 1).await?;
    let mut sync = Histogram::new();
    sync_cost::measure(stage.folder.path(), SYNCS, &mut sync)?;
    let (published, received) = load::evenly(&mut stage, PER_SECOND, seconds).await?;
    sync_cost::measure(stage.folder.path(), SYNCS, &mut sync)?;
    stage.server.process.end().await?;
    Ok(Latency {
        end_to_end: received.age,
        acknowledged: published.answer,
        sync: sync.summary(),
        bare: bare(Some(PER_SECOND), BARE_SECONDS).await?.1.age,
        lost: published.acknowledged.saturating_sub(received.distinct),
    })
}
