//! A store that was put back from a copy: what was due when the copy was made must not go out unasked.

use std::time::Duration;

use posthaste_core::{Action, By, UnixMs};
use rusqlite::{Connection, OptionalExtension};

use super::audit::Noted;
use super::trouble::Outcome;
use super::{Ledger, stored_checkpoint, write_meta};
use crate::store::Owed;

/// When the copy was made that the file is.
const COPIED_AT: &str = "copied_ms";
/// A copy that is no older than this goes on by itself.
const GOES_ON_WITHIN: Duration = Duration::from_hours(1);

/// Marks a copy with the time it was made at.
pub(crate) fn mark(copy: &Connection, now: UnixMs) -> Outcome<()> {
    write_meta(copy, COPIED_AT, &now.0)
}

/// What is owed to webhooks now.
pub(crate) fn owed(conn: &Connection) -> Outcome<Owed> {
    let checkpoint = stored_checkpoint(conn)?;
    let mut statement = conn.prepare_cached(
        "SELECT (SELECT count(*) FROM deliveries INDEXED BY deliveries_pending WHERE next_ms IS NOT NULL),
             (SELECT count(*) FROM events WHERE seq > ?1)",
    )?;
    let count = |number: i64| number.max(0).unsigned_abs();
    Ok(statement.query_row([checkpoint.0], |row| {
        Ok(Owed { deliveries: count(row.get(0)?), events: count(row.get(1)?) })
    })?)
}

impl Ledger {
    /// At the start: a copy that is too old to go on by itself is held until somebody says that it may.
    pub fn see_copy(&mut self, now: UnixMs) -> Outcome<()> {
        let copied_ms: Option<i64> = self
            .conn
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([COPIED_AT], |row| row.get(0))
            .optional()?;
        let Some(copied_at) = copied_ms.map(UnixMs) else { return Ok(()) };
        // One from the future is of an unknown age.
        let age = now.since(copied_at).max(copied_at.since(now));
        if age <= GOES_ON_WITHIN || posthaste_faults::bug("restored-store-sends-at-once") {
            return self.forget_copy();
        }
        self.held_since = Some(copied_at);
        Ok(())
    }

    /// When the copy was made that this store was put back from, while nothing is sent because of that.
    pub fn held_since(&self) -> Option<UnixMs> {
        self.held_since
    }

    /// Lets sending begin. Answers whether it was held.
    pub fn release_sending(&mut self, by: &By) -> Outcome<bool> {
        if self.held_since.is_none() {
            return Ok(false);
        }
        self.forget_copy()?;
        self.note(by, Action::SendingReleased, Noted { object: "sending", ..Noted::default() })?;
        self.held_since = None;
        Ok(true)
    }

    fn forget_copy(&self) -> Outcome<()> {
        self.conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([COPIED_AT])?;
        Ok(())
    }
}
