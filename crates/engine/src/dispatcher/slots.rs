//! How many attempts are under way, and which of them are in nobody's way.
//!
//! An attempt takes a slot when it starts. One that its receiver lets wait gives the slot back before it ends: receivers
//! that hang have no use for what those that answer need. How many hang at one time has a bound of its own.

use std::collections::BTreeMap;

use posthaste_core::UnixMs;

use crate::bounds::Bounds;

/// The attempts under way.
#[derive(Default)]
pub struct Slots {
    /// Those that hold a slot, in the order they started.
    held: BTreeMap<u64, Held>,
    /// How many of these go to webhooks that fail.
    failing: usize,
    /// How many more have given their slot back.
    slow: usize,
    last_given: u64,
}

struct Held {
    since: UnixMs,
    is_failing: bool,
}

impl Slots {
    /// Is there a slot?
    pub fn has_room(&self, bounds: &Bounds) -> bool {
        self.held.len() < bounds.in_flight
    }

    /// May a webhook that fails take one?
    pub fn has_room_for_failing(&self, bounds: &Bounds) -> bool {
        self.failing < bounds.in_flight_failing
    }

    /// Takes a slot for an attempt that starts; the number is given back with the attempt.
    pub fn take(&mut self, now: UnixMs, is_failing: bool) -> u64 {
        self.last_given += 1;
        self.held.insert(self.last_given, Held { since: now, is_failing });
        self.failing += usize::from(is_failing);
        self.last_given
    }

    /// The attempt with this number has ended.
    pub fn give_back(&mut self, number: u64) {
        match self.held.remove(&number) {
            Some(held) => self.failing -= usize::from(held.is_failing),
            None => self.slow -= 1,
        }
    }

    /// Takes the slots from attempts that have been under way for long.
    pub fn free_slow(&mut self, now: UnixMs, bounds: &Bounds) {
        while self.next_slow(bounds).is_some_and(|at| at <= now) {
            if let Some((_, held)) = self.held.pop_first() {
                self.failing -= usize::from(held.is_failing);
                self.slow += 1;
            }
        }
    }

    /// When the oldest attempt with a slot will have been under way for long.
    pub fn next_slow(&self, bounds: &Bounds) -> Option<UnixMs> {
        let (_, oldest) = self.held.first_key_value().filter(|_| self.slow < bounds.in_flight_slow)?;
        Some(oldest.since.plus(bounds.slow_after))
    }

    /// How many attempts are under way.
    pub fn under_way(&self) -> usize {
        self.held.len() + self.slow
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: fn() -> Bounds = || Bounds {
        in_flight: 2,
        in_flight_failing: 1,
        in_flight_slow: 1,
        slow_after: Duration::from_secs(1),
        ..Bounds::default()
    };

    #[test]
    fn what_hangs_makes_room_up_to_its_own_bound() {
        let (mut slots, bounds) = (Slots::default(), BOUNDS());
        let first = slots.take(UnixMs(0), true);
        let second = slots.take(UnixMs(500), false);
        assert!(!slots.has_room(&bounds) && !slots.has_room_for_failing(&bounds));
        slots.free_slow(UnixMs(999), &bounds);
        assert!(!slots.has_room(&bounds));
        slots.free_slow(UnixMs(5_000), &bounds);
        assert!(slots.has_room(&bounds) && slots.has_room_for_failing(&bounds));
        assert_eq!((slots.under_way(), slots.next_slow(&bounds)), (2, None), "one may be slow, not both");
        slots.give_back(first);
        assert_eq!(slots.next_slow(&bounds), Some(UnixMs(1_500)));
        slots.give_back(second);
        assert_eq!(slots.under_way(), 0);
        assert!(slots.has_room_for_failing(&bounds));
    }
}
