//! Mistakes that tests switch on, where what is decided in `posthaste_core` is made use of.

use posthaste_core::policy::{DisableCount, DisableRule, QueuedOnDelete};
use posthaste_core::retry::Next;
use posthaste_core::{Attempt, DeliveryPolicy, UnixMs};
use posthaste_faults::bug;

/// From which attempt on a delay that is doubled each time would not fit its number any more.
const OVERFLOWS_FROM: u32 = 32;

/// What comes after an attempt.
pub fn next(next: Next, attempt: &Attempt, policy: &DeliveryPolicy) -> Next {
    let number = attempt.number as usize;
    match next {
        Next::RetryAt(at) if bug("retry-early") => Next::RetryAt(UnixMs(at.0 - 1)),
        Next::RetryAt(_) if bug("retry-after-ignored") => {
            let delay = policy.retry.delays.get(number - 1).copied().unwrap_or_default();
            Next::RetryAt(attempt.finished_at().plus(delay))
        }
        Next::RetryAt(_) if attempt.number >= OVERFLOWS_FROM && bug("backoff-overflows") => {
            Next::RetryAt(attempt.finished_at())
        }
        Next::GiveUp if number == policy.retry.delays.len() + 1 && bug("attempt-too-many") => {
            Next::RetryAt(attempt.finished_at())
        }
        next => next,
    }
}

/// What is counted before a webhook is switched off.
pub fn disable_rule(policy: &DeliveryPolicy) -> DisableRule {
    let count = match policy.disable.count {
        DisableCount::Delivery if bug("disable-counts-attempts") => DisableCount::Attempt,
        DisableCount::Attempt if bug("disable-counts-deliveries") => DisableCount::Delivery,
        count => count,
    };
    DisableRule { count, ..policy.disable }
}

/// Is what waits for a webhook called off when that is deleted?
pub fn drops(on_delete: QueuedOnDelete) -> bool {
    on_delete == QueuedOnDelete::Drop && !bug("deleted-webhook-attempted")
}

/// Is an attempt kept from the record and made once more?
pub fn hides(attempt: &Attempt) -> bool {
    attempt.outcome.status().is_none() && attempt.started_at.0 % 2 == 0 && bug("attempt-hidden")
}
