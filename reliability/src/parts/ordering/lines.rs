//! Who stood where in the line of each key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;

use crate::rig::listener::{Listener, Reply, Request};
use crate::rig::publishing::{Draft, Product};

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
        let draft = Draft { ordering_key: Some(format!("key:{key}")), ..product.draft(number) };
        let told = product.client.publish(&draft).await;
        ensure!(!told.is_invalid(), "event {index} of key {key} is refused: {told:?}");
        Ok(told.is_accepted())
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

/// A receiver that takes everything and thinks about it.
///
/// # Errors
/// If there is no free port.
pub async fn slow(lines: &Arc<Lines>) -> anyhow::Result<Listener> {
    let lines = lines.clone();
    Listener::start(move |request| {
        let lines = lines.clone();
        async move {
            let Some(number) = request.number() else { return Reply::OK };
            lines.arrive("slow", number);
            tokio::time::sleep(SLOW).await;
            lines.take("slow", number);
            Reply::OK
        }
    })
    .await
}

/// A receiver that refuses some, by chance of the seed.
///
/// # Errors
/// If there is no free port.
pub async fn failing(lines: &Arc<Lines>, seed: u64) -> anyhow::Result<Listener> {
    let lines = lines.clone();
    Listener::start(move |request| {
        let is_refused = mixed(&request, seed).is_multiple_of(FAILS_ONCE_IN);
        if let Some(number) = request.number() {
            lines.arrive("failing", number);
            if !is_refused {
                lines.take("failing", number);
            }
        }
        std::future::ready(if is_refused { Reply::of(500) } else { Reply::OK })
    })
    .await
}

/// A number made of the seed and what the headers say.
fn mixed(request: &Request, seed: u64) -> u64 {
    let letters = request.headers.iter().flat_map(|(_, value)| value.bytes());
    letters.fold(seed, |mixed, letter| mixed.wrapping_mul(0x100_0000_01b3) ^ u64::from(letter))
}
