//! Who stood where in the line of each key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use http::StatusCode;
use posthaste::receiver::{Arrival, Receiver, Reply};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::rig::publishers::Product;
use crate::rig::receiver::number_of;

/// How many takers there are.
pub const TAKERS: u64 = 2;
/// Numbers of the events of one key begin here, for the next key here again.
const KEY_STEP: u64 = 1_000_000;
/// How long the slow taker thinks.
const SLOW: Duration = Duration::from_millis(15);
/// The failing taker refuses one arrival of so many.
const FAILS_ONCE_IN: u64 = 5;

/// What arrived, by taker and key.
#[derive(Default)]
pub struct Lines(Mutex<Books>);

#[derive(Default)]
struct Books {
    lines: BTreeMap<(&'static str, u64), Line>,
    inversions: Vec<String>,
}

/// One key at one taker.
#[derive(Default)]
struct Line {
    /// The first event that was not taken yet.
    next: u64,
    /// The latest event that came.
    latest: u64,
}

impl Lines {
    /// Publishes one event of a key; is there anybody who answers?
    ///
    /// # Errors
    /// If it is refused.
    pub async fn publish(&self, product: &Product, key: u64, index: u64) -> anyhow::Result<bool> {
        let number = key * KEY_STEP + index;
        let event = json!({
            "id": format!("number-{number}"),
            "type": "load.numbered",
            "account": product.account,
            "ordering_key": format!("key:{key}"),
            "data": {"number": number},
        });
        match product.post("/events", event.to_string()).await {
            Some((status, body)) if !(200..300).contains(&status) && status < 500 => {
                bail!("event {index} of key {key} is refused: {status} {body}")
            }
            answer => Ok(answer.is_some_and(|(status, _)| status < 300)),
        }
    }

    /// An event arrives at a taker. One that was taken before may come again, as long as none after it has come.
    fn arrive(&self, taker: &'static str, number: u64) {
        let (key, index) = (number / KEY_STEP, number % KEY_STEP);
        let mut books = self.lock();
        let line = books.lines.entry((taker, key)).or_default();
        let (next, latest) = (line.next, line.latest);
        line.latest = latest.max(index);
        if index > next || index < latest {
            books.inversions.push(format!(
                "{taker}: event {index} of key {key} came, {latest} had come and {next} is next"
            ));
        }
    }

    fn take(&self, taker: &'static str, number: u64) {
        let (key, index) = (number / KEY_STEP, number % KEY_STEP);
        let mut books = self.lock();
        let line = books.lines.entry((taker, key)).or_default();
        line.next = line.next.max(index + 1);
    }

    /// How many events were taken, counted once for each taker.
    pub fn taken(&self) -> u64 {
        self.lock().lines.values().map(|line| line.next).sum()
    }

    /// What was out of order.
    pub fn inversions(&self) -> Vec<String> {
        self.lock().inversions.clone()
    }

    /// What was never taken, if each key has so many events.
    pub fn missing(&self, keys: u64, events: u64) -> Vec<String> {
        let books = self.lock();
        let mut missing = Vec::new();
        for (taker, key) in
            ["slow", "failing"].into_iter().flat_map(|taker| (0..keys).map(move |key| (taker, key)))
        {
            let next = books.lines.get(&(taker, key)).map_or(0, |line| line.next);
            missing.extend((next..events).map(|index| format!("event {index} of key {key} at {taker}")));
        }
        missing
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver. It answers until it is dropped.
pub struct Taker {
    /// Where webhooks point to reach it.
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Taker {
    /// One that takes everything and thinks about it.
    pub async fn slow(lines: &Arc<Lines>) -> anyhow::Result<Self> {
        Self::start("slow", lines, SLOW, |_| false).await
    }

    /// One that refuses some, by chance of the seed.
    pub async fn failing(lines: &Arc<Lines>, seed: u64) -> anyhow::Result<Self> {
        let refuses = move |arrival: &Arrival| {
            let letters = arrival.header_pairs().into_iter().flat_map(|(_, value)| value.bytes());
            let mixed =
                letters.fold(seed, |mixed, byte| mixed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
            mixed % FAILS_ONCE_IN == 0
        };
        Self::start("failing", lines, Duration::ZERO, refuses).await
    }

    async fn start(
        name: &'static str,
        lines: &Arc<Lines>,
        thinks: Duration,
        refuses: impl Fn(&Arrival) -> bool + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let listening = Receiver::bind(([127, 0, 0, 1], 0).into(), None).await?;
        let url = format!("http://{}/{name}", listening.address);
        let lines = lines.clone();
        let task = tokio::spawn(listening.run(Arc::new(move |arrival| {
            let (lines, is_refused) = (lines.clone(), refuses(&arrival));
            Box::pin(async move {
                let Some(number) = number_of(&arrival.body) else { return Reply::empty(StatusCode::OK) };
                lines.arrive(name, number);
                tokio::time::sleep(thinks).await;
                if is_refused {
                    return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
                }
                lines.take(name, number);
                Reply::empty(StatusCode::OK)
            })
        })));
        Ok(Self { url, task })
    }
}
