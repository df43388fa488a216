//! How each webhook has done, and whether it is rightly on or off.

use posthaste_core::policy::DisableCount;
use posthaste_core::{DeliveryState, Health, WebhookNo, WebhookState};
use posthaste_store::Recorded;

use super::Witness;

/// Failures in a row. Between somebody's resuming a webhook and the engine's hearing of it either count is right.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record {
    fewest: u32,
    most: u32,
    /// The most at any time since the batch before.
    peak: u32,
    health: Health,
    is_resumed: bool,
}

impl Witness {
    pub(super) fn count(&mut self, recorded: &Recorded, is_success: bool) {
        let record = self.records.entry(recorded.key.webhook).or_default();
        let ended_at = Some(recorded.attempt.finished_at());
        record.health.last_attempt_at = record.health.last_attempt_at.max(ended_at);
        if is_success {
            (record.fewest, record.most) = (0, 0);
            record.health.last_success_at = record.health.last_success_at.max(ended_at);
        } else if recorded.state == DeliveryState::Failed
            || self.policy.disable.count == DisableCount::Attempt
        {
            record.fewest = if record.is_resumed { 0 } else { record.fewest + 1 };
            record.most += 1;
            record.peak = record.peak.max(record.most);
        }
    }

    /// What was counted for one batch is over.
    pub(super) fn end_batch(&mut self) {
        self.records.values_mut().for_each(|record| record.peak = record.most);
    }

    pub(super) fn count_anew(&mut self, no: WebhookNo) {
        let record = self.records.entry(no).or_default();
        (record.fewest, record.is_resumed) = (0, true);
    }

    /// May a webhook be switched off for its failures?
    pub(super) fn may_be_exhausted(&self, no: WebhookNo) -> bool {
        let peak = self.records.get(&no).map_or(0, |record| record.peak);
        self.policy.disable.after.is_some_and(|after| peak >= after)
    }

    /// Compares what is stored of a webhook with what it must be; from here on what is stored is known.
    pub fn check_health(&mut self, no: WebhookNo, stored: Health) {
        let record = self.records.entry(no).or_default();
        let Record { fewest, most, health, .. } = *record;
        let fails = stored.consecutive_failures;
        record.is_resumed = false;
        (record.fewest, record.most) = (fails, fails);
        let times = (stored.last_attempt_at, stored.last_success_at);
        if !(fewest..=most).contains(&fails) || times != (health.last_attempt_at, health.last_success_at) {
            self.object(format!("{no:?} has {stored:?}, recomputed {fewest} to {most} and {health:?}"));
        }
        let is_on =
            self.registry.get(no).is_some_and(|it| it.state == WebhookState::Active && !it.is_deleted);
        if is_on && self.policy.disable.after.is_some_and(|after| fewest >= after) {
            self.object(format!("{no:?} failed {fewest} times in a row and is not off"));
        }
    }
}
