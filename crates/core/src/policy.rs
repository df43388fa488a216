//! What a contract promises about deliveries, as plain values.

use std::time::Duration;

/// Everything the engine needs to know of a contract besides bodies and signatures.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPolicy {
    /// The longest a whole attempt may take, from the name lookup to the last byte read.
    pub timeout: Duration,
    /// Which status codes mean delivered.
    pub success: StatusSet,
    /// Does a 410 answer switch the webhook off and end the delivery?
    pub gone_disables: bool,
    /// When failed attempts are repeated.
    pub retry: RetrySchedule,
    /// When a failing webhook is switched off.
    pub disable: DisableRule,
    /// What becomes of deliveries not yet sent when their webhook is deleted.
    pub on_delete: QueuedOnDelete,
    /// How many attempts to one webhook may start in a time, evenly spread; `None` for as many as it takes.
    pub rate: Option<AttemptRate>,
}

/// A contract's retry promise.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySchedule {
    /// The wait before each retry; attempts in all are one more than there are delays.
    pub delays: Vec<Duration>,
    /// The largest share of a delay that may be added by chance, 0.0 for none. Delays are never shortened.
    pub jitter: f64,
    /// Is a receiver's `Retry-After` on 429 and 503 obeyed?
    pub honours_retry_after: bool,
}

/// So many attempts in a window, evenly spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptRate {
    /// How many may start in the window; 0 counts as 1.
    pub attempts: u32,
    /// The window.
    pub window: Duration,
}

impl AttemptRate {
    /// How long after one attempt the next may start.
    #[must_use]
    pub fn spacing(&self) -> Duration {
        self.window / self.attempts.max(1)
    }
}

/// Status codes that count as delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSet(pub Vec<std::ops::RangeInclusive<u16>>);

impl StatusSet {
    /// Does this code mean delivered?
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// When a failing webhook is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisableRule {
    /// Failures in a row that switch it off; `None` never does.
    pub after: Option<u32>,
    /// What counts as a failure.
    pub count: DisableCount,
}

/// What a contract counts before it switches a webhook off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisableCount {
    /// Deliveries that used up their tries.
    Delivery,
    /// Every failed request.
    Attempt,
}

/// What becomes of deliveries that exist but are not under way when their webhook is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueuedOnDelete {
    /// They are canceled.
    Drop,
    /// They are carried to their end, retries included.
    Drain,
}
