//! What a webhook that does well notices of others: of many that do not, and of an account that floods.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::load::PUBLISHER_PATIENCE;
use super::progress;
use super::stage::{Setting, Sink};
use crate::bad_receiver::{BadReceiver, Ill};
use crate::child::report_of;
use crate::client::Client;
use crate::histogram::Summary;
use crate::posthaste::{Posthaste, TOKEN};
use crate::publisher;

/// Beside accounts that publish much.
#[derive(Debug, Serialize)]
pub struct Floods {
    /// A hundred times the events.
    pub hundredfold: Beside,
    /// As fast as it is let.
    pub beyond: Vec<Beside>,
}

/// The same traffic twice, end to end: from the beginning of the publish request to arrival.
#[derive(Debug, Serialize)]
pub struct Beside {
    /// Who the neighbours are.
    pub neighbours: String,
    /// Before the neighbours have traffic.
    pub alone: Summary,
    /// From the moment they have.
    pub beside: Summary,
    /// Events accepted in a second for the neighbours.
    pub neighbours_per_second: f64,
    /// Acknowledged and not arrived, of the webhook that does well.
    pub lost: u64,
}

impl Beside {
    /// How many times as long half of the deliveries take.
    pub fn p50_ratio(&self) -> f64 {
        self.beside.p50_us as f64 / self.alone.p50_us.max(1) as f64
    }

    /// The same for 99 of 100.
    pub fn p99_ratio(&self) -> f64 {
        self.beside.p99_us as f64 / self.alone.p99_us.max(1) as f64
    }
}

impl Floods {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Beside> {
        std::iter::once(&self.hundredfold).chain(&self.beyond)
    }
}

/// Events a second of the webhook that does well.
const PER_SECOND: u64 = 50;
const ALONE_SECONDS: u64 = 10;
/// Longer than an attempt may take under the standard contract, so that attempts to hanging receivers end in it.
const BESIDE_SECONDS: u64 = 25;
const BESIDE_FLOOD_SECONDS: u64 = 10;
/// Bad receivers' webhooks, and the accounts that have them, each with an event a second for all of its webhooks.
const BAD_WEBHOOKS: u32 = 1_000;
const BAD_ACCOUNTS: u32 = 100;
/// Events a second of the account that floods.
const FLOOD_PER_SECOND: u64 = 100 * PER_SECOND;
const FLOOD_BATCH: u32 = 100;
/// How long the flood rises before the other account is looked at.
const RISING: Duration = Duration::from_secs(1);

/// Says on the way what came of one neighbour: all of them together take minutes.
fn told(one: Beside) -> Beside {
    let (p50, p99, lost) = (one.p50_ratio(), one.p99_ratio(), one.lost);
    progress(&format!("beside {}: p50 {p50:.1} ×, p99 {p99:.1} × as alone, lost {lost}", one.neighbours));
    one
}

/// Measures beside many bad receivers with traffic, of one kind or of each.
pub async fn beside_receivers(setting: &Setting) -> anyhow::Result<Vec<Beside>> {
    let mut measured = Vec::new();
    for (name, ills) in [
        ("dead", &[Ill::Dead][..]),
        ("hanging", &[Ill::Hanging]),
        ("dripping", &[Ill::Dripping]),
        ("mixed", &[Ill::Dead, Ill::Hanging, Ill::Dripping]),
    ] {
        measured.push(beside_bad(setting, &format!("{BAD_WEBHOOKS} {name} webhooks"), ills).await?);
    }
    Ok(measured)
}

/// Measures beside one account that floods.
pub async fn beside_floods(setting: &Setting) -> anyhow::Result<Floods> {
    let (rate, batch) = (FLOOD_PER_SECOND.to_string(), FLOOD_BATCH.to_string());
    Ok(Floods {
        hundredfold: beside_flood(setting, "a flood of 100 to 1", &["--per-second", &rate]).await?,
        beyond: vec![
            beside_flood(setting, "a flood without end, 1 a request", &[]).await?,
            beside_flood(setting, "a flood without end, 100 a request", &["--batch", &batch]).await?,
        ],
    })
}

async fn beside_bad(setting: &Setting, name: &str, ills: &[Ill]) -> anyhow::Result<Beside> {
    let mut stage = Quarter::set(setting).await?;
    let mut bad = Vec::new();
    for ill in ills {
        bad.push(BadReceiver::start(*ill).await?);
    }
    let each = BAD_WEBHOOKS / BAD_ACCOUNTS;
    for account in 0..BAD_ACCOUNTS {
        let urls = urls(&bad, account * each..(account + 1) * each);
        stage.server.account_at(&bad_account(account), &urls).await?;
    }
    let alone = stage.quiet(ALONE, ALONE_SECONDS).await?;
    let mut traffic = JoinSet::new();
    traffic.spawn(bad_traffic(stage.server.admin().await?));
    let beside = stage.quiet(BESIDE, BESIDE_SECONDS).await?;
    let accepted = traffic.join_next().await.context("no traffic")???;
    stage.server.process.end().await?;
    Ok(told(Beside {
        neighbours: name.to_owned(),
        neighbours_per_second: f64::from(accepted) / BESIDE_SECONDS as f64,
        lost: alone.lost + beside.lost,
        alone: alone.end_to_end,
        beside: beside.end_to_end,
    }))
}

