//! What is told of deliveries while those that ended long ago are deleted.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::filling::{Fate, Filling, Past, filled};
use super::load::{self, Load};
use super::results::ms;
use super::stage::{SETTLING, Setting, Stage};
use super::verdict::{Verdict, least, most};
use crate::histogram::Summary;

/// Steady and full load, each without and beside retention's work.
#[derive(Debug, Serialize)]
pub struct Retention {
    /// Expired deliveries in the store at the beginning of each measurement.
    pub expired: u64,
    /// End to end at a steady rate.
    pub steady: Beside<Steady>,
    /// As many events as are accepted.
    pub full: Beside<Load>,
}

/// The same load twice.
#[derive(Debug, Serialize)]
pub struct Beside<T> {
    /// With nothing to delete.
    pub alone: T,
    /// With retention at work from the start of the process to the end of the load.
    pub beside: T,
    /// Expired deliveries that were deleted.
    pub removed: u64,
    /// In each second from the start of the process.
    pub removed_per_second: f64,
}

/// Events at a steady rate.
#[derive(Debug, Serialize)]
pub struct Steady {
    /// From the beginning of the publish request to arrival.
    pub end_to_end: Summary,
    /// Events that were accepted.
    pub acknowledged: u64,
    /// Acknowledged and not arrived.
    pub lost: u64,
}

const PER_SECOND: u64 = 2_000;
/// Longer than what the built-in default keeps.
const EXPIRED_SINCE: Duration = Duration::from_hours(40 * 24);

impl Retention {
    /// How many times as long 99 of 100 take beside retention: at the steady rate, and under full load.
    pub fn p99_ratios(&self) -> (f64, f64) {
        let ratio = |alone: &Summary, beside: &Summary| beside.p99_us as f64 / alone.p99_us.max(1) as f64;
        let (steady, full) = (&self.steady, &self.full);
        (
            ratio(&steady.alone.end_to_end, &steady.beside.end_to_end),
            ratio(&full.alone.received.age, &full.beside.received.age),
        )
    }

    /// Acknowledged and not arrived.
    pub fn lost(&self) -> u64 {
        let (steady, full) = (&self.steady, &self.full);
        steady.alone.lost + steady.beside.lost + full.alone.lost + full.beside.lost
    }

    /// Holds it against the budgets.
    pub fn judge(&self, verdicts: &mut Vec<Verdict>) {
        let (steady, full) = self.p99_ratios();
        verdicts.push(most(&format!("beside retention: p99 at {PER_SECOND}/s"), "×", steady, 2.0));
        verdicts.push(most("beside retention: p99 under full load", "×", full, 2.0));
        let kept_up = self.full.removed_per_second / self.full.beside.deliveries_per_second;
        verdicts.push(least("deleted against added under full load", "×", kept_up, 1.0));
    }

    /// Its rows for people.
    pub fn rows(&self) -> Vec<(String, String)> {
        let (steady, full) = self.p99_ratios();
        let times =
            |times: &Summary| format!("p50 {:.2} ms, p99 {:.2} ms", ms(times.p50_us), ms(times.p99_us));
        let load =
            |load: &Load| format!("{:.0}/s, {}", load.deliveries_per_second, times(&load.received.age));
        let removed = |ratio: f64, removed: u64, rate: f64| {
            format!("p99 {ratio:.2} ×, {removed} of {} deleted ({rate:.0}/s)", self.expired)
        };
        let Self { steady: at_rate, full: at_full, .. } = self;
        let row = |name: &str, text: String| (name.to_owned(), text);
        vec![
            row(&format!("{PER_SECOND}/s"), times(&at_rate.alone.end_to_end)),
            row("  beside retention", times(&at_rate.beside.end_to_end)),
            row("  against alone", removed(steady, at_rate.removed, at_rate.removed_per_second)),
            row("full load", load(&at_full.alone)),
            row("  beside retention", load(&at_full.beside)),
            row("  against alone", removed(full, at_full.removed, at_full.removed_per_second)),
        ]
    }
}

/// Measures both loads, each on an empty store and on one where so much has expired.
pub async fn measure(setting: &Setting, expired: u64, seconds: u64) -> anyhow::Result<Retention> {
    let mut stage = Stage::set(setting, 1, 1).await?;
    let alone = steady(&mut stage, seconds).await?;
    stage.server.process.end().await?;
    let mut work = Work::begin(setting, expired).await?;
    let beside = steady(&mut work.stage, seconds).await?;
    let (removed, removed_per_second) = work.end(expired + beside.acknowledged).await?;
    let steady = Beside { alone, beside, removed, removed_per_second };

    let alone = load::measure(setting, 1, seconds).await?;
    let mut work = Work::begin(setting, expired).await?;
    let beside = load::on(&mut work.stage, 1, seconds).await?;
    let (removed, removed_per_second) = work.end(expired + beside.published.acknowledged).await?;
    let full = Beside { alone, beside, removed, removed_per_second };
    Ok(Retention { expired, steady, full })
}

/// A server that has just begun to delete.
struct Work {
    stage: Stage,
    began: Instant,
}

impl Work {
    async fn begin(setting: &Setting, expired: u64) -> anyhow::Result<Self> {
        let past = Past::ago(EXPIRED_SINCE, Duration::from_hours(24));
        let stage = filled(setting, expired, past, Fate::Delivered).await?;
        let began = Instant::now() - stage.server.ready_after;
        Ok(Self { stage, began })
    }

    /// How many deliveries were deleted if so many were ever made, and how many in each second.
    async fn end(self, made: u64) -> anyhow::Result<(u64, f64)> {
        sleep(SETTLING).await;
        let took = self.began.elapsed();
        self.stage.server.process.end().await?;
        let store = Filling::open(self.stage.folder.path())?;
        let removed = made.saturating_sub(store.kept().await?);
        store.close().await;
        Ok((removed, removed as f64 / took.as_secs_f64()))
    }
}

async fn steady(stage: &mut Stage, seconds: u64) -> anyhow::Result<Steady> {
    let (published, received) = load::evenly(stage, PER_SECOND, seconds).await?;
    Ok(Steady {
        lost: published.acknowledged.saturating_sub(received.distinct),
        end_to_end: received.age,
        acknowledged: published.acknowledged,
    })
}
