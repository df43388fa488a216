//! Sending a test event and waiting for what comes of it.
//!
//! The test travels like any other event: it is stored, and the engine delivers it. Here it is only awaited.

use std::time::Duration;

use posthaste_contract::{Contract, TestFacts};
use posthaste_core::{Attempt, By, DeliveryKey, DeliveryState, Outcome, UnixMs, Webhook};
use posthaste_store::{Store, StoreError};

use crate::publishing::Publisher;
use posthaste_contract::PublicIds;

/// How often the store is asked whether the attempt has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// How long to wait beyond the contract's time limit of an attempt.
const WAIT_BEYOND_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said of a test while nothing is sent.
const HELD: &str =
    "Sending is held, because the store was put back from a copy: the test event waits until it is released.";

/// What sends tests.
#[derive(Clone, Copy)]
pub(crate) struct TestParts<'a> {
    /// Its time limit bounds the wait.
    pub contract: &'a Contract,
    /// Where the outcome appears.
    pub store: &'a dyn Store,
    /// The way in.
    pub publisher: &'a Publisher,
}

/// What became of a test event.
#[derive(Debug)]
pub(crate) struct TestOutcome {
    /// The delivery that carries it.
    pub key: DeliveryKey,
    /// When the event was accepted.
    pub created_at: UnixMs,
    /// Did the receiver take it?
    pub is_delivered: bool,
    /// The attempt; `None` if it did not end while we waited.
    pub attempt: Option<Attempt>,
    /// Is nothing sent now, because the store was put back from a copy?
    pub is_held: bool,
}

impl TestOutcome {
    /// The public id of the event.
    pub fn event_id(&self, ids: &PublicIds) -> String {
        ids.accepted(self.key.event, self.created_at, true)
    }

    /// What views show of it.
    pub fn facts(&self) -> TestFacts<'_> {
        let message = match self.attempt.as_ref().map(|attempt| &attempt.outcome) {
            Some(Outcome::Answered(_)) if self.is_delivered => "The test event was delivered.",
            Some(Outcome::Answered(_)) => "The receiver did not answer with success.",
            Some(Outcome::Failed(fault)) => fault.detail.as_str(),
            None if self.is_held => HELD,
            None => "The test event is accepted, but no attempt has ended yet.",
        };
        TestFacts {
            ok: self.is_delivered,
            status: self.attempt.as_ref().and_then(|attempt| attempt.outcome.status()),
            duration: self.attempt.as_ref().map(|attempt| attempt.duration),
            message,
            error: self.error(),
        }
    }

    /// The kind of fault, as a word.
    pub fn error(&self) -> Option<&'static str> {
        match self.attempt.as_ref().map(|attempt| &attempt.outcome) {
            Some(Outcome::Answered(_)) => None,
            Some(Outcome::Failed(fault)) => Some(fault.kind.word()),
            None if self.is_held => Some("sending_held"),
            None => Some("not_attempted"),
        }
    }
}

/// Sends a test event to a webhook and waits until its first attempt has ended.
///
/// `data` is a JSON object as [`Contract::check_data`] takes it.
pub(crate) async fn send_test(
    parts: TestParts<'_>,
    webhook: &Webhook,
    event_type: &str,
    data: &str,
    by: By,
) -> Result<TestOutcome, StoreError> {
    let published = parts.publisher.publish_test(webhook, event_type, data, by).await?;
    let key = DeliveryKey { event: published.seq, webhook: webhook.no };
    let is_held = parts.store.held_since().borrow().is_some();
    let mut outcome =
        TestOutcome { key, created_at: published.created_at, is_delivered: false, attempt: None, is_held };
    if is_held {
        return Ok(outcome);
    }
    let patience = parts.contract.policy.timeout + WAIT_BEYOND_TIMEOUT;
    // Running out of patience is an outcome, not a fault: the event is accepted and will be tried.
    let ended = tokio::time::timeout(patience, first_attempt(parts.store, key)).await;
    if let Ok(ended) = ended {
        let (state, attempt) = ended?;
        outcome.is_delivered = state == DeliveryState::Delivered;
        outcome.attempt = attempt;
    }
    Ok(outcome)
}

/// Waits until the delivery's first attempt, or the end of the delivery without one, is in the store.
async fn first_attempt(
    store: &dyn Store,
    key: DeliveryKey,
) -> Result<(DeliveryState, Option<Attempt>), StoreError> {
    let mut turns = tokio::time::interval(POLL_INTERVAL);
    loop {
        turns.tick().await;
        if let Some((delivery, _, mut attempts)) = store.delivery(key).await?
            && (!attempts.is_empty() || delivery.state != DeliveryState::Pending)
        {
            let first = (!attempts.is_empty()).then(|| attempts.swap_remove(0));
            return Ok((delivery.state, first));
        }
    }
}

/// The data of a test event of this type: the contract's example of it, else an object with nothing in it.
pub(crate) fn sample_data<'c>(contract: &'c Contract, event_type: &str) -> &'c str {
    let known = contract.events.types.iter().find(|known| known.name == event_type);
    known.and_then(|known| known.example.as_deref()).unwrap_or("{}")
}
