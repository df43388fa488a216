//! The first page of a long log.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::filling::{Fate, Past, filled};
use super::stage::{ACCOUNT, Setting};
use super::verdict::{Verdict, most};
use crate::client::Client;
use crate::histogram::{Histogram, Summary};
use crate::posthaste::Posthaste;

/// How long the newest deliveries of a webhook take to be shown, over one connection, until they are read as JSON.
#[derive(Debug, Serialize)]
pub struct LogPage {
    /// What the deliveries are.
    pub kind: &'static str,
    /// How many there are.
    pub deliveries: u64,
    /// Over the customers' route.
    pub customers: Asked,
    /// Over the operators' route.
    pub operators: Asked,
}

/// The same request again and again.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// The first request of the process, right after its start.
    pub first_us: u64,
    /// Those after it.
    pub then: Summary,
    /// Deliveries on the page.
    pub shown: usize,
}

/// Fewer than a key may ask in a minute under the standard contract.
const REQUESTS: u32 = 400;

impl LogPage {
    /// Holds it against the budgets.
    pub fn judge(&self, verdicts: &mut Vec<Verdict>) {
        for (route, asked) in [("customers", &self.customers), ("operators", &self.operators)] {
            let what = format!("first page of {} {}, {route}, p99", self.deliveries, self.kind);
            verdicts.push(most(&what, "ms", asked.then.p99_us as f64 / 1e3, 5.0));
        }
    }

    /// Its rows for people.
    pub fn rows(&self) -> Vec<(String, String)> {
        let row = |(route, asked): (&str, &Asked)| {
            let (p50, p99) = (asked.then.p50_us as f64 / 1e3, asked.then.p99_us as f64 / 1e3);
            let first = asked.first_us as f64 / 1e3;
            let text =
                format!("p50 {p50:.2} ms, p99 {p99:.2} ms, first {first:.2} ms, {} shown", asked.shown);
            (format!("  page for {route}"), text)
        };
        let name = (format!("log of {}", self.deliveries), self.kind.to_owned());
        let routes = [("customers", &self.customers), ("operators", &self.operators)];
        [name].into_iter().chain(routes.into_iter().map(row)).collect()
    }
}

/// Asks for the log of a webhook whose deliveries were made, and of one whose deliveries are still to be made.
pub async fn measure(setting: &Setting, deliveries: u64) -> anyhow::Result<Vec<LogPage>> {
    let (hour, day) = (Duration::from_hours(1), Duration::from_hours(24));
    let mut pages = Vec::new();
    for (kind, past, fate) in [
        ("delivered", Past::ago(2 * day, day), Fate::Delivered),
        ("to be tried again", Past::ago(hour, hour), Fate::Refused(2 * hour)),
    ] {
        let stage = filled(setting, deliveries, past, fate).await?;
        pages.push(of(&stage.server, kind, deliveries).await?);
        stage.server.process.end().await?;
    }
    Ok(pages)
}

/// Asks a server with one webhook that was just started.
async fn of(server: &Posthaste, kind: &'static str, deliveries: u64) -> anyhow::Result<LogPage> {
    let mut admin = server.admin().await?;
    let webhooks = admin.get(&format!("/admin/v1/accounts/{ACCOUNT}/webhooks")).await?;
    let id = webhooks["data"][0]["id"].as_str().context("no webhook is shown")?.to_owned();
    let key = admin.post(&format!("/admin/v1/accounts/{ACCOUNT}/keys"), &json!({})).await?;
    let key = key["key"].as_str().context("a new key is not shown")?;
    let mut customer = Client::connect(server.address, key).await?;
    Ok(LogPage {
        kind,
        deliveries,
        customers: ask(&mut customer, &format!("/v1/webhooks/{id}/deliveries")).await?,
        operators: ask(&mut admin, &format!("/admin/v1/accounts/{ACCOUNT}/webhooks/{id}/deliveries")).await?,
    })
}

async fn ask(client: &mut Client, path: &str) -> anyhow::Result<Asked> {
    let (first_us, page) = timed(client, path).await?;
    let mut then = Histogram::new();
    for _ in 0..REQUESTS {
        then.add(timed(client, path).await?.0);
    }
    let shown = page["data"].as_array().map_or(0, Vec::len);
    ensure!(shown > 0, "{path} shows nothing");
    Ok(Asked { first_us, then: then.summary(), shown })
}

async fn timed(client: &mut Client, path: &str) -> anyhow::Result<(u64, Value)> {
    let began = Instant::now();
    let page = client.get(path).await?;
    Ok((began.elapsed().as_micros() as u64, page))
}
