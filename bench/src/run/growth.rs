//! What a long past costs: the same load on an empty store and on one with millions of attempts.

use std::time::Duration;

use serde::Serialize;

use super::filling::{Fate, Past, filled};
use super::load::{self, Load};
use super::results::{median, mib};
use super::stage::{Setting, Stage};
use super::verdict::{Verdict, most};
use crate::posthaste::Posthaste;

/// The same load, on an empty and on a grown store by turns.
#[derive(Debug, Serialize)]
pub struct Growth {
    /// Attempts stored before.
    pub attempts: u64,
    /// The length of the store's file then.
    pub store_bytes: u64,
    /// On an empty store.
    pub empty: Vec<Load>,
    /// On the grown one.
    pub grown: Vec<Load>,
}

/// How often each of them is measured.
const TURNS: usize = 2;

impl Growth {
    /// Processor time of a delivery on the grown store against the empty one's.
    pub fn ratio(&self) -> f64 {
        let cpu_us = |loads: &[Load]| median(loads.iter().map(|load| load.cpu_us_per_delivery));
        cpu_us(&self.grown) / cpu_us(&self.empty)
    }

    /// Acknowledged and not arrived.
    pub fn lost(&self) -> u64 {
        self.empty.iter().chain(&self.grown).map(|load| load.lost).sum()
    }

    /// Holds it against the budget.
    pub fn judge(&self, verdicts: &mut Vec<Verdict>) {
        let what = format!("processor time at {} attempts", self.attempts);
        verdicts.push(most(&what, "×", self.ratio(), 1.2));
    }

    /// Its rows for people.
    pub fn rows(&self) -> Vec<(String, String)> {
        let size = mib(self.store_bytes / 1024);
        let name = (format!("{} attempts", self.attempts), format!("store of {size:.0} MiB"));
        let row = |(name, loads): (&str, &[Load])| {
            let one = |load: &Load| {
                format!(
                    "{:.0}/s, {:.1} µs, peak {:.0} MiB",
                    load.deliveries_per_second,
                    load.cpu_us_per_delivery,
                    mib(load.peak_kib)
                )
            };
            (format!("  {name}"), loads.iter().map(one).collect::<Vec<_>>().join("; "))
        };
        let loads = [("empty", &self.empty[..]), ("grown", &self.grown[..])];
        let ratio = ("  against empty".to_owned(), format!("{:.2} ×", self.ratio()));
        [name].into_iter().chain(loads.into_iter().map(row)).chain([ratio]).collect()
    }
}

/// Fills a store for one webhook, and puts the load on it and on empty ones by turns.
pub async fn measure(setting: &Setting, attempts: u64, seconds: u64) -> anyhow::Result<Growth> {
    let day = Duration::from_hours(24);
    let mut stage = filled(setting, attempts, Past::ago(2 * day, day), Fate::Delivered).await?;
    let store_bytes = std::fs::metadata(stage.folder.path().join("data/posthaste.db"))?.len();
    let mut growth = Growth { attempts, store_bytes, empty: Vec::new(), grown: Vec::new() };
    for turn in 0..TURNS {
        growth.empty.push(load::measure(setting, 1, seconds).await?);
        if turn > 0 {
            stage = started_again(setting, stage).await?;
        }
        growth.grown.push(load::on(&mut stage, 1, seconds).await?);
    }
    stage.server.process.end().await?;
    Ok(growth)
}

/// A new process, and a sink at the same address that has received nothing.
async fn started_again(setting: &Setting, stage: Stage) -> anyhow::Result<Stage> {
    let Stage { server, sink, folder } = stage;
    server.process.end().await?;
    let sink = sink.again().await?;
    let server = Posthaste::start(&setting.binary, folder.path()).await?;
    Ok(Stage { server, sink, folder })
}
