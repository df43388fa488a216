//! What reached the disk, and what people changed.

use posthaste_core::delivery::reasons;
use posthaste_core::policy::QueuedOnDelete;
use posthaste_core::{Audience, DeliveryKey, DeliveryState, Seq, UnixMs, WebhookNo, WebhookState};
use posthaste_store::{RecordBatch, Recorded};

use super::Witness;
use super::owed::Stand;

impl Witness {
    /// A batch is on the disk, at this true time.
    pub fn recorded(&mut self, batch: &RecordBatch, now: UnixMs) {
        for recorded in &batch.attempts {
            self.recorded_attempt(recorded);
        }
        for spill in &batch.spills {
            self.written(spill.key, None);
        }
        for (key, _) in &batch.cancels {
            self.written(*key, Some(Stand::Canceled));
            self.check_cancel(*key);
        }
        for (no, reason) in &batch.disable {
            self.switched_off(*no, reason, batch, now);
        }
        self.end_batch();
    }

    fn recorded_attempt(&mut self, recorded: &Recorded) {
        let (key, number) = (recorded.key, recorded.attempt.number);
        self.unrecorded.remove(&key);
        let is_test = self.is_test(key);
        let is_success = matches!(recorded.attempt.outcome.status(), Some(200..=299));
        if is_success != (recorded.state == DeliveryState::Delivered) {
            self.object(format!("{key:?} is {:?} after {:?}", recorded.state, recorded.attempt.outcome));
        }
        let is_gone = recorded.attempt.outcome.status() == Some(410) && self.policy.gone_disables;
        if recorded.state == DeliveryState::Failed && !is_test && !is_gone && number < self.attempts_max() {
            self.object(format!("{key:?} was given up after #{number}"));
        }
        if recorded.state == DeliveryState::Canceled {
            self.check_cancel(key);
        }
        if !is_test {
            self.count(recorded, is_success);
        }
        let Some(owed) = self.owed.get_mut(key) else { return };
        owed.wrote();
        owed.recorded += 1;
        owed.stand = match recorded.state {
            DeliveryState::Pending => Stand::Open,
            DeliveryState::Delivered => Stand::Delivered,
            DeliveryState::Failed => Stand::Failed,
            DeliveryState::Canceled => Stand::Canceled,
        };
        owed.recorded_not_before = owed.not_before;
        owed.recorded_end = owed.last_end;
    }

    fn written(&mut self, key: DeliveryKey, stand: Option<Stand>) {
        if self.owed.get(key).is_none() {
            let is_canceled = stand == Some(Stand::Canceled);
            self.unexpected(key, if is_canceled { "canceled" } else { "written" }, is_canceled);
        }
        if let Some(owed) = self.owed.get_mut(key) {
            owed.wrote();
            owed.stand = stand.filter(|_| owed.stand == Stand::Open).unwrap_or(owed.stand);
        }
    }

    /// A delivery may only be canceled if its webhook was deleted or switched off.
    fn check_cancel(&mut self, key: DeliveryKey) {
        if !self.was_off(key) {
            self.object(format!("{key:?} was canceled and its webhook was never off"));
        }
    }

    fn switched_off(&mut self, no: WebhookNo, reason: &str, batch: &RecordBatch, now: UnixMs) {
        let is_right = match reason {
            reasons::GONE => {
                self.policy.gone_disables
                    && batch
                        .attempts
                        .iter()
                        .any(|it| it.key.webhook == no && it.attempt.outcome.status() == Some(410))
            }
            _ => self.may_be_exhausted(no),
        };
        if !is_right {
            self.object(format!("{no:?} was switched off ({reason}) against the contract"));
        }
        let Some(known) = self.registry.get_mut(no) else { return };
        if known.state == WebhookState::Active && !known.is_deleted {
            known.state = WebhookState::Disabled;
            self.changed(no, now);
        }
    }

    /// A webhook is another now: what has no row yet and is not for it any more may come to nothing.
    pub fn changed(&mut self, no: WebhookNo, now: UnixMs) {
        let drops = self.policy.on_delete == QueuedOnDelete::Drop;
        let Some(known) = self.registry.get_mut(no) else { return };
        known.changed(now);
        let known = known.clone();
        let events = self.owed.events.clone();
        for (key, owed) in self.owed.of_webhook(no) {
            let Some(fact) = events.get(&key.event) else { continue };
            let is_test = matches!(fact.audience, Audience::Webhook(_));
            // One that is switched off is still told what it was owed until then: as canceled.
            let is_for_it = match is_test {
                true => !known.is_deleted,
                false => known.still_wants(fact.event_type, drops) || known.is_off_for(fact.event_type),
            };
            if !is_for_it && !owed.is_written && owed.stand == Stand::Open {
                owed.is_uncertain = true;
            }
        }
    }

    /// Housekeeping goes by what is recorded. What it forgets of a webhook that is off may be under way.
    pub fn note_forgotten(&mut self) {
        let expired_before = self.expired_before;
        for key in self.under_way.iter().chain(&self.unrecorded) {
            let known = self.registry.get(key.webhook);
            let is_off = known.is_none_or(|it| it.is_deleted || it.state == WebhookState::Disabled);
            if let Some(owed) = self.owed.get_mut(*key).filter(|_| is_off) {
                let is_place_old = key.event < Seq::first_of(expired_before);
                owed.is_forgotten |=
                    owed.is_old(*key, expired_before) || (is_place_old && self.is_clock_wrong);
            }
        }
    }

    /// Somebody asked for deliveries again: those may have one attempt more, and at once.
    pub fn resent(&mut self, keys: &[DeliveryKey]) {
        for key in keys {
            if let Some(owed) = self.owed.get_mut(*key) {
                owed.resends += 1;
                owed.is_forgotten = false;
                (owed.is_done, owed.not_before, owed.recorded_not_before) = (false, None, None);
                owed.stand = Stand::Open;
            }
        }
    }

    /// A webhook was resumed: its failures count anew.
    pub fn resumed(&mut self, no: WebhookNo) {
        self.count_anew(no);
    }

    pub(super) fn is_test(&self, key: DeliveryKey) -> bool {
        let fact = self.owed.events.get(&key.event);
        fact.is_some_and(|fact| matches!(fact.audience, Audience::Webhook(_)))
    }
}
