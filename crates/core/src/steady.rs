//! Steady time: what everything that waits waits by.
//!
//! The wall clock can be set. Steady time goes on by one second in each second whatever becomes of the wall clock, also
//! from one process to the next. It begins as the time that the wall clock showed, so that the two are alike where
//! nobody sets a clock. See `docs/decisions/0020-steady-time.md`.

use std::time::Duration;

use crate::time::UnixMs;

/// Steady time never stands before this: places of events count seconds from 2025 on.
const EARLIEST: UnixMs = UnixMs(1_735_689_600_000);

/// What is remembered of steady time, so that the next process goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteadyMark {
    /// Which start of the machine this was, by a random number of its own; zeros if the system does not tell.
    pub boot: [u8; 16],
    /// The steady time at which the machine started, in milliseconds since 1970.
    pub booted_at: UnixMs,
    /// The steady time of this mark.
    pub at: UnixMs,
    /// How far the wall clock is ahead of steady time, in milliseconds; below zero if it is behind.
    pub ahead_ms: i64,
}

/// How long the machine has been up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uptime {
    /// Which start of the machine, as in [`SteadyMark`].
    pub boot: [u8; 16],
    /// How long ago that was.
    pub elapsed: Duration,
}

/// The steady time now, when a process starts.
///
/// While the machine stays up its own count of seconds says what has passed since the mark. After that only the wall
/// clock can tell; time never goes back for it, so that nothing waits for what was once.
#[must_use]
pub fn resumed(wall: UnixMs, uptime: &Uptime, mark: Option<&SteadyMark>) -> UnixMs {
    let Some(mark) = mark else { return wall.max(EARLIEST) };
    let is_same_boot = mark.boot == uptime.boot && uptime.boot != [0; 16];
    let now = if is_same_boot {
        mark.booted_at.plus(uptime.elapsed)
    } else {
        UnixMs(wall.0.saturating_sub(mark.ahead_ms))
    };
    now.max(mark.at).max(EARLIEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS_10: i64 = 864_000_000;
    const NOW: i64 = 1_800_000_000_000;
    const BOOT: [u8; 16] = [1; 16];

    /// A mark made when the machine had been up for 1,000 s, with the wall clock so far ahead.
    fn mark(ahead_ms: i64) -> SteadyMark {
        SteadyMark { boot: BOOT, booted_at: UnixMs(NOW - 1_000_000), at: UnixMs(NOW), ahead_ms }
    }

    #[test]
    fn it_goes_on_where_it_was() {
        let same = |elapsed_s| Uptime { boot: BOOT, elapsed: Duration::from_secs(elapsed_s) };
        let other = Uptime { boot: [2; 16], elapsed: Duration::from_secs(5) };
        let unknown = Uptime { boot: [0; 16], elapsed: Duration::from_secs(5) };
        let rows = [
            ("the first start", NOW, same(5), None, NOW),
            ("the first start of a machine without a clock", 20_000, same(5), None, EARLIEST.0),
            ("a minute later", NOW + 60_000, same(1_060), Some(mark(0)), NOW + 60_000),
            ("the clock was set forward meanwhile", NOW + DAYS_10, same(1_060), Some(mark(0)), NOW + 60_000),
            ("the clock was set back meanwhile", NOW - DAYS_10, same(1_060), Some(mark(0)), NOW + 60_000),
            ("to 1970", 0, same(1_060), Some(mark(0)), NOW + 60_000),
            ("another start, a minute later", NOW + 60_000, other, Some(mark(0)), NOW + 60_000),
            ("still set forward", NOW + DAYS_10 + 60_000, other, Some(mark(DAYS_10)), NOW + 60_000),
            ("still set back", NOW - DAYS_10 + 60_000, other, Some(mark(-DAYS_10)), NOW + 60_000),
            ("set right again", NOW + 60_000, other, Some(mark(DAYS_10)), NOW),
            ("set back", NOW - DAYS_10, other, Some(mark(0)), NOW),
            ("1970 once more", 20_000, other, Some(mark(0)), NOW),
            ("no number of the start", NOW + 60_000, unknown, Some(mark(0)), NOW + 60_000),
            ("marks of the end of time", i64::MIN, other, Some(mark(i64::MAX)), NOW),
        ];
        for (what, wall, uptime, mark, expected) in rows {
            assert_eq!(resumed(UnixMs(wall), &uptime, mark.as_ref()), UnixMs(expected), "{what}");
        }
        let nowhere = SteadyMark { boot: [0; 16], ..mark(0) };
        assert_eq!(
            resumed(UnixMs(NOW + 1), &unknown, Some(&nowhere)),
            UnixMs(NOW + 1),
            "zeros are no number"
        );
        println!("counted | reliability | starts of a process with a clock that was set | {}", rows.len());
    }
}
