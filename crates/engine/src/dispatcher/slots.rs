//! How many attempts are under way, and which of them are in nobody's way.
//!
//! An attempt takes a slot when it starts. One that its receiver lets wait gives the slot back before it ends: receivers
//! that hang have no use for what those that answer need. How many hang at one time has a bound of its own. The bytes of
//! their bodies are bounded in the same way, since each is in memory for as long as its attempt lasts.

use std::collections::BTreeMap;

use posthaste_core::UnixMs;

use crate::bounds::Bounds;

/// The attempts under way.
#[derive(Default)]
pub struct Slots {
    /// Those that hold a slot, in the order they started.
    held: BTreeMap<u64, Held>,
    held_load: Load,
    /// The part of it that goes to webhooks that fail.
    failing: Load,
    /// Those that have given their slot back.
    slow: Load,
    last_given: u64,
}

struct Held {
    since: UnixMs,
    is_failing: bool,
    body_bytes: usize,
}

/// What attempts weigh.
#[derive(Default, Clone, Copy)]
struct Load {
    attempts: usize,
    body_bytes: usize,
}

impl Load {
    fn add(&mut self, body_bytes: usize) {
        self.attempts += 1;
        self.body_bytes += body_bytes;
    }

    fn remove(&mut self, body_bytes: usize) {
        self.attempts -= 1;
        self.body_bytes -= body_bytes;
    }

    fn is_below(self, attempts: usize, body_bytes: usize) -> bool {
        self.attempts < attempts && self.body_bytes < body_bytes
    }
}

impl Slots {
    /// Is there a slot?
    pub fn has_room(&self, bounds: &Bounds) -> bool {
        self.held_load.is_below(bounds.in_flight, bounds.in_flight_bytes)
    }

    /// May a webhook that fails take one?
    pub fn has_room_for_failing(&self, bounds: &Bounds) -> bool {
        self.failing.is_below(bounds.in_flight_failing, bounds.in_flight_failing_bytes)
    }

    /// Takes a slot for an attempt that starts; the number is given back with the attempt.
    pub fn take(&mut self, now: UnixMs, is_failing: bool, body_bytes: usize) -> u64 {
        self.last_given += 1;
        self.held.insert(self.last_given, Held { since: now, is_failing, body_bytes });
        self.held_load.add(body_bytes);
        if is_failing {
            self.failing.add(body_bytes);
        }
        self.last_given
    }

    /// The attempt with this number has ended, and so has the need for its body.
    pub fn give_back(&mut self, number: u64, body_bytes: usize) {
        match self.held.remove(&number) {
            Some(held) => self.let_go(&held),
            None => self.slow.remove(body_bytes),
        }
    }

    /// Takes the slots from attempts that have been under way for long.
    pub fn free_slow(&mut self, now: UnixMs, bounds: &Bounds) {
        while self.next_slow(bounds).is_some_and(|at| at <= now) {
            if let Some((_, held)) = self.held.pop_first() {
                self.let_go(&held);
                self.slow.add(held.body_bytes);
            }
        }
    }

    fn let_go(&mut self, held: &Held) {
        self.held_load.remove(held.body_bytes);
        if held.is_failing {
            self.failing.remove(held.body_bytes);
        }
    }

    /// When the oldest attempt with a slot will have been under way for long.
    pub fn next_slow(&self, bounds: &Bounds) -> Option<UnixMs> {
        let has_room = self.slow.is_below(bounds.in_flight_slow, bounds.in_flight_slow_bytes);
        let (_, oldest) = self.held.first_key_value().filter(|_| has_room)?;
        Some(oldest.since.plus(bounds.slow_after))
    }

    /// How many attempts are under way.
    pub fn under_way(&self) -> usize {
        self.held.len() + self.slow.attempts
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
        let first = slots.take(UnixMs(0), true, 1);
        let second = slots.take(UnixMs(500), false, 1);
        assert!(!slots.has_room(&bounds) && !slots.has_room_for_failing(&bounds));
        slots.free_slow(UnixMs(999), &bounds);
        assert!(!slots.has_room(&bounds));
        slots.free_slow(UnixMs(5_000), &bounds);
        assert!(slots.has_room(&bounds) && slots.has_room_for_failing(&bounds));
        assert_eq!((slots.under_way(), slots.next_slow(&bounds)), (2, None), "one may be slow, not both");
        slots.give_back(first, 1);
        assert_eq!(slots.next_slow(&bounds), Some(UnixMs(1_500)));
        slots.give_back(second, 1);
        assert_eq!(slots.under_way(), 0);
        assert!(slots.has_room_for_failing(&bounds));
    }

    #[test]
    fn bodies_have_bounds_of_their_own() {
        let bounds = Bounds {
            in_flight_bytes: 10,
            in_flight_failing_bytes: 5,
            in_flight_slow_bytes: 8,
            slow_after: Duration::from_secs(1),
            ..Bounds::default()
        };
        let mut slots = Slots::default();
        let first = slots.take(UnixMs(0), true, 5);
        assert!(slots.has_room(&bounds) && !slots.has_room_for_failing(&bounds));
        let second = slots.take(UnixMs(0), false, 7);
        assert!(!slots.has_room(&bounds));
        let third = slots.take(UnixMs(0), false, 4);
        slots.free_slow(UnixMs(1_000), &bounds);
        assert!(slots.has_room(&bounds) && slots.has_room_for_failing(&bounds));
        assert_eq!(slots.next_slow(&bounds), None, "what hangs has enough of them");
        slots.give_back(first, 5);
        assert_eq!(slots.next_slow(&bounds), Some(UnixMs(1_000)));
        slots.give_back(second, 7);
        slots.give_back(third, 4);
        assert_eq!(slots.under_way(), 0);
        assert!([slots.held_load, slots.failing, slots.slow].iter().all(|load| load.body_bytes == 0));
    }
}
