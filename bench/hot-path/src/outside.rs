//! Time that stands still, and chance that repeats.

use std::sync::atomic::{AtomicU64, Ordering};

use posthaste_core::{Clock, Dice, UnixMs};

/// The time of everything.
pub const NOW: UnixMs = UnixMs(1_790_000_000_000);

/// A clock that shows [`NOW`].
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> UnixMs {
        NOW
    }
}

/// SplitMix64 from a fixed seed.
#[derive(Default)]
pub struct SeededDice(AtomicU64);

impl Dice for SeededDice {
    fn fill(&self, bytes: &mut [u8]) {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        for chunk in bytes.chunks_mut(8) {
            let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}
