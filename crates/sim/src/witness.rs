//! Somebody who writes everything down and objects at once where that is possible.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_core::health::Health;
use posthaste_core::policy::{DisableCount, QueuedOnDelete};
use posthaste_core::{Attempt, DeliveryKey, DeliveryPolicy, DeliveryState, Seq, UnixMs, WebhookNo};
use posthaste_engine::dispatcher::Claim;
use posthaste_store::{Published, RecordBatch};

/// What happened, and what should not have.
pub struct Witness {
    pub policy: DeliveryPolicy,
    /// Every event whose publisher got an answer, with the webhooks it was owed to at that moment.
    pub acknowledged: BTreeMap<Seq, Vec<WebhookNo>>,
    /// Attempts made in all.
    pub attempts: u64,
    /// What should not have happened.
    pub violations: Vec<String>,
    stored: BTreeSet<Seq>,
    due_at: BTreeMap<Seq, UnixMs>,
    under_way: BTreeSet<DeliveryKey>,
    /// For each delivery: attempts started, and the earliest time of the next one by the schedule.
    pub started: BTreeMap<DeliveryKey, u32>,
    not_before: BTreeMap<DeliveryKey, UnixMs>,
    /// Webhooks that somebody changed: what is owed to them may change too.
    pub meddled: BTreeMap<WebhookNo, UnixMs>,
    /// Webhooks that were subscribed anew or switched off for a while: some events may not be theirs any more.
    pub changed: BTreeSet<WebhookNo>,
    /// Deliveries that were recorded as ended, and when last.
    pub ended: BTreeMap<DeliveryKey, UnixMs>,
    pub deleted: BTreeSet<WebhookNo>,
    paused: BTreeSet<WebhookNo>,
    pub health: BTreeMap<WebhookNo, Health>,
    pub lost_attempts: BTreeMap<DeliveryKey, u32>,
}

impl Witness {
    pub fn new(policy: DeliveryPolicy) -> Self {
        Self {
            policy,
            acknowledged: BTreeMap::new(),
            attempts: 0,
            violations: Vec::new(),
            stored: BTreeSet::new(),
            due_at: BTreeMap::new(),
            under_way: BTreeSet::new(),
            started: BTreeMap::new(),
            not_before: BTreeMap::new(),
            meddled: BTreeMap::new(),
            changed: BTreeSet::new(),
            ended: BTreeMap::new(),
            deleted: BTreeSet::new(),
            paused: BTreeSet::new(),
            health: BTreeMap::new(),
            lost_attempts: BTreeMap::new(),
        }
    }

    pub fn object(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }

    pub fn acknowledged(&mut self, published: Published, owed: Vec<WebhookNo>, due_at: UnixMs) {
        if !published.is_duplicate {
            if !self.stored.insert(published.seq) {
                self.object(&format!("{:?} was given twice", published.seq));
            }
            self.due_at.insert(published.seq, due_at);
        } else if !self.stored.contains(&published.seq) {
            self.object(&format!("{:?} is called a duplicate of nothing", published.seq));
        }
        self.acknowledged.entry(published.seq).or_insert(owed);
    }

    /// Stored, but its publisher does not know.
    pub fn unanswered(&mut self, seq: Seq) {
        self.stored.insert(seq);
    }

    pub fn started(&mut self, claim: &Claim, now: UnixMs) {
        self.attempts += 1;
        let key = claim.key;
        if !self.under_way.insert(key) {
            self.object(&format!("{key:?} is under way twice"));
        }
        if self.deleted.contains(&key.webhook) && self.policy.on_delete == QueuedOnDelete::Drop {
            self.object(&format!("{key:?} started after the delete was answered"));
        }
        if self.paused.contains(&key.webhook) {
            self.object(&format!("{key:?} started while paused"));
        }
        if now < claim.event.due_at() || self.not_before.get(&key).is_some_and(|at| now < *at) {
            self.object(&format!("{key:?} #{} started early", claim.number));
        }
        let before = self.started.get(&key).copied().unwrap_or(0);
        if claim.number > before + 1 || claim.number == 0 {
            self.object(&format!("{key:?} #{} follows #{before}", claim.number));
        }
        self.started.insert(key, claim.number);
        let most = self.policy.retry.delays.len() as u32 + 1;
        if claim.number > most && !self.meddled.contains_key(&key.webhook) {
            self.object(&format!("{key:?} #{} is more than promised", claim.number));
        }
    }

    pub fn ended(&mut self, claim: &Claim, attempt: &Attempt) {
        self.under_way.remove(&claim.key);
        let delay = self.policy.retry.delays.get(attempt.number as usize - 1).copied().unwrap_or_default();
        self.not_before.insert(claim.key, attempt.finished_at().plus(delay));
    }

    pub fn crashed(&mut self) {
        for key in std::mem::take(&mut self.under_way) {
            *self.lost_attempts.entry(key).or_default() += 1;
        }
        // What had ended and was not recorded is repeated at once, as if it had never been made.
        self.not_before.clear();
    }

    /// Recomputes the running records from what is written, in words of its own: the engine's are what is checked.
    pub fn recorded(&mut self, batch: &RecordBatch) {
        self.changed.extend(batch.disable.iter().map(|(no, _)| *no));
        for recorded in &batch.attempts {
            let is_success = matches!(recorded.attempt.outcome.status(), Some(200..=299));
            if is_success != (recorded.state == DeliveryState::Delivered) {
                self.object(&format!(
                    "{:?} is {:?} after {:?}",
                    recorded.key, recorded.state, recorded.attempt.outcome
                ));
            }
            let counts_attempts = self.policy.disable.count == DisableCount::Attempt;
            let is_counted = recorded.state == DeliveryState::Failed || counts_attempts;
            let ended_at = Some(recorded.attempt.finished_at());
            if recorded.state != DeliveryState::Pending {
                self.ended.insert(recorded.key, recorded.attempt.finished_at());
            }
            let health = self.health.entry(recorded.key.webhook).or_default();
            health.last_attempt_at = health.last_attempt_at.max(ended_at);
            if is_success {
                health.consecutive_failures = 0;
                health.last_success_at = health.last_success_at.max(ended_at);
            } else if is_counted {
                health.consecutive_failures += 1;
            }
        }
    }

    /// Somebody changed a webhook or asked for its deliveries again: schedules of the past do not bind any more.
    pub fn meddled(&mut self, no: WebhookNo, at: UnixMs) {
        self.meddled.insert(no, at);
        self.not_before.retain(|key, _| key.webhook != no);
    }

    pub fn deleted(&mut self, no: WebhookNo) {
        self.deleted.insert(no);
        self.paused.remove(&no);
    }

    pub fn set_paused(&mut self, no: WebhookNo, paused: bool) {
        if paused {
            self.paused.insert(no);
        } else {
            self.paused.remove(&no);
        }
    }
}
