//! Example values that are the same every time.

use std::sync::atomic::{AtomicU64, Ordering};

use posthaste_core::{Dice, IdKind, UnixMs};

/// Rolls a fixed sequence; only for examples.
#[derive(Default)]
struct Loaded(AtomicU64);

impl Dice for Loaded {
    fn fill(&self, bytes: &mut [u8]) {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        for byte in bytes {
            let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
            *byte = (state.wrapping_mul(STEP) >> 56) as u8;
        }
    }
}

/// 2026-01-01T00:00:00Z.
const EXAMPLE_TIME: UnixMs = UnixMs(1_767_225_600_000);

/// An id of this form.
pub fn id(kind: &IdKind) -> String {
    kind.random(EXAMPLE_TIME, &Loaded::default())
}
