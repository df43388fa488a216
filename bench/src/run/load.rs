//! As many events as are accepted, to one webhook.

use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::stage::{ACCOUNT, SETTLING, Setting, Stage};
use crate::child::report_of;
use crate::publisher;
use crate::sink::Counts;

/// What came of publishing as fast as possible.
#[derive(Debug, Serialize)]
pub struct Load {
    /// The publisher's side.
    pub published: publisher::Report,
    /// The sink's side.
    pub received: Counts,
    /// From the first publish request to the last arrival.
    pub deliveries_per_second: f64,
    /// The server's processor time, all threads.
    pub cpu_us_per_delivery: f64,
    /// The most memory the server used.
    pub peak_kib: u64,
    /// Acknowledged and not arrived.
    pub lost: u64,
    /// How long deliveries went on after the last event was accepted.
    pub seconds_behind: f64,
}

/// The longest a publisher may take to end after its time.
pub const PUBLISHER_PATIENCE: Duration = Duration::from_secs(90);

/// Publishes evenly for so long, and waits for everything to arrive.
pub async fn evenly(
    stage: &mut Stage,
    per_second: u64,
    seconds: u64,
) -> anyhow::Result<(publisher::Report, Counts)> {
    let (server, rate, time) =
        (stage.server.address.to_string(), per_second.to_string(), seconds.to_string());
    let args = ["publish", "--server", &server, "--token", crate::posthaste::TOKEN, "--account", ACCOUNT];
    let args = [&args[..], &["--per-second", &rate, "--seconds", &time]].concat();
    let patience = Duration::from_secs(seconds) + PUBLISHER_PATIENCE;
    let published: publisher::Report = report_of(&args, patience).await?;
    let received = stage.sink.await_distinct(published.acknowledged).await?;
    Ok((published, received))
}

/// Publishes for so long, with so many events in each request, and waits for everything to arrive.
pub async fn measure(setting: &Setting, batch: u32, seconds: u64) -> anyhow::Result<Load> {
    let mut stage = Stage::set(setting, 1, 1).await?;
    let load = on(&mut stage, batch, seconds).await?;
    stage.server.process.end().await?;
    Ok(load)
}

/// The same on a stage that is set already, whose sink has received nothing yet.
pub async fn on(stage: &mut Stage, batch: u32, seconds: u64) -> anyhow::Result<Load> {
    let process = &stage.server.process;
    let cpu_before_us = process.cpu_us()?;
    let (server, batch, time) = (stage.server.address.to_string(), batch.to_string(), seconds.to_string());
    let args = ["publish", "--server", &server, "--token", crate::posthaste::TOKEN, "--account", ACCOUNT];
    let args = [&args[..], &["--batch", &batch, "--seconds", &time]].concat();
    let patience = Duration::from_secs(seconds) + PUBLISHER_PATIENCE;
    let published: publisher::Report = report_of(&args, patience).await?;
    let received = stage.sink.await_distinct(published.acknowledged).await?;
    sleep(SETTLING).await;
    let cpu_us = process.cpu_us()? - cpu_before_us;
    let took = (received.last_arrival_us - published.began_us) as f64 / 1e6;
    Ok(Load {
        deliveries_per_second: received.distinct as f64 / took,
        cpu_us_per_delivery: cpu_us as f64 / received.distinct.max(1) as f64,
        peak_kib: process.memory_kib()?.1,
        lost: published.acknowledged.saturating_sub(received.distinct),
        seconds_behind: (took - published.seconds).max(0.0),
        published,
        received,
    })
}
