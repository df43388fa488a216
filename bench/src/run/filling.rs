//! A past for a store: rows that a server would have written over hours, put in through the store's own verbs while no
//! server runs.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use posthaste_contract::{Contract, PayloadFacts, PublicIds};
use posthaste_core::{
    Attempt, Audience, Clock, DeliveryKey, DeliveryState, EventBody, Health, Outcome, Response, Seq, UnixMs,
    Webhook, WebhookNo,
};
use posthaste_store::{Embedded, EventDraft, Options, RecordBatch, Recorded, Spill, Store};

use super::stage::{Setting, Stage};
use crate::clock::unix_us;
use crate::payload;
use crate::posthaste::Posthaste;

/// What became of the deliveries of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Taken at the first attempt.
    Delivered,
    /// Due when the event was accepted, and never tried: there was no room in memory, or the webhook was paused.
    Waiting,
    /// Tried once; the receiver asked to be left alone for so long.
    Refused(Duration),
}

/// When the events of the past were accepted: evenly from `since` for so `long`.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    pub since: UnixMs,
    pub long: Duration,
}

impl Past {
    /// One that began so long ago.
    pub fn ago(since: Duration, long: Duration) -> Self {
        Self { since: now().minus(since), long }
    }
}

/// Events in one commit.
const BATCH: u64 = 4_096;
/// As in the measured load.
const DATA_BYTES: usize = 300;
const TYPE: &str = "bench.event";
const TOOK: Duration = Duration::from_micros(400);
/// As long as the signature of the standard contract.
const SIGNATURE: &str = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=";

/// A store that no server has open.
pub struct Filling {
    store: Arc<Embedded>,
    contract: Contract,
    ids: PublicIds,
    webhooks: Vec<Arc<Webhook>>,
}

impl Filling {
    /// Opens the store of a stage whose server has ended.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let store = Embedded::open(&folder.join("data"), None, Options::default(), Arc::new(Wall))?;
        let contract = Contract::builtin("standard").context("no standard contract")?;
        let ids = PublicIds::new(&contract, store.id_key());
        let webhooks = store.roster().after(WebhookNo(0), usize::MAX);
        ensure!(!webhooks.is_empty(), "there is no webhook");
        Ok(Self { store, contract, ids, webhooks })
    }

    /// Leaves all webhooks but the first so many out.
    pub fn only(mut self, webhooks: usize) -> Self {
        self.webhooks.truncate(webhooks);
        self
    }

    /// Puts events with these numbers in, by turns for the accounts of the webhooks, which have one each.
    pub async fn add(&self, events: Range<u64>, past: Past, fate: Fate) -> anyhow::Result<()> {
        let count = (events.end - events.start) as f64;
        for begin in events.clone().step_by(BATCH as usize) {
            let numbers: Vec<u64> = (begin..(begin + BATCH).min(events.end)).collect();
            let accepted_at = past.since.plus(past.long.mul_f64((begin - events.start) as f64 / count));
            let keys = self.publish(&numbers, accepted_at).await?;
            self.store.record(batch(&keys, accepted_at, fate)).await?;
        }
        Ok(())
    }

    /// How many deliveries the store keeps; of those that wait at most 10,000 for each webhook.
    pub async fn kept(&self) -> anyhow::Result<u64> {
        let mut kept = 0;
        for webhook in &self.webhooks {
            kept += self.store.delivery_count(webhook.no).await?;
        }
        Ok(kept)
    }

    /// Lets go of the store.
    pub async fn close(self) {
        self.store.close().await;
    }

    async fn publish(&self, numbers: &[u64], at: UnixMs) -> anyhow::Result<Vec<DeliveryKey>> {
        let webhooks: Vec<&Webhook> = numbers.iter().map(|number| self.webhook(*number)).collect();
        let draft = |webhook: &&Webhook| EventDraft {
            audience: Audience::Account(webhook.account),
            event_type: TYPE.into(),
            send_at: None,
            idempotency: None,
            ordering_key: None,
            reading: None,
            test_by: None,
        };
        let build = |index: usize, seq: Seq, at: UnixMs| self.body(webhooks[index], numbers[index], seq, at);
        let published = self.store.publish(webhooks.iter().map(draft).collect(), &build, at).await?;
        let mut keys = Vec::with_capacity(numbers.len());
        for (published, webhook) in published.into_iter().zip(&webhooks) {
            keys.push(DeliveryKey { event: published?.seq, webhook: webhook.no });
        }
        Ok(keys)
    }

    fn webhook(&self, number: u64) -> &Webhook {
        &self.webhooks[(number % self.webhooks.len() as u64) as usize]
    }

    fn body(&self, webhook: &Webhook, number: u64, seq: Seq, at: UnixMs) -> EventBody {
        self.contract.build_body(&PayloadFacts {
            event_id: &self.ids.accepted(seq, at, false),
            event_type: TYPE,
            account_id: Some(&webhook.account_id),
            occurred_at: at,
            data: &payload::filled(at.0 * 1_000, number, DATA_BYTES),
        })
    }
}

