//! A clock that is set by hand, and chance that is not.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use posthaste_core::{Clock, Dice, UnixMs};

/// Stands still until it is moved.
pub struct SetClock(AtomicI64);

impl Default for SetClock {
    fn default() -> Self {
        // 2026-04-18T10:00:00Z
        Self(AtomicI64::new(1_776_506_400_000))
    }
}

impl SetClock {
    pub fn time(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> UnixMs {
        self.time()
    }
}

/// Numbers that differ from each other: the same ones in every run.
#[derive(Default)]
pub struct Chance(AtomicU64);

impl Chance {
    /// How often it was asked.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst) as usize
    }
}

impl Dice for Chance {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64.
            let step = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            let mut mixed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}
