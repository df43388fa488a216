//! Steady time, as the store remembers it: due times are written down by it, and the next process goes on with it.

use posthaste_core::{Clock, SteadyMark, UnixMs};
use rusqlite::{Connection, OptionalExtension};

use super::trouble::{Outcome, Trouble};
use super::{Ledger, write_meta};

/// How far the wall clock must have moved against steady time to be noted at once, in milliseconds.
const NOTED_MS: u64 = 100;
/// From when on it was set by somebody, and did not just go a little faster or slower, in milliseconds.
const SET_MS: u64 = 1_000;
/// How old what is remembered may be while something is written, in milliseconds.
const OLD_MS: u64 = 1_000;

/// When due times are shown to people, the wall clock's difference is added: the name of the row in `meta`.
pub(super) const AHEAD: &str = "ahead_ms";
/// The furthest that it ever was ahead.
pub(super) const MOST_AHEAD: &str = "most_ahead_ms";
pub(super) const MARK: &str = "steady";
/// There is such a row while pending rows may have to be dated anew, so that the next process goes on with it.
pub(super) const DATING_ANEW: &str = "dating_anew";

/// A place in the index of pending rows: the webhook, when the row is due, the event.
pub(super) type Place = (i64, i64, i64);
const FIRST_PLACE: Place = (i64::MIN, i64::MIN, i64::MIN);

/// What the writer knows of the time.
#[derive(Default)]
pub(super) struct Time {
    /// As it is in the tables.
    mark: Option<SteadyMark>,
    /// As of this transaction.
    now: Option<UnixMs>,
    /// How far the wall clock is ahead as people are shown it.
    shown_ahead_ms: i64,
    /// How far it was when it was looked at last.
    seen_ahead_ms: i64,
    /// Behind which place rows may have to be dated anew because the wall clock was set; `None` if none has to be.
    pub dating_anew: Option<Place>,
}

impl Time {
    pub fn read(conn: &Connection) -> Outcome<Self> {
        let mark = read(conn)?;
        let shown_ahead_ms = number(conn, AHEAD)?.unwrap_or(0);
        let dating_anew = number(conn, DATING_ANEW)?.map(|_| FIRST_PLACE);
        let seen_ahead_ms = mark.map_or(0, |mark| mark.ahead_ms);
        Ok(Self { mark, now: None, shown_ahead_ms, seen_ahead_ms, dating_anew })
    }

    /// The latest steady time that is written down.
    pub fn latest(&self) -> Option<UnixMs> {
        Some(self.mark?.at)
    }

    /// How far the wall clock is ahead of steady time, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.mark.map_or(0, |mark| mark.ahead_ms)
    }

    /// The same to the millisecond, as of this transaction.
    pub fn seen_ahead_ms(&self) -> i64 {
        self.seen_ahead_ms
    }

    /// The steady time of this transaction, if there is a clock.
    pub fn at(&self) -> Option<UnixMs> {
        self.now
    }

    /// The steady time of what is asked for at this time of the wall clock, in this transaction.
    pub fn steady(&self, at: UnixMs) -> UnixMs {
        self.now.unwrap_or_else(|| self.steady_at(at))
    }

    /// What a time of the wall clock is in steady time.
    pub fn steady_at(&self, at: UnixMs) -> UnixMs {
        UnixMs(at.0.saturating_sub(self.ahead_ms()))
    }

    /// What a steady time is by the wall clock.
    pub fn wall_at(&self, at: UnixMs) -> UnixMs {
        UnixMs(at.0.saturating_add(self.ahead_ms()))
    }
}

impl Ledger {
    /// Lets a clock go on where the process before stopped, and remembers where that is. What has to be dated anew is, and
    /// is durable bit by bit: a start that is cut off has not done it in vain. `between` is called between two bits.
    pub fn resume_clock(
        &mut self,
        clock: &dyn Clock,
        mut between: impl FnMut(&mut Self) -> Outcome<()>,
    ) -> Outcome<()> {
        clock.resume(self.time.mark.as_ref());
        self.begin()?;
        self.look_at_clock(clock)?;
        while self.date_many_anew()? {
            self.commit()?;
            between(self)?;
            self.begin()?;
        }
        self.commit()?;
        Ok(())
    }

    /// Remembers the time with what this transaction writes, so that nothing durable was made by a time that is forgotten.
    pub fn look_at_clock(&mut self, clock: &dyn Clock) -> Outcome<()> {
        let Some(mark) = clock.mark() else { return Ok(()) };
        self.time.now = Some(mark.at);
        let moved_ms = mark.ahead_ms.saturating_sub(self.time.seen_ahead_ms);
        self.time.seen_ahead_ms = mark.ahead_ms;
        if moved_ms.unsigned_abs() >= SET_MS {
            tracing::warn!(by_ms = moved_ms, "the wall clock was set; what waits goes on waiting as before");
            self.time.dating_anew = Some(FIRST_PLACE);
            write_meta(&self.conn, DATING_ANEW, &1)?;
        }
        let known = self.time.mark;
        let has_moved = known.is_none() || self.time.shown_ahead_ms.abs_diff(mark.ahead_ms) >= NOTED_MS;
        if has_moved {
            write_meta(&self.conn, AHEAD, &mark.ahead_ms)?;
            let most = number(&self.conn, MOST_AHEAD)?.unwrap_or(0).max(mark.ahead_ms);
            write_meta(&self.conn, MOST_AHEAD, &most)?;
        }
        let is_old =
            known.is_none_or(|known| known.boot != mark.boot || known.at.0.abs_diff(mark.at.0) >= OLD_MS);
        if has_moved || is_old {
            write_meta(&self.conn, MARK, &pack(&mark))?;
            self.time.mark = Some(mark);
            self.time.shown_ahead_ms = if has_moved { mark.ahead_ms } else { self.time.shown_ahead_ms };
        }
        Ok(())
    }
}

const PACKED_BYTES: usize = 40;

fn pack(mark: &SteadyMark) -> [u8; PACKED_BYTES] {
    let mut packed = [0; PACKED_BYTES];
    packed[..16].copy_from_slice(&mark.boot);
    packed[16..24].copy_from_slice(&mark.booted_at.0.to_le_bytes());
    packed[24..32].copy_from_slice(&mark.at.0.to_le_bytes());
    packed[32..].copy_from_slice(&mark.ahead_ms.to_le_bytes());
    packed
}

fn read(conn: &Connection) -> Outcome<Option<SteadyMark>> {
    let Some(packed) = super::read_bytes::<PACKED_BYTES>(conn, MARK)? else { return Ok(None) };
    let damaged = || Trouble::damaged("meta", MARK, "has the wrong length");
    let (boot, times) = packed.split_first_chunk().ok_or_else(damaged)?;
    let time = |place: usize| {
        let bytes = times.as_chunks().0.get(place).ok_or_else(damaged)?;
        Ok::<_, Trouble>(i64::from_le_bytes(*bytes))
    };
    Ok(Some(SteadyMark {
        boot: *boot,
        booted_at: UnixMs(time(0)?),
        at: UnixMs(time(1)?),
        ahead_ms: time(2)?,
    }))
}

fn number(conn: &Connection, key: &str) -> Outcome<Option<i64>> {
    let mut statement = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// The earliest that it may have been in steady time when the wall clock showed this.
pub(super) fn earliest(conn: &Connection, wall: UnixMs) -> Outcome<UnixMs> {
    let most = number(conn, MOST_AHEAD)?.unwrap_or(0);
    Ok(UnixMs(wall.0.saturating_sub(most)))
}
