//! Signs of life for whoever watches from outside whether deliveries get on.
//!
//! Nothing in here is a time: whoever watches has a clock of its own, and compares what it reads with what it read
//! before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How deliveries get on, as their driver last saw it.
#[derive(Debug, Default)]
pub struct Pulse {
    steps: AtomicU64,
    attempts: AtomicU64,
    is_owing: AtomicBool,
    oldest: AtomicU64,
}

/// What is read of a [`Pulse`] at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beat {
    /// Steps of the dispatcher. There is one a second at least.
    pub steps: u64,
    /// Attempts that began, and attempts that ended.
    pub attempts: u64,
    /// Is something due and nothing under way?
    pub is_owing: bool,
    /// The number of the attempt that has been under way longest; 0 if none is.
    pub oldest: u64,
}

impl Pulse {
    /// Reads it.
    #[must_use]
    pub fn beat(&self) -> Beat {
        Beat {
            steps: self.steps.load(Ordering::Relaxed),
            attempts: self.attempts.load(Ordering::Relaxed),
            is_owing: self.is_owing.load(Ordering::Relaxed),
            oldest: self.oldest.load(Ordering::Relaxed),
        }
    }

    /// A step was made.
    pub(crate) fn stepped(&self, is_owing: bool, oldest: u64) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.is_owing.store(is_owing, Ordering::Relaxed);
        self.oldest.store(oldest, Ordering::Relaxed);
    }

    /// So many attempts began or ended.
    pub(crate) fn moved(&self, attempts: usize) {
        self.attempts.fetch_add(attempts as u64, Ordering::Relaxed);
    }
}
