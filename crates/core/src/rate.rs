//! Rate limits: the generic cell rate algorithm, with weights and what rate headers need.

use std::time::Duration;

use crate::time::UnixMs;

/// A limit of so many units in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Units allowed in one window, all at once if need be.
    pub units: u32,
    /// The window.
    pub window: Duration,
}

/// What one caller has used. New callers start with the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateUse {
    /// When everything used so far will have been given back, in microseconds since 1970.
    free_at_us: i64,
}

/// The answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateAnswer {
    /// Was the request within the limit?
    pub allowed: bool,
    /// Units left right now.
    pub remaining: u32,
    /// How long until the whole limit is free again.
    pub resets_in: Duration,
    /// How long to wait before the same request would be allowed; zero if it was.
    pub retry_in: Duration,
}

impl RateLimit {
    /// Spends `weight` units at `now` if they are there; a refused request spends nothing.
    pub fn spend(&self, used: &mut RateUse, weight: u32, now: UnixMs) -> RateAnswer {
        let now_us = now.0.saturating_mul(1000);
        let window_us = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        let units = i64::from(self.units.max(1));
        // Rounded down: a unit may come back a part of a microsecond early, never late.
        let unit_us = (window_us / units).max(1);
        let start = used.free_at_us.max(now_us);
        let wanted = start.saturating_add(unit_us.saturating_mul(i64::from(weight)));
        let over = wanted.saturating_sub(now_us.saturating_add(unit_us * units));
        let allowed = over <= 0;
        if allowed {
            used.free_at_us = wanted;
        }
        let owed = used.free_at_us.saturating_sub(now_us).max(0);
        let remaining = (units - (owed + unit_us - 1) / unit_us).max(0);
        RateAnswer {
            allowed,
            remaining: u32::try_from(remaining).unwrap_or(0),
            resets_in: Duration::from_micros(owed.unsigned_abs()),
            retry_in: Duration::from_micros(over.max(0).unsigned_abs()),
        }
    }

    /// Is nothing of this use left to remember?
    #[must_use]
    pub fn is_free(used: &RateUse, now: UnixMs) -> bool {
        used.free_at_us <= now.0.saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIXTY_A_MINUTE: RateLimit = RateLimit { units: 60, window: Duration::from_secs(60) };

    #[test]
    fn sixty_pass_and_the_next_waits_a_second() {
        let mut used = RateUse::default();
        let now = UnixMs(1_000_000);
        for left in (0..60).rev() {
            let answer = SIXTY_A_MINUTE.spend(&mut used, 1, now);
            assert!(answer.allowed);
            assert_eq!(answer.remaining, left);
        }
        let refused = SIXTY_A_MINUTE.spend(&mut used, 1, now);
        assert!(!refused.allowed);
        assert_eq!(refused.retry_in, Duration::from_secs(1));
        assert_eq!(refused.resets_in, Duration::from_secs(60));
        assert!(SIXTY_A_MINUTE.spend(&mut used, 1, UnixMs(1_001_000)).allowed);
    }

    #[test]
    fn weights_are_spent_whole_or_not_at_all() {
        let mut used = RateUse::default();
        assert_eq!(SIXTY_A_MINUTE.spend(&mut used, 50, UnixMs(0)).remaining, 10);
        assert!(!SIXTY_A_MINUTE.spend(&mut used, 11, UnixMs(0)).allowed);
        assert!(SIXTY_A_MINUTE.spend(&mut used, 10, UnixMs(0)).allowed);
    }
}
