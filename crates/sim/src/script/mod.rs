//! What a seed decides beforehand: each world has its own mix of faults, some off, some extreme.

mod bounds;
mod policy;

use std::time::Duration;

use posthaste_core::{DeliveryPolicy, UnixMs};
use posthaste_engine::bounds::Bounds;
use posthaste_store::WebhookLimits;

use crate::dice::SeededDice;
pub use policy::TIMEOUT;

/// The plan of one world.
pub struct Script {
    /// The promise deliveries are made under.
    pub policy: DeliveryPolicy,
    /// How much the engine takes on.
    pub bounds: Bounds,
    /// Who there is and what they do.
    pub people: People,
    /// What goes wrong.
    pub faults: Faults,
    /// How long the faulty part lasts.
    pub faulty_for: Duration,
    /// How long what ended is kept; `None` for longer than the world lasts.
    pub retention: Option<Duration>,
}

/// Customers, products and operators.
pub struct People {
    /// Customers.
    pub accounts: i64,
    /// Webhooks at the beginning.
    pub webhooks: i64,
    /// What the contract allows of them.
    pub limits: WebhookLimits,
    /// How many URLs there are to choose from: few where they often clash.
    pub urls: i64,
    /// Publish calls in the faulty part.
    pub publishes: i64,
    /// How likely a call names its event by a key.
    pub named: f64,
    /// How likely such a key is one used before.
    pub named_again: f64,
    /// How likely an event has an ordering key.
    pub ordered: f64,
    /// Acts of customers and operators in the faulty part.
    pub acts: i64,
}

/// How often what goes wrong. A share is the likelihood for each time it could.
pub struct Faults {
    /// Moments at which the process dies.
    pub crashes: i64,
    /// Moments at which the process is told to end.
    pub shutdowns: i64,
    /// Moments at which the wall clock is set.
    pub clock_jumps: i64,
    /// Times in which the disk is almost full.
    pub full_times: i64,
    /// Attempts that meet a fault of the network or the receiver.
    pub network: f64,
    /// Hints that are lost.
    pub hints: f64,
    /// Commits that fail.
    pub commits: f64,
    /// Commits after which the process dies before anybody is answered.
    pub after_commits: f64,
    /// Answers to publishers that are lost on their way.
    pub answers: f64,
    /// The slowest way to a receiver, in milliseconds.
    pub slowest_way_ms: i64,
    /// The slowest answer of the store, in milliseconds.
    pub slowest_store_ms: i64,
}

/// The share of worlds in which somebody sets the wall clock.
const CLOCKS_SET: f64 = 0.3;
/// When all worlds begin.
pub const BEGINNING: UnixMs = UnixMs(1_780_000_000_000);

impl Script {
    /// With `sets_clocks` somebody sets the wall clock in every world.
    pub fn of(dice: &SeededDice, sets_clocks: bool) -> Self {
        let minutes = *dice.pick(&[1, 10, 10, 10, 60]);
        Self {
            policy: policy::policy(dice),
            bounds: bounds::bounds(dice),
            people: People::of(dice),
            faults: Faults::of(dice, sets_clocks),
            faulty_for: Duration::from_secs(dice.between(1, minutes * 60).unsigned_abs()),
            retention: dice.chance(0.5).then(|| Duration::from_secs(dice.between(5, 400).unsigned_abs())),
        }
    }
}

impl People {
    fn of(dice: &SeededDice) -> Self {
        Self {
            accounts: dice.between(1, 4),
            webhooks: dice.between(1, 12),
            limits: WebhookLimits {
                max: dice.chance(0.5).then(|| dice.between(1, 5) as u32),
                per_key: false,
                unique_url: dice.chance(0.5),
            },
            urls: *dice.pick(&[3, 1_000]),
            publishes: dice.between(5, 60),
            named: *dice.pick(&[0.0, 0.5, 1.0]),
            named_again: *dice.pick(&[0.0, 0.1, 0.4]),
            ordered: *dice.pick(&[0.0, 0.0, 0.3, 1.0]),
            acts: some(dice, 0.7, 25),
        }
    }
}

impl Faults {
    fn of(dice: &SeededDice, sets_clocks: bool) -> Self {
        Self {
            crashes: some(dice, 0.5, 5),
            shutdowns: some(dice, 0.3, 3),
            clock_jumps: some(dice, if sets_clocks { 1.0 } else { CLOCKS_SET }, 4),
            full_times: some(dice, 0.2, 3),
            network: *dice.pick(&[0.0, 0.1, 0.5, 0.9, 1.0]),
            hints: *dice.pick(&[0.0, 0.0, 0.2, 1.0]),
            commits: *dice.pick(&[0.0, 0.0, 0.0, 0.05]),
            after_commits: *dice.pick(&[0.0, 0.0, 0.0, 0.05]),
            answers: *dice.pick(&[0.0, 0.1, 0.3]),
            slowest_way_ms: *dice.pick(&[1, 50, 4_000]),
            slowest_store_ms: *dice.pick(&[1, 100, 100, 5_000]),
        }
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&mut self) {
        *self = Self {
            crashes: 0,
            shutdowns: 0,
            clock_jumps: 0,
            full_times: 0,
            network: 0.0,
            hints: 0.0,
            commits: 0.0,
            after_commits: 0.0,
            answers: 0.0,
            ..*self
        };
    }
}

/// Some in this share of worlds, at most `most`; none in the others.
fn some(dice: &SeededDice, share: f64, most: i64) -> i64 {
    if dice.chance(share) { dice.between(1, most) } else { 0 }
}
