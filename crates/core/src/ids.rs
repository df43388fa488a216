//! Internal numbers. They never leave the process as such; `public_id` makes what users see.

use serde::{Deserialize, Serialize};

use crate::time::UnixMs;

/// The internal number of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountNo(pub i64);

/// The internal number of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyNo(pub i64);

/// The internal number of a webhook. Numbers are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WebhookNo(pub i64);

/// An event's place in the order of acceptance: 31 bits of seconds since 2025-01-01, then 17 bits of counter.
///
/// It fits 48 bits, so that the shortest ids (twelve hex digits) can carry it, and lasts until 2093.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Seq(pub i64);

impl Seq {
    /// How many bits a sequence number takes.
    pub const BITS: u32 = 48;
    const EPOCH_S: i64 = 1_735_689_600;
    const COUNTER_BITS: u32 = 17;

    /// The first sequence number of the second that `at` lies in.
    #[must_use]
    pub fn first_of(at: UnixMs) -> Self {
        const LAST_S: i64 = i64::MAX >> Seq::COUNTER_BITS;
        Self(at.seconds().saturating_sub(Self::EPOCH_S).clamp(0, LAST_S) << Self::COUNTER_BITS)
    }

    /// The end of the second that it stands for: its event was accepted before that, in steady time.
    #[must_use]
    pub fn end_of_second(self) -> UnixMs {
        let seconds = (self.0 >> Self::COUNTER_BITS).saturating_add(Self::EPOCH_S + 1);
        UnixMs(seconds.saturating_mul(1_000))
    }

    /// The number after `last` for an event accepted at `now`. Always larger than `last`, whatever the clock does.
    #[must_use]
    pub fn next(last: Self, now: UnixMs) -> Self {
        let next = last.0.saturating_add(1);
        match Self::first_of(now).0 {
            // A time for which there is no place: the counter goes on alone.
            first if first >> Self::BITS != 0 => Self(next),
            first => Self(next.max(first)),
        }
    }
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The event.
    pub event: Seq,
    /// The webhook it goes to.
    pub webhook: WebhookNo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_grow_even_when_the_clock_is_set_back() {
        let now = UnixMs(1_800_000_000_000);
        let first = Seq::next(Seq(0), now);
        assert_eq!(first, Seq::first_of(now));
        assert_eq!(Seq::next(first, now), Seq(first.0 + 1));
        assert_eq!(Seq::next(first, UnixMs(0)), Seq(first.0 + 1));
    }

    #[test]
    fn times_without_a_place_do_not_use_places_up() {
        let first = Seq::next(Seq(0), UnixMs(1_800_000_000_000));
        for at in [i64::MIN, -1, 0, 4_102_444_800_000, 253_402_300_800_000, i64::MAX] {
            assert_eq!(Seq::next(first, UnixMs(at)), Seq(first.0 + 1), "{at}");
            assert!(Seq::first_of(UnixMs(at)).0 >= 0, "{at}");
        }
    }

    #[test]
    fn sequence_numbers_fit_their_bits_until_2093() {
        let last = UnixMs::parse_rfc3339("2092-12-31T23:59:59Z").unwrap();
        assert!(Seq::first_of(last).0 < 1 << Seq::BITS);
    }
}
