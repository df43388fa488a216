//! The promises deliveries are made under: other ones in every world.

use std::time::Duration;

use posthaste_core::policy::{AttemptRate, DisableCount, DisableRule, QueuedOnDelete, StatusSet};
use posthaste_core::{DeliveryPolicy, RetrySchedule};

use crate::dice::SeededDice;

/// The longest an attempt may take in all worlds.
pub const TIMEOUT: Duration = Duration::from_secs(10);

pub fn policy(dice: &SeededDice) -> DeliveryPolicy {
    DeliveryPolicy {
        timeout: TIMEOUT,
        success: StatusSet(vec![200..=299]),
        gone_disables: dice.chance(0.5),
        retry: RetrySchedule {
            delays: delays(dice),
            jitter: *dice.pick(&[0.0, 0.1]),
            honours_retry_after: dice.chance(0.7),
        },
        disable: DisableRule {
            after: if dice.chance(0.4) { None } else { Some(dice.between(2, 12) as u32) },
            count: *dice.pick(&[DisableCount::Delivery, DisableCount::Attempt]),
        },
        on_delete: *dice.pick(&[QueuedOnDelete::Drop, QueuedOnDelete::Drain]),
        rate: dice.chance(0.2).then(|| rate(dice)),
    }
}

/// A few delays mostly; now and then so many that whoever doubles a delay each time comes to the end of a number.
fn delays(dice: &SeededDice) -> Vec<Duration> {
    if dice.chance(0.05) {
        return (0..dice.between(34, 48))
            .map(|n| Duration::from_millis(500 + 10 * n.unsigned_abs()))
            .collect();
    }
    (0..dice.between(0, 4)).map(|_| Duration::from_millis(dice.between(500, 90_000).unsigned_abs())).collect()
}

fn rate(dice: &SeededDice) -> AttemptRate {
    AttemptRate {
        attempts: dice.between(1, 20) as u32,
        window: Duration::from_secs(*dice.pick(&[1, 10, 60])),
    }
}
