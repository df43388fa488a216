//! What has to be remembered next, and up to which event everything is.

use std::collections::{BTreeMap, HashMap};

use posthaste_core::{DeliveryKey, Health, Seq, UnixMs, WebhookNo};
use posthaste_store::{RecordBatch, Recorded, Spill};

/// Collects changes into one batch at a time. The next is handed out when the one before is durable.
pub struct Ledger {
    collecting: RecordBatch,
    health: HashMap<WebhookNo, usize>,
    collected_due: Vec<Written>,
    handed_out: Option<Vec<Written>>,
    open: BTreeMap<Seq, u32>,
    fanned_out: Seq,
    checkpoint: Seq,
}

/// A delivery whose row is durable now, and when it is due if it is pending.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Which.
    pub key: DeliveryKey,
    /// When its next attempt is due, or another row of its webhook.
    pub due_at: Option<UnixMs>,
}

impl Ledger {
    /// Begins after `checkpoint`.
    pub fn new(checkpoint: Seq) -> Self {
        Self {
            collecting: RecordBatch::default(),
            health: HashMap::new(),
            collected_due: Vec::new(),
            handed_out: None,
            open: BTreeMap::new(),
            fanned_out: checkpoint,
            checkpoint,
        }
    }

    /// The checkpoint waits for one more delivery of this event.
    pub fn open(&mut self, event: Seq) {
        *self.open.entry(event).or_default() += 1;
    }

    /// The checkpoint need not wait for that delivery any longer: its row is collected, or none is owed.
    pub fn close(&mut self, event: Seq) {
        if let Some(count) = self.open.get_mut(&event) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&event);
            }
        }
    }

    /// Every event up to here has been fanned out.
    pub fn fanned_out(&mut self, event: Seq) {
        self.fanned_out = self.fanned_out.max(event);
    }

    /// Collects an ended attempt. One of a delivery with an ordering key may make another row of the webhook due.
    pub fn attempt(&mut self, recorded: Recorded, is_ordered: bool) {
        let due_at = if is_ordered { Some(UnixMs(0)) } else { recorded.next_attempt_at };
        self.collected_due.push(Written { key: recorded.key, due_at });
        self.collecting.attempts.push(recorded);
    }

    /// Collects a delivery that goes to the store to wait there.
    pub fn spill(&mut self, spill: Spill) {
        self.collected_due.push(Written { key: spill.key, due_at: Some(spill.due_at) });
        self.collecting.spills.push(spill);
    }

    /// Collects the end of a delivery that will not be tried.
    pub fn cancel(&mut self, key: DeliveryKey, reason: &'static str) {
        self.collected_due.push(Written { key, due_at: None });
        self.collecting.cancels.push((key, reason));
    }

    /// Collects a webhook's running record; a later one replaces an earlier one.
    pub fn health(&mut self, webhook: WebhookNo, health: Health) {
        let next = self.collecting.health.len();
        let at = *self.health.entry(webhook).or_insert(next);
        if at == next {
            self.collecting.health.push((webhook, health));
        } else {
            self.collecting.health[at].1 = health;
        }
    }

    /// Collects the switching off of a webhook.
    pub fn disable(&mut self, webhook: WebhookNo, reason: &'static str) {
        self.collecting.disable.push((webhook, reason));
    }

    /// How many deliveries are collected and not yet handed out.
    pub fn len(&self) -> usize {
        self.collected_due.len()
    }

    /// How many of these go to the store to wait there, or end.
    pub fn without_attempt(&self) -> usize {
        self.collecting.spills.len() + self.collecting.cancels.len()
    }

    /// Is everything durable?
    pub fn is_quiet(&self) -> bool {
        self.handed_out.is_none() && self.collecting.is_empty() && self.checkpoint == self.reached()
    }

    /// The next batch, if there is something in it and the one before is durable.
    pub fn hand_out(&mut self) -> Option<RecordBatch> {
        let reached = self.reached();
        if self.handed_out.is_some() || (self.collecting.is_empty() && reached <= self.checkpoint) {
            return None;
        }
        let mut batch = std::mem::take(&mut self.collecting);
        if reached > self.checkpoint {
            batch.checkpoint = Some(reached);
            self.checkpoint = reached;
        }
        self.health.clear();
        self.handed_out = Some(std::mem::take(&mut self.collected_due));
        Some(batch)
    }

    /// The batch handed out last is durable; what was in it.
    pub fn recorded(&mut self) -> Vec<Written> {
        let mut written = self.handed_out.take().unwrap_or_default();
        if posthaste_faults::bug("next-scheduled-before-recorded") {
            written.append(&mut self.collected_due);
        }
        written
    }

    fn reached(&self) -> Seq {
        if posthaste_faults::bug("checkpoint-ahead") {
            return self.fanned_out;
        }
        match self.open.first_key_value() {
            Some((first, _)) => Seq(first.0 - 1).min(self.fanned_out),
            None => self.fanned_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkpoint_waits_for_the_oldest_open_delivery() {
        let mut ledger = Ledger::new(Seq(10));
        for event in [11, 12] {
            ledger.open(Seq(event));
            ledger.fanned_out(Seq(event));
        }
        ledger.close(Seq(12));
        assert!(ledger.hand_out().is_none(), "event 11 is still open");
        ledger.cancel(DeliveryKey { event: Seq(11), webhook: WebhookNo(1) }, "why");
        ledger.close(Seq(11));
        assert_eq!(ledger.hand_out().unwrap().checkpoint, Some(Seq(12)));
        assert!(!ledger.is_quiet());
        assert_eq!(ledger.recorded().len(), 1);
        assert!(ledger.is_quiet());
    }

    #[test]
    fn a_webhooks_record_stands_once_in_a_batch() {
        let mut ledger = Ledger::new(Seq(0));
        for consecutive_failures in [1, 2] {
            ledger.health(WebhookNo(1), Health { consecutive_failures, ..Health::default() });
        }
        let batch = ledger.hand_out().unwrap();
        assert_eq!(batch.health.len(), 1);
        assert_eq!(batch.health[0].1.consecutive_failures, 2);
    }
}
