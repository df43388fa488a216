//! What an ended attempt means.

use posthaste_core::delivery::reasons;
use posthaste_core::health::Verdict;
use posthaste_core::retry::{self, Next};
use posthaste_core::{Attempt, DeliveryPolicy, DeliveryState, Dice, UnixMs, Webhook, WebhookState};

use super::bugs;

/// Where a delivery stands after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The state.
    pub state: DeliveryState,
    /// Why, where that is not plain.
    pub reason: Option<&'static str>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<UnixMs>,
    /// What it says of the webhook.
    pub verdict: Verdict,
    /// Did the receiver say it is gone for good?
    pub is_gone: bool,
}

/// Settles an attempt. `webhook` is `None` if there is none any more; a test is never repeated.
pub fn settle(
    attempt: &Attempt,
    webhook: Option<&Webhook>,
    is_test: bool,
    policy: &DeliveryPolicy,
    dice: &dyn Dice,
) -> Settlement {
    let next = retry::after(attempt.number, &attempt.outcome, attempt.finished_at(), policy, dice);
    let next = bugs::next(next, attempt, policy);
    let ended =
        |state, reason, verdict| Settlement { state, reason, next_attempt_at: None, verdict, is_gone: false };
    match next {
        Next::Delivered => ended(DeliveryState::Delivered, None, Verdict::Success),
        Next::Gone => {
            let failed = ended(DeliveryState::Failed, Some(reasons::GONE), Verdict::FailedDelivery);
            Settlement { is_gone: !is_test, ..failed }
        }
        Next::RetryAt(_) | Next::GiveUp if is_test => {
            ended(DeliveryState::Failed, None, Verdict::FailedDelivery)
        }
        Next::GiveUp => {
            ended(DeliveryState::Failed, Some(reasons::ATTEMPTS_EXHAUSTED), Verdict::FailedDelivery)
        }
        Next::RetryAt(at) => match no_retry_reason(webhook, policy) {
            Some(reason) => ended(DeliveryState::Canceled, Some(reason), Verdict::FailedAttempt),
            None => Settlement {
                state: DeliveryState::Pending,
                reason: None,
                next_attempt_at: Some(at),
                verdict: Verdict::FailedAttempt,
                is_gone: false,
            },
        },
    }
}

/// Why nothing more may be sent to a webhook, if so.
pub fn no_retry_reason(webhook: Option<&Webhook>, policy: &DeliveryPolicy) -> Option<&'static str> {
    match webhook {
        None => Some(reasons::WEBHOOK_DELETED),
        Some(webhook) if webhook.state == WebhookState::Disabled => Some(reasons::WEBHOOK_DISABLED),
        Some(webhook) if webhook.is_account_deleted => Some(reasons::WEBHOOK_DELETED),
        Some(webhook) if webhook.deleted.is_some() => {
            bugs::drops(policy.on_delete).then_some(reasons::WEBHOOK_DELETED)
        }
        Some(_) => None,
    }
}
