//! How fast attempts to one webhook may follow each other, where the contract bounds that.

use posthaste_core::UnixMs;
use posthaste_core::policy::AttemptRate;

/// How much of a delay is made up for: timers strike late, and without this the rate would never be reached. In any
/// window there may be as many attempts more as fit into this time, and one.
const MADE_UP_FOR_US: i64 = 5_000;

/// The spacing of one webhook's attempts. It lives in memory and begins anew after a restart.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the next attempt may start, in microseconds since 1970.
    free_at_us: i64,
}

impl Pace {
    /// An attempt starts at `now`, when it may. Answers when the next may, if that is not at once.
    pub fn start(&mut self, rate: &AttemptRate, now: UnixMs) -> Option<UnixMs> {
        let now_us = now.0.saturating_mul(1_000);
        let spacing_us = i64::try_from(rate.spacing().as_micros()).unwrap_or(i64::MAX).max(1);
        let is_a_little_late = self.free_at_us >= now_us.saturating_sub(MADE_UP_FOR_US);
        let counted_from_us = if is_a_little_late { self.free_at_us } else { now_us };
        self.free_at_us = counted_from_us.saturating_add(spacing_us);
        let is_at_once = self.free_at_us <= now_us;
        (!is_at_once).then(|| UnixMs(self.free_at_us.saturating_add(999) / 1_000))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many attempts start in each of the first seconds, with a timer that strikes `late_ms` late.
    fn in_each_second(attempts: u32, late_ms: i64) -> Vec<usize> {
        let rate = AttemptRate { attempts, window: Duration::from_secs(1) };
        let (mut pace, mut now, mut seconds) = (Pace::default(), UnixMs(1_000_000), vec![0; 3]);
        while let Some(second) = seconds.get_mut(((now.0 - 1_000_000) / 1_000) as usize) {
            *second += 1;
            if let Some(at) = pace.start(&rate, now) {
                now = UnixMs(at.0 + late_ms);
            }
        }
        seconds
    }

    #[test]
    fn so_many_start_in_each_second_and_hardly_more() {
        for (attempts, late_ms) in [(1, 0), (50, 0), (50, 2), (300, 1), (1_000, 0), (5_000, 1)] {
            let most = attempts as usize + (5 * attempts as usize).div_ceil(1_000) + 1;
            let counted = in_each_second(attempts, late_ms);
            let is_kept = |count: &usize| (attempts as usize * 9 / 10..=most).contains(count);
            assert!(counted.iter().all(is_kept), "{attempts}/s, {late_ms} ms late: {counted:?}");
        }
    }
}
