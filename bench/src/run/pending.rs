//! A million deliveries that are owed: what they take in memory, and how soon after a start the first goes out.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::filling::{Fate, Filling, Past};
use super::results::mib;
use super::stage::{SETTLING, Setting, Sink};
use super::verdict::{Verdict, most};
use crate::bad_receiver::{BadReceiver, Ill};
use crate::posthaste::Posthaste;

/// What came of starting a server with so many pending deliveries.
#[derive(Debug, Serialize)]
pub struct Pending {
    /// What they wait for.
    pub kind: &'static str,
    /// How many they are.
    pub deliveries: u64,
    /// From the start of the process until it was ready.
    pub ready_ms: f64,
    /// From the start of the process until a receiver had a delivery: one of these, or of an event published as soon
    /// as the server was ready; `None` where every receiver is dead.
    pub first_arrival_ms: Option<f64>,
    /// Memory in use some seconds later, or when all had arrived.
    pub kib: u64,
    /// The most memory used until then.
    pub peak_kib: u64,
    /// Where they can arrive: from the start of the process until all had.
    pub deliveries_per_second: Option<f64>,
    /// Owed and not arrived.
    pub lost: u64,
}

/// Webhooks that share the deliveries, and their accounts.
const WEBHOOKS: u32 = 10;
const WATCHED_FOR: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(2);
/// The number of the webhook that has nothing pending.
const FRESH: u32 = WEBHOOKS;

/// Starts a server with each kind of pending deliveries.
pub async fn measure(setting: &Setting, deliveries: u64) -> anyhow::Result<Vec<Pending>> {
    Ok(vec![
        due_later(setting, deliveries).await?,
        overdue(setting, deliveries).await?,
        overdue_to_the_dead(setting, deliveries).await?,
    ])
}

impl Pending {
    /// Holds it against the budgets.
    pub fn judge(&self, verdicts: &mut Vec<Verdict>) {
        let name = format!("{} M {}", self.deliveries / 1_000_000, self.kind);
        verdicts.push(most(&format!("{name}: memory"), "MiB", mib(self.peak_kib), 128.0));
        if let Some(first_ms) = self.first_arrival_ms {
            verdicts.push(most(&format!("{name}: first arrival"), "ms", first_ms, 2_000.0));
        }
    }

    /// Its row for people.
    pub fn row(&self) -> (String, String) {
        let first = self.first_arrival_ms.map(|ms| format!(", first arrival after {ms:.0} ms"));
        let rate = self.deliveries_per_second.map(|rate| format!(", {rate:.0}/s, lost {}", self.lost));
        let text = format!(
            "ready in {:.0} ms{}, {:.0} MiB, peak {:.0} MiB{}",
            self.ready_ms,
            first.unwrap_or_default(),
            mib(self.kib),
            mib(self.peak_kib),
            rate.unwrap_or_default()
        );
        (format!("{} {}", self.deliveries, self.kind), text)
    }
}

/// Receivers asked to be left alone; one that has nothing to do with them gets an event.
async fn due_later(setting: &Setting, deliveries: u64) -> anyhow::Result<Pending> {
    let mut sink = Sink::start(FRESH + 1).await?;
    let dead = BadReceiver::start(Ill::Dead).await?;
    let folder = registered(setting, &dead.address.to_string(), Some(&sink.address)).await?;
    let hour = Duration::from_hours(1);
    let filling = Filling::open(folder.path())?.only(WEBHOOKS as usize);
    filling.add(0..deliveries, Past::ago(hour, hour), Fate::Refused(2 * hour)).await?;
    filling.close().await;
    let began = Instant::now();
    let server = Posthaste::start(&setting.binary, folder.path()).await?;
    let event = json!({ "type": "bench.event", "account": account(FRESH), "data": {} });
    server.admin().await?.post("/admin/v1/events", &event).await?;
    let first = first_arrival(&mut sink, began).await?;
    watch(server, deliveries, "due later", Some(first)).await
}

/// The server was down, and the receivers wait: all of them go out.
async fn overdue(setting: &Setting, deliveries: u64) -> anyhow::Result<Pending> {
    let mut sink = Sink::start(WEBHOOKS).await?;
    let folder = registered(setting, &sink.address, None).await?;
    fill_overdue(&folder, deliveries).await?;
    let began = Instant::now();
    let (server, first) =
        tokio::join!(Posthaste::start(&setting.binary, folder.path()), first_arrival(&mut sink, began));
    let (server, first_ms) = (server?, first?);
    let received = sink.await_distinct(deliveries).await?;
    let took = began.elapsed().as_secs_f64();
    sleep(SETTLING).await;
    let (kib, peak_kib) = server.process.memory_kib()?;
    let ready_ms = ms(server.ready_after);
    server.process.end().await?;
    Ok(Pending {
        kind: "overdue",
        deliveries,
        ready_ms,
        first_arrival_ms: Some(first_ms),
        kib,
        peak_kib,
        deliveries_per_second: Some(received.distinct as f64 / took),
        lost: deliveries.saturating_sub(received.distinct),
    })
}

async fn overdue_to_the_dead(setting: &Setting, deliveries: u64) -> anyhow::Result<Pending> {
    let dead = BadReceiver::start(Ill::Dead).await?;
    let folder = registered(setting, &dead.address.to_string(), None).await?;
    fill_overdue(&folder, deliveries).await?;
    let server = Posthaste::start(&setting.binary, folder.path()).await?;
    watch(server, deliveries, "overdue, receivers dead", None).await
}

/// Half of them never tried, half of them to be tried again.
async fn fill_overdue(folder: &TempDir, deliveries: u64) -> anyhow::Result<()> {
    let (hour, minute) = (Duration::from_hours(1), Duration::from_mins(1));
    let filling = Filling::open(folder.path())?;
    let half = deliveries / 2;
    filling.add(0..half, Past::ago(3 * hour, hour), Fate::Refused(minute)).await?;
    filling.add(half..deliveries, Past::ago(2 * hour, hour), Fate::Waiting).await?;
    filling.close().await;
    Ok(())
}

async fn watch(
    server: Posthaste,
    deliveries: u64,
    kind: &'static str,
    first_arrival_ms: Option<f64>,
) -> anyhow::Result<Pending> {
    sleep(WATCHED_FOR).await;
    let (kib, peak_kib) = server.process.memory_kib()?;
    let ready_ms = ms(server.ready_after);
    server.process.end().await?;
    Ok(Pending {
        kind,
        deliveries,
        ready_ms,
        first_arrival_ms,
        kib,
        peak_kib,
        deliveries_per_second: None,
        lost: 0,
    })
}

/// A folder with the webhooks, each of an account of its own, and no server.
async fn registered(
    setting: &Setting,
    receiver: &str,
    fresh_receiver: Option<&str>,
) -> anyhow::Result<TempDir> {
    let folder = setting.folder()?;
    let server = Posthaste::start(&setting.binary, folder.path()).await?;
    for number in 0..WEBHOOKS {
        server.account(&account(number), number..number + 1, receiver).await?;
    }
    if let Some(receiver) = fresh_receiver {
        server.account(&account(FRESH), FRESH..FRESH + 1, receiver).await?;
    }
    server.process.end().await?;
    Ok(folder)
}

fn account(number: u32) -> String {
    format!("bench{number}")
}

async fn first_arrival(sink: &mut Sink, began: Instant) -> anyhow::Result<f64> {
    while sink.counts().await?.requests == 0 {
        ensure!(began.elapsed() < Duration::from_mins(1), "nothing arrives");
        sleep(LOOK).await;
    }
    Ok(ms(began.elapsed()))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
