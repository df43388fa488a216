//! The credentials that were right lately, by address. Looked at with every request, so nobody waits for anybody here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posthaste_core::UnixMs;

/// For how long an accepted credential is remembered after its last use.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Places that one pair may stand in. They share a line of the processor's cache.
const PLACES: usize = 8;
/// The bits of a slot that hold the minute of the last use; the rest is the pair's.
const MINUTE_BITS: u32 = 16;

/// A use within so many minutes after one that was noted is not noted.
const NOTED_EVERY_MINUTES: u64 = 30;

/// When a pair was noted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// So lately that another time changes nothing.
    JustNow,
    /// Within the time that it is remembered.
    Before,
}

/// A table of fixed size. Of those that would stand in the same places the one unused for longest goes; a pair that is
/// forgotten is merely no exception any more.
pub(super) struct Accepted {
    sets: Box<[Set]>,
}

#[repr(align(64))]
#[derive(Default)]
struct Set([AtomicU64; PLACES]);

impl Accepted {
    /// Room for about so many.
    pub fn for_about(count: usize) -> Self {
        Self { sets: (0..count.div_ceil(PLACES).max(1)).map(|_| Set::default()).collect() }
    }

    /// Was the pair accepted lately, and if so, is that worth noting anew when it is accepted once more?
    pub fn knows(&self, pair: u64, now: UnixMs) -> Option<Noted> {
        let mut slots = self.set(pair).iter().map(|slot| slot.load(Ordering::Relaxed));
        let age_minutes = age_minutes(slots.find(|found| is_of(*found, pair))?, minute(now));
        match age_minutes {
            0..NOTED_EVERY_MINUTES => Some(Noted::JustNow),
            _ if age_minutes <= KEPT.as_secs() / 60 => Some(Noted::Before),
            _ => None,
        }
    }

    /// Notes that the pair was accepted.
    pub fn keep(&self, pair: u64, now: UnixMs) {
        let minute = minute(now);
        let entry = (pair >> MINUTE_BITS << MINUTE_BITS) | u64::from(minute);
        let set = self.set(pair);
        let age = |slot: &&AtomicU64| match slot.load(Ordering::Relaxed) {
            0 => u64::MAX,
            found => age_minutes(found, minute),
        };
        let its_own = set.iter().find(|slot| is_of(slot.load(Ordering::Relaxed), pair));
        if let Some(slot) = its_own.or_else(|| set.iter().max_by_key(age))
            && slot.load(Ordering::Relaxed) != entry
        {
            slot.store(entry, Ordering::Relaxed);
        }
    }

    fn set(&self, pair: u64) -> &[AtomicU64] {
        let number = pair % self.sets.len() as u64;
        self.sets.get(number as usize).map_or(&[], |set| &set.0)
    }
}

fn is_of(found: u64, pair: u64) -> bool {
    found != 0 && (found ^ pair) >> MINUTE_BITS == 0
}

/// The minute as far as it fits into a slot.
fn minute(now: UnixMs) -> u16 {
    (now.0 / 60_000) as u16
}

/// The distance in time, whichever way the clock was set.
fn age_minutes(found: u64, minute: u16) -> u64 {
    u64::from((minute.wrapping_sub(found as u16) as i16).unsigned_abs())
}
