//! Somebody who writes everything down in words of its own and objects at once where that is possible.
//!
//! The engine's and the store's decisions are not asked: what is owed, what may start, what counts and what must be
//! refused is worked out here a second time, from what people did and what reached the disk.

mod health;
mod history;
mod names;
mod owed;
mod registry;

mod attempts;
mod records;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use posthaste_core::{DeliveryKey, DeliveryPolicy, UnixMs, WebhookNo};
use posthaste_store::WebhookLimits;

pub use names::Expected;
pub use owed::{Fact, Owed, Stand};
pub use registry::Known;

use health::Record;
use names::Names;
use owed::Obligations;
use registry::Registry;

/// What happened, and what should not have.
pub struct Witness {
    pub policy: DeliveryPolicy,
    /// Webhooks as people left them.
    pub registry: Registry,
    /// Events, and what is owed for them.
    pub owed: Obligations,
    /// Keys that publishers named events by.
    pub names: Names,
    /// How each webhook has done.
    records: BTreeMap<WebhookNo, Record>,
    /// Attempts made in all.
    pub attempts: u64,
    /// Requests that were repeated because a process ended before their outcome was recorded.
    pub repeated: u64,
    /// What should not have happened.
    pub violations: Vec<String>,
    under_way: BTreeSet<DeliveryKey>,
    /// Attempts that ended and are not recorded.
    unrecorded: BTreeSet<DeliveryKey>,
    /// When attempts to a webhook started in this life, as far back as its rate looks.
    starts: BTreeMap<WebhookNo, VecDeque<UnixMs>>,
    /// What ended before this may be forgotten, and when that was last decided, by the steady clock.
    pub expired_before: UnixMs,
    /// The wall clock was set: when attempts ended is written down by it.
    pub is_clock_wrong: bool,
}

impl Witness {
    pub fn new(policy: DeliveryPolicy, limits: WebhookLimits) -> Self {
        Self {
            policy,
            registry: Registry::new(limits),
            owed: Obligations::default(),
            names: Names::default(),
            records: BTreeMap::new(),
            attempts: 0,
            repeated: 0,
            violations: Vec::new(),
            under_way: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            starts: BTreeMap::new(),
            expired_before: UnixMs(i64::MIN),
            is_clock_wrong: false,
        }
    }

    pub fn object(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Attempts of a delivery that the contract allows.
    fn attempts_max(&self) -> u32 {
        u32::try_from(self.policy.retry.delays.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}