/// A stage with one webhook, whose server was started on a store with so many events.
pub async fn filled(setting: &Setting, events: u64, past: Past, fate: Fate) -> anyhow::Result<Stage> {
    let Stage { server, sink, folder } = Stage::set(setting, 1, 1).await?;
    server.process.end().await?;
    let filling = Filling::open(folder.path())?;
    filling.add(0..events, past, fate).await?;
    filling.close().await;
    let server = Posthaste::start(&setting.binary, folder.path()).await?;
    Ok(Stage { server, sink, folder })
}

/// What the engine would have had remembered.
fn batch(keys: &[DeliveryKey], at: UnixMs, fate: Fate) -> RecordBatch {
    let mut batch = RecordBatch { checkpoint: keys.last().map(|key| key.event), ..RecordBatch::default() };
    for key in keys {
        match attempt(at, fate) {
            Some((attempt, next_attempt_at)) => {
                let (key, health) = (*key, health(&attempt));
                let state =
                    next_attempt_at.map_or(DeliveryState::Delivered, |_: UnixMs| DeliveryState::Pending);
                batch.attempts.push(Recorded { key, attempt, state, reason: None, next_attempt_at });
                if !batch.health.iter().any(|(no, _)| *no == key.webhook) {
                    batch.health.push((key.webhook, health));
                }
            }
            None => batch.spills.push(Spill { key: *key, due_at: at, chain: None }),
        }
    }
    batch
}

fn attempt(at: UnixMs, fate: Fate) -> Option<(Attempt, Option<UnixMs>)> {
    let mut response = Response {
        status: 200,
        headers: vec![("content-length".to_owned(), b"0".to_vec())],
        ..Response::default()
    };
    let due_after = match fate {
        Fate::Waiting => return None,
        Fate::Delivered => None,
        Fate::Refused(due_after) => {
            response.status = 503;
            response.headers.push(("retry-after".to_owned(), due_after.as_secs().to_string().into_bytes()));
            Some(due_after)
        }
    };
    let attempt = Attempt {
        number: 1,
        started_at: at,
        duration: TOOK,
        outcome: Outcome::Answered(response),
        signatures: vec![SIGNATURE.to_owned()],
    };
    let due_at = due_after.map(|after| attempt.finished_at().plus(after));
    Some((attempt, due_at))
}

fn health(attempt: &Attempt) -> Health {
    let at = Some(attempt.finished_at());
    let is_success = attempt.outcome.status() == Some(200);
    Health { consecutive_failures: 0, last_attempt_at: at, last_success_at: at.filter(|_| is_success) }
}

fn now() -> UnixMs {
    UnixMs(unix_us() / 1_000)
}

/// The time of day.
struct Wall;

impl Clock for Wall {
    fn now(&self) -> UnixMs {
        now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fates_are_told_as_the_engine_would() {
        let at = UnixMs(1_700_000_000_000);
        let key = DeliveryKey { event: Seq(7), webhook: WebhookNo(1) };
        let told = |fate| batch(&[key], at, fate);
        assert_eq!(told(Fate::Waiting).spills, vec![Spill { key, due_at: at, chain: None }]);
        assert!(told(Fate::Waiting).attempts.is_empty());
        let delivered = told(Fate::Delivered);
        assert_eq!(delivered.attempts[0].state, DeliveryState::Delivered);
        assert_eq!(delivered.checkpoint, Some(Seq(7)));
        let refused = told(Fate::Refused(Duration::from_hours(1)));
        assert_eq!(refused.attempts[0].state, DeliveryState::Pending);
        assert_eq!(refused.attempts[0].next_attempt_at, Some(UnixMs(at.0 + 3_600_000)));
        assert_eq!(refused.health[0].1.last_success_at, None);
    }
}
