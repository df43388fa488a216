//! Few events to many webhooks.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::stage::{SETTLING, Setting, Stage};
use crate::child::report_of;
use crate::publisher;

/// What came of it.
#[derive(Debug, Serialize)]
pub struct FanOut {
    /// Webhooks.
    pub webhooks: u32,
    /// Events broadcast to them.
    pub broadcasts: u64,
    /// From the first publish request to the last arrival.
    pub deliveries_per_second: f64,
    /// The server's processor time, all threads.
    pub cpu_us_per_delivery: f64,
    /// The most memory the server used.
    pub peak_kib: u64,
    /// Owed and not arrived.
    pub lost: u64,
    /// Arrived more than once.
    pub duplicates: u64,
}

/// Accounts that share the webhooks.
pub const ACCOUNTS: u32 = 10;

/// Broadcasts so many events, one after another, to so many webhooks.
pub async fn measure(setting: &Setting, webhooks: u32, broadcasts: u64) -> anyhow::Result<FanOut> {
    let mut stage = Stage::set(setting, ACCOUNTS, webhooks).await?;
    let fan_out = on(&mut stage, webhooks, broadcasts).await?;
    stage.server.process.end().await?;
    Ok(fan_out)
}

/// The same on a stage that has the webhooks already.
pub async fn on(stage: &mut Stage, webhooks: u32, broadcasts: u64) -> anyhow::Result<FanOut> {
    let process = &stage.server.process;
    let cpu_before_us = process.cpu_us()?;
    let (server, count) = (stage.server.address.to_string(), broadcasts.to_string());
    let args = ["publish", "--server", &server, "--token", crate::posthaste::TOKEN, "--connections", "1"];
    let args = [&args[..], &["--requests", &count, "--seconds", "60"]].concat();
    let published: publisher::Report = report_of(&args, Duration::from_secs(120)).await?;
    let owed = published.acknowledged * u64::from(webhooks);
    let received = stage.sink.await_distinct(owed).await?;
    sleep(SETTLING).await;
    let took = (received.last_arrival_us - published.began_us) as f64 / 1e6;
    Ok(FanOut {
        webhooks,
        broadcasts: published.acknowledged,
        deliveries_per_second: received.distinct as f64 / took,
        cpu_us_per_delivery: (process.cpu_us()? - cpu_before_us) as f64 / received.distinct.max(1) as f64,
        peak_kib: process.memory_kib()?.1,
        lost: owed.saturating_sub(received.distinct),
        duplicates: received.duplicates,
    })
}
