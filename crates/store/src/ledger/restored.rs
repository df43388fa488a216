//! A store that was put back from a copy: what was due when the copy was made must not go out unasked.

use std::time::Duration;

use posthaste_core::{Action, By, UnixMs};
use rusqlite::{Connection, OptionalExtension};

use super::audit::Noted;
use super::trouble::Outcome;
use super::{Ledger, stored_checkpoint, write_meta};
use crate::store::Owed;

/// When the copy was made that the file is.
pub(super) const COPIED_AT: &str = "copied_ms";
/// A copy that is no older than this goes on by itself.
const GOES_ON_WITHIN: Duration = Duration::from_hours(1);

/// Marks a copy with the time it was made at. That of a copy that never began to send is as old as that one: what was due
/// is of then, and who holds a store does not let go of it by copying it.
pub(crate) fn mark(copy: &Connection, now: UnixMs) -> Outcome<()> {
    match copied_at(copy)? {
        Some(_) => Ok(()),
        None => write_meta(copy, COPIED_AT, &now.0),
    }
}

/// When the copy was made that the file is; `None` if it is none, or is one no longer.
pub(crate) fn copied_at(conn: &Connection) -> Outcome<Option<UnixMs>> {
    let mut statement = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([COPIED_AT], |row| row.get(0)).optional()?.map(UnixMs))
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
    /// When it is opened: a copy that is too old to go on by itself is held until somebody says that it may. A younger one
    /// stays a copy until sending begins: whoever opens it before that may be no server.
    pub fn see_copy(&mut self, now: UnixMs) -> Outcome<()> {
        let Some(copied_at) = copied_at(&self.conn)? else { return Ok(()) };
        // One from the future is of an unknown age.
        let age = now.since(copied_at).max(copied_at.since(now));
        if age <= GOES_ON_WITHIN || posthaste_faults::bug("restored-store-sends-at-once") {
            return Ok(());
        }
        self.held_since = Some(copied_at);
        Ok(())
    }

    /// When the copy was made that this store was put back from, if nothing was to be sent at the start because of that.
    pub fn held_since(&self) -> Option<UnixMs> {
        self.held_since
    }

    /// Sending begins, unless it is held.
    pub fn begin_sending(&self) -> Outcome<()> {
        match self.held_since {
            Some(_) => Ok(()),
            None => self.forget_copy().map(drop),
        }
    }

    /// Lets sending begin. Answers whether it was held: by the row, which is there again if this is not made durable.
    pub fn release_sending(&self, by: &By) -> Outcome<bool> {
        let was_held = self.forget_copy()?;
        if was_held {
            self.note(by, Action::SendingReleased, Noted { object: "sending", ..Noted::default() })?;
        }
        Ok(was_held)
    }

    /// Answers whether there was anything to forget.
    fn forget_copy(&self) -> Outcome<bool> {
        Ok(self.conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([COPIED_AT])? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::opening;
    use crate::folder::Folder;
    use crate::sealing::MasterKey;

    #[test]
    fn a_release_that_found_no_room_at_its_commit_is_done_by_its_repetition() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let keys = MasterKey::from_bytes([1; 32]).into();
        let mut ledger = opening::open(&folder, &keys, UnixMs(0)).unwrap().ledger;
        mark(ledger.conn(), UnixMs(0)).unwrap();
        let by = By::from(UnixMs(1));
        let rows = |ledger: &Ledger| -> i64 {
            let sql = "SELECT count(*) FROM audit WHERE action = 'sending.released'";
            ledger.conn().query_row(sql, [], |row| row.get(0)).unwrap()
        };
        ledger.begin().unwrap();
        assert!(ledger.whole(|ledger| ledger.release_sending(&by)).unwrap());
        ledger.roll_back().unwrap();
        assert_eq!(rows(&ledger), 0);
        for is_held in [true, false] {
            ledger.begin().unwrap();
            assert_eq!(ledger.whole(|ledger| ledger.release_sending(&by)).unwrap(), is_held);
            ledger.commit().unwrap();
            assert_eq!(rows(&ledger), 1);
        }
        ledger.see_copy(UnixMs(i64::MAX)).unwrap();
        assert_eq!(ledger.held_since(), None, "the next start does not hold it again");
    }

    #[test]
    fn a_copy_of_what_is_held_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let keys = MasterKey::from_bytes([1; 32]).into();
        let ledger = opening::open(&folder, &keys, UnixMs(0)).unwrap().ledger;
        mark(ledger.conn(), UnixMs(5)).unwrap();
        let copy = dir.path().join("copy");
        crate::backup::write(ledger.conn(), &copy, UnixMs(9)).unwrap();
        assert_eq!(copied_at(&Connection::open(&copy).unwrap()).unwrap(), Some(UnixMs(5)));
        ledger.forget_copy().unwrap();
        let copy = dir.path().join("later");
        crate::backup::write(ledger.conn(), &copy, UnixMs(9)).unwrap();
        assert_eq!(copied_at(&Connection::open(&copy).unwrap()).unwrap(), Some(UnixMs(9)));
    }

    #[test]
    fn a_young_copy_stays_one_until_sending_begins() {
        const HOUR_MS: i64 = 3_600_000;
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let keys = MasterKey::from_bytes([1; 32]).into();
        let open = |now_ms: i64| opening::open(&folder, &keys, UnixMs(now_ms)).unwrap().ledger;
        mark(open(0).conn(), UnixMs(0)).unwrap();
        for (opened_ms, is_sending, is_held) in [
            (1, false, false),
            (HOUR_MS, false, false),
            (HOUR_MS + 1, false, true),
            // What is held stays held, whoever begins.
            (HOUR_MS + 1, true, true),
            (2, true, false),
            (HOUR_MS + 1, true, false),
        ] {
            let ledger = open(opened_ms);
            assert_eq!(ledger.held_since(), is_held.then_some(UnixMs(0)), "{opened_ms} {is_sending}");
            if is_sending {
                ledger.begin_sending().unwrap();
            }
        }
    }
}