fn bad_account(number: u32) -> String {
    format!("bad{number}")
}

/// The receivers by turns.
fn urls(receivers: &[BadReceiver], numbers: Range<u32>) -> Vec<String> {
    let receivers = receivers.iter().cycle().skip(numbers.start as usize % receivers.len());
    receivers
        .zip(numbers)
        .map(|(receiver, number)| format!("http://{}/w/{number}", receiver.address))
        .collect()
}

/// An event a second for each account in turn. Gives back how many were accepted.
async fn bad_traffic(mut admin: Client) -> anyhow::Result<u32> {
    let mut ticks = interval(Duration::from_secs(1) / BAD_ACCOUNTS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let data = json!({ "text": "x".repeat(280) });
    let (began, mut accepted) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(BESIDE_SECONDS) {
        let account = bad_account(accepted % BAD_ACCOUNTS);
        let event = json!({ "type": "bench.event", "account": account, "data": data });
        ticks.tick().await;
        admin.post("/admin/v1/events", &event).await?;
        accepted += 1;
    }
    Ok(accepted)
}

async fn beside_flood(setting: &Setting, name: &str, rate: &[&str]) -> anyhow::Result<Beside> {
    let mut stage = Quarter::set(setting).await?;
    let flooded = Sink::start(1).await?;
    stage.server.account(FLOOD, 0..1, &flooded.address).await?;
    let alone = stage.quiet(ALONE, ALONE_SECONDS).await?;
    let args = published_by(&stage.server, FLOOD, BESIDE_FLOOD_SECONDS + RISING.as_secs());
    let args: Vec<&str> = args.iter().map(String::as_str).chain(rate.iter().copied()).collect();
    let flood = report_of::<publisher::Report>(&args, PUBLISHER_PATIENCE);
    let quiet = async {
        sleep(RISING).await;
        stage.quiet(BESIDE, BESIDE_FLOOD_SECONDS).await
    };
    let (flood, beside) = tokio::join!(flood, quiet);
    let (flood, beside) = (flood?, beside?);
    stage.server.process.end().await?;
    Ok(told(Beside {
        neighbours: name.to_owned(),
        neighbours_per_second: flood.per_second,
        lost: alone.lost + beside.lost,
        alone: alone.end_to_end,
        beside: beside.end_to_end,
    }))
}

/// The accounts. What is measured alone has an account, a webhook and a sink of its own, as alike as can be.
const ALONE: usize = 0;
const BESIDE: usize = 1;
const QUIET: [&str; 2] = ["alone", "beside"];
const FLOOD: &str = "flood";

/// A server with two accounts that do well, each with a sink.
struct Quarter {
    server: Posthaste,
    sinks: [Sink; 2],
    _folder: TempDir,
}

struct Quiet {
    end_to_end: Summary,
    lost: u64,
}

impl Quarter {
    async fn set(setting: &Setting) -> anyhow::Result<Self> {
        let folder = setting.folder()?;
        let server = Posthaste::start(&setting.binary, folder.path()).await?;
        let sinks = [Sink::start(1).await?, Sink::start(1).await?];
        for (account, sink) in QUIET.iter().zip(&sinks) {
            server.account(account, 0..1, &sink.address).await?;
        }
        Ok(Self { server, sinks, _folder: folder })
    }

    /// Steady traffic of one of the two accounts.
    async fn quiet(&mut self, which: usize, seconds: u64) -> anyhow::Result<Quiet> {
        let mut args = published_by(&self.server, QUIET[which], seconds);
        args.extend(["--per-second".to_owned(), PER_SECOND.to_string()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let patience = Duration::from_secs(seconds) + PUBLISHER_PATIENCE;
        let published: publisher::Report = report_of(&args, patience).await?;
        let received = self.sinks[which].await_distinct(published.acknowledged).await?;
        Ok(Quiet { end_to_end: received.age, lost: published.acknowledged.saturating_sub(received.distinct) })
    }
}

fn published_by(server: &Posthaste, account: &str, seconds: u64) -> Vec<String> {
    let (address, seconds) = (server.address.to_string(), seconds.to_string());
    let args =
        ["publish", "--server", &address, "--token", TOKEN, "--account", account, "--seconds", &seconds];
    args.map(str::to_owned).into()
}
