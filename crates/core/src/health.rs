//! How a webhook has been doing, and when it is switched off.

use crate::policy::{DisableCount, DisableRule};
use crate::time::UnixMs;

/// A webhook's running record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failures since the last success: deliveries or attempts, as the contract counts.
    pub consecutive_failures: u32,
    /// When the latest attempt ended.
    pub last_attempt_at: Option<UnixMs>,
    /// When the latest successful attempt ended.
    pub last_success_at: Option<UnixMs>,
}

/// What one ended attempt means for the health of its webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver took it.
    Success,
    /// It failed and will be tried again.
    FailedAttempt,
    /// It failed and was the delivery's last try.
    FailedDelivery,
}

impl Health {
    /// Notes an attempt that ended at `at`.
    pub fn note(&mut self, verdict: Verdict, at: UnixMs, rule: &DisableRule) {
        self.last_attempt_at = self.last_attempt_at.max(Some(at));
        match (verdict, rule.count) {
            (Verdict::Success, _) => {
                self.consecutive_failures = 0;
                self.last_success_at = self.last_success_at.max(Some(at));
            }
            (Verdict::FailedDelivery, _) | (Verdict::FailedAttempt, DisableCount::Attempt) => {
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            }
            (Verdict::FailedAttempt, DisableCount::Delivery) => {}
        }
    }

    /// Is it time to switch the webhook off?
    #[must_use]
    pub fn is_exhausted(&self, rule: &DisableRule) -> bool {
        rule.after.is_some_and(|after| self.consecutive_failures >= after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_failures(count: DisableCount, verdicts: &[Verdict]) -> Health {
        let rule = DisableRule { after: Some(2), count };
        let mut health = Health::default();
        for (at, verdict) in verdicts.iter().enumerate() {
            health.note(*verdict, UnixMs(at as i64), &rule);
        }
        health
    }

    #[test]
    fn the_contract_says_whether_attempts_or_deliveries_count() {
        use Verdict::{FailedAttempt, FailedDelivery, Success};
        let story = [FailedAttempt, FailedAttempt, FailedDelivery];
        assert_eq!(after_failures(DisableCount::Delivery, &story).consecutive_failures, 1);
        assert_eq!(after_failures(DisableCount::Attempt, &story).consecutive_failures, 3);
        let recovered = after_failures(DisableCount::Attempt, &[FailedAttempt, Success]);
        assert_eq!((recovered.consecutive_failures, recovered.last_success_at), (0, Some(UnixMs(1))));
    }
}
