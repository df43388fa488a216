//! What a seed decides beforehand: each world has its own mix of faults, some off, some extreme.

use std::time::Duration;

use posthaste_core::policy::{DisableCount, DisableRule, QueuedOnDelete, StatusSet};

use posthaste_core::{DeliveryPolicy, RetrySchedule, UnixMs};
use posthaste_engine::bounds::Bounds;

use crate::dice::SeededDice;

/// The plan of one world.
pub struct Script {
    /// The promise deliveries are made under.
    pub policy: DeliveryPolicy,
    /// Small, so that overflow is the rule.
    pub bounds: Bounds,
    /// Customers.
    pub accounts: i64,
    /// Webhooks at the beginning.
    pub webhooks: i64,
    /// Publish calls in the faulty part.
    pub publishes: i64,
    /// Acts of customers and operators in the faulty part.
    pub acts: i64,
    /// Crashes in the faulty part.
    pub crashes: i64,
    /// How long the faulty part lasts.
    pub faulty_for: Duration,
    /// How long what ended is kept; `None` for longer than the world lasts.
    pub retention: Option<Duration>,
    /// How likely an attempt meets a fault of the network or the receiver.
    pub fault_rate: f64,
    /// How likely a hint is lost.
    pub hint_loss: f64,
    /// The slowest answer of store and network, in milliseconds.
    pub slowest_ms: i64,
}

/// When all worlds begin.
pub const BEGINNING: UnixMs = UnixMs(1_780_000_000_000);

impl Script {
    pub fn of(dice: &SeededDice) -> Self {
        Self {
            policy: policy(dice),
            bounds: bounds(dice),
            accounts: dice.between(1, 4),
            webhooks: dice.between(1, 12),
            publishes: dice.between(5, 60),
            acts: if dice.chance(0.3) { 0 } else { dice.between(1, 25) },
            crashes: if dice.chance(0.4) { 0 } else { dice.between(1, 5) },
            faulty_for: Duration::from_secs(dice.between(1, 600).unsigned_abs()),
            retention: dice.chance(0.5).then(|| Duration::from_secs(dice.between(5, 400).unsigned_abs())),
            fault_rate: *dice.pick(&[0.0, 0.1, 0.5, 0.9, 1.0]),
            hint_loss: *dice.pick(&[0.0, 0.0, 0.2, 1.0]),
            slowest_ms: *dice.pick(&[1, 50, 8_000]),
        }
    }
}

fn policy(dice: &SeededDice) -> DeliveryPolicy {
    let delays =
        (0..dice.between(0, 4)).map(|_| Duration::from_millis(dice.between(500, 90_000).unsigned_abs()));
    DeliveryPolicy {
        timeout: Duration::from_secs(10),
        success: StatusSet(vec![200..=299]),
        gone_disables: dice.chance(0.5),
        retry: RetrySchedule {
            delays: delays.collect(),
            jitter: *dice.pick(&[0.0, 0.1]),
            honours_retry_after: dice.chance(0.7),
        },
        disable: DisableRule {
            after: if dice.chance(0.4) { None } else { Some(dice.between(2, 12) as u32) },
            count: *dice.pick(&[DisableCount::Delivery, DisableCount::Attempt]),
        },
        on_delete: *dice.pick(&[QueuedOnDelete::Drop, QueuedOnDelete::Drain]),
        rate: None,
    }
}

fn bounds(dice: &SeededDice) -> Bounds {
    Bounds {
        in_flight: dice.between(1, 32) as usize,
        in_flight_failing: dice.between(1, 4) as usize,
        in_flight_per_webhook: dice.between(1, 8) as usize,
        lane: dice.between(2, 16) as usize,
        failing_lane: dice.between(1, 4) as usize,
        waiting: dice.between(4, 64) as usize,
        waiting_bytes: *dice.pick(&[1_000, 64_000]),
        fresh_events: *dice.pick(&[0, 4, 64]),
        fresh_bytes: *dice.pick(&[100, 64_000]),
        fan_out: dice.between(1, 8) as usize,
        record: dice.between(4, 64) as usize,
        slow_after: Duration::from_millis(*dice.pick(&[100, 1_000])),
        in_flight_slow: dice.between(0, 4) as usize,
        load: dice.between(1, 8) as usize,
        load_events: dice.between(1, 16) as usize,
        loads_in_flight: dice.between(1, 4) as usize,
        in_flight_bytes: *dice.pick(&[200, 64_000]),
        in_flight_failing_bytes: *dice.pick(&[100, 64_000]),
        in_flight_slow_bytes: *dice.pick(&[0, 200, 64_000]),
        light_body_bytes: *dice.pick(&[0, 64, 4_096]),
        in_flight_bytes_per_webhook: *dice.pick(&[100, 64_000]),
        accounts_sharing: dice.between(1, 4) as usize,
        ..Bounds::default()
    }
}
