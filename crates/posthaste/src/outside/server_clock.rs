//! The clock of a server, which goes on where the server before it stopped.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use posthaste_core::{Clock, SteadyMark, UnixMs, Uptime, steady};
use rustix::time::{ClockId, clock_gettime};

use super::SystemClock;

/// The computer's clock, and steady time by how long the computer has been up.
#[derive(Debug)]
pub struct ServerClock {
    /// Which start of the machine this is; zeros if the system does not tell.
    boot: [u8; 16],
    /// The steady time at which the machine started, in milliseconds since 1970.
    booted_at_ms: AtomicI64,
}

impl ServerClock {
    /// A clock whose steady time is what the wall clock shows, until it is told of an earlier one.
    #[must_use]
    pub fn start() -> Self {
        let clock = Self { boot: number_of_boot().unwrap_or_default(), booted_at_ms: AtomicI64::new(0) };
        clock.set(SystemClock.now());
        clock
    }

    fn set(&self, now: UnixMs) {
        self.booted_at_ms.store(now.minus(elapsed()).0, Ordering::Relaxed);
    }

    fn booted_at(&self) -> UnixMs {
        UnixMs(self.booted_at_ms.load(Ordering::Relaxed))
    }
}

impl Clock for ServerClock {
    fn now(&self) -> UnixMs {
        SystemClock.now()
    }

    fn steady(&self) -> UnixMs {
        if posthaste_faults::bug("delays-by-wall-clock") {
            return self.now();
        }
        self.booted_at().plus(elapsed())
    }

    fn mark(&self) -> Option<SteadyMark> {
        let at = self.steady();
        let ahead_ms = self.now().0.saturating_sub(at.0);
        Some(SteadyMark { boot: self.boot, booted_at: self.booted_at(), at, ahead_ms })
    }

    fn resume(&self, mark: Option<&SteadyMark>) {
        let uptime = Uptime { boot: self.boot, elapsed: elapsed() };
        self.set(steady::resumed(self.now(), &uptime, mark));
    }
}

/// How long the computer has been up, on Linux with the time that it slept.
fn elapsed() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    Duration::try_from(clock_gettime(CLOCK)).unwrap_or_default()
}

/// The random number that Linux gives each of its starts.
fn number_of_boot() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.trim().chars().filter(|character| *character != '-').collect();
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_time_goes_on_from_one_process_to_the_next() {
        const DAYS_10: i64 = 864_000_000;
        let before = ServerClock::start();
        before.set(before.now().minus(Duration::from_millis(DAYS_10.unsigned_abs())));
        let mark = before.mark().unwrap();
        assert!((0..60_000).contains(&(mark.ahead_ms - DAYS_10)), "{mark:?}");
        let after = ServerClock::start();
        assert!(after.steady().since(mark.at) > Duration::from_hours(239), "nobody told it");
        after.resume(Some(&mark));
        assert!(after.steady() >= mark.at && after.steady().since(mark.at) < Duration::from_mins(1));
        after.resume(None);
        assert!(after.now().0.abs_diff(after.steady().0) < 60_000);
    }
}
