//! Events that are to be sent at a time of the wall clock, when that was wrong and is set right.
//!
//! Their deliveries wait by steady time like all others. How far the clock was ahead when that was reckoned can be told
//! from the row: it is what lies between the two times. Where the clock is nearer to steady time now, it is reckoned anew.

use std::collections::BTreeSet;

use posthaste_core::{DeliveryKey, Seq, UnixMs, WebhookNo, due_in_steady_time};
use rusqlite::{OptionalExtension, params};

use super::Ledger;
use super::deliveries::NOT_ITS_TURN_MS;
use super::steady::{DATING_ANEW, Place};
use super::trouble::Outcome;

/// How many pending rows one step looks at.
const STEP_ROWS: i64 = 1_000;
const SECOND_MS: u64 = 1_000;
/// How many steps a start makes in one transaction.
const STEPS_AT_A_START: usize = 50;

/// A pending row that was never attempted, of an event that is to be sent at a time.
struct Waiting {
    place: Place,
    send_ms: i64,
}

impl Ledger {
    /// One step of looking through what waits. Answers whether there is more to look at.
    pub(super) fn date_anew(&mut self) -> Outcome<bool> {
        let Some(from) = self.time.dating_anew else { return Ok(false) };
        let last = self.place_after(from)?;
        let mut nudged = BTreeSet::new();
        for Waiting { place: (webhook, next_ms, event), send_ms } in self.waiting_between(from, last)? {
            let due_ms = send_ms.saturating_sub(self.time.seen_ahead_ms());
            if self.is_nearer(send_ms, next_ms) {
                self.conn
                    .prepare_cached("UPDATE deliveries SET next_ms = ?3 WHERE event = ?1 AND webhook = ?2")?
                    .execute([event, webhook, due_ms])?;
                nudged.insert(webhook);
            }
        }
        self.effects.nudged.extend(nudged.into_iter().map(WebhookNo));
        self.time.dating_anew = last;
        if last.is_none() {
            self.conn.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([DATING_ANEW])?;
        }
        Ok(last.is_some())
    }

    /// Many steps, for a start, which has it all done before anything is sent. Answers whether there is more.
    pub(super) fn date_many_anew(&mut self) -> Outcome<bool> {
        for _ in 0..STEPS_AT_A_START {
            if !self.date_anew()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Is the clock nearer to steady time than it was when a row was dated? How far it was then may be known to the second.
    fn is_nearer(&self, send_ms: i64, next_ms: i64) -> bool {
        self.time.seen_ahead_ms().unsigned_abs().saturating_add(SECOND_MS) < send_ms.abs_diff(next_ms)
    }

    /// When a row is due that was reckoned a moment ago: the clock may have been set right in between.
    pub(super) fn dated_now(&self, event: Seq, due_at: UnixMs) -> Outcome<UnixMs> {
        if self.time.at().is_none_or(|now| due_at <= now) {
            return Ok(due_at);
        }
        let send_ms: Option<i64> = self
            .conn
            .prepare_cached("SELECT send_ms FROM events WHERE seq = ?1")?
            .query_row([event.0], |row| row.get(0))
            .optional()?
            .flatten();
        let nearer = send_ms.filter(|send_ms| self.is_nearer(*send_ms, due_at.0));
        Ok(nearer.map_or(due_at, |send_ms| UnixMs(send_ms.saturating_sub(self.time.seen_ahead_ms()))))
    }

    /// When a delivery that was never tried is due by its event, in steady time.
    pub(super) fn send_time(&self, key: DeliveryKey) -> Outcome<Option<UnixMs>> {
        let times = self
            .conn
            .prepare_cached(
                "SELECT e.created_ms, e.send_ms FROM deliveries d CROSS JOIN events e ON e.seq = d.event
                 WHERE d.event = ?1 AND d.webhook = ?2 AND d.attempts = 0 AND e.send_ms IS NOT NULL",
            )?
            .query_row([key.event.0, key.webhook.0], |row| Ok((UnixMs(row.get(0)?), UnixMs(row.get(1)?))))
            .optional()?;
        let ahead_ms = self.time.seen_ahead_ms();
        Ok(times.map(|(created_at, send_at)| due_in_steady_time(key.event, created_at, send_at, ahead_ms)))
    }

    /// The last row of the step that begins behind `from`, if there are more behind that.
    fn place_after(&self, from: Place) -> Outcome<Option<Place>> {
        let mut statement = self.conn.prepare_cached(
            "SELECT webhook, next_ms, event FROM deliveries INDEXED BY deliveries_pending
             WHERE next_ms IS NOT NULL AND (webhook, next_ms, event) > (?1, ?2, ?3)
             ORDER BY webhook, next_ms, event LIMIT 1 OFFSET ?4",
        )?;
        let place = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(statement.query_row(params![from.0, from.1, from.2, STEP_ROWS - 1], place).optional()?)
    }

    fn waiting_between(&self, from: Place, last: Option<Place>) -> Outcome<Vec<Waiting>> {
        let last = last.unwrap_or((i64::MAX, i64::MAX, i64::MAX));
        let mut statement = self.conn.prepare_cached(
            "SELECT d.webhook, d.next_ms, d.event, e.send_ms
             FROM deliveries d INDEXED BY deliveries_pending CROSS JOIN events e ON e.seq = d.event
             WHERE d.next_ms IS NOT NULL AND d.next_ms < ?7 AND d.attempts = 0 AND e.send_ms IS NOT NULL
               AND (d.webhook, d.next_ms, d.event) > (?1, ?2, ?3)
               AND (d.webhook, d.next_ms, d.event) <= (?4, ?5, ?6)",
        )?;
        let range = params![from.0, from.1, from.2, last.0, last.1, last.2, NOT_ITS_TURN_MS];
        let rows = statement.query_map(range, |row| {
            Ok(Waiting { place: (row.get(0)?, row.get(1)?, row.get(2)?), send_ms: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_core::{Clock, SteadyMark};
    use tempfile::TempDir;

    use super::*;
    use crate::embedded::opening;
    use crate::folder::Folder;
    use crate::sealing::MasterKey;
    use crate::{Embedded, Options};

    const START: i64 = 1_800_000_000_000;
    const DAYS_10: i64 = 864_000_000;
    const ROWS: i64 = 60_000;
    const CUT_OFF_AT: i64 = 55_000;

    /// A clock of the wall that is so far ahead of steady time.
    struct Ahead(i64);

    impl Clock for Ahead {
        fn now(&self) -> UnixMs {
            UnixMs(START + self.0)
        }

        fn mark(&self) -> Option<SteadyMark> {
            Some(SteadyMark { boot: [1; 16], booted_at: UnixMs(0), at: UnixMs(START), ahead_ms: self.0 })
        }
    }

    fn open(dir: &TempDir) -> Ledger {
        let folder = Folder::open(dir.path()).unwrap();
        opening::open(&folder, &MasterKey::from_bytes([1; 32]).into(), UnixMs(0)).unwrap().ledger
    }

    #[test]
    fn a_start_that_is_cut_off_while_it_dates_anew_has_not_done_it_in_vain() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = open(&dir);
        ledger.resume_clock(&Ahead(-DAYS_10), |_| Ok(())).unwrap();
        ledger.conn().execute_batch(&filling()).unwrap();
        let stop = format!(
            "CREATE TEMP TRIGGER stop BEFORE UPDATE ON deliveries WHEN NEW.event > {CUT_OFF_AT}
             BEGIN SELECT RAISE(ABORT, 'cut off'); END"
        );
        ledger.conn().execute_batch(&stop).unwrap();
        ledger.resume_clock(&Ahead(0), |_| Ok(())).unwrap_err();
        drop(ledger);
        assert_eq!(dated(&open(&dir)), (50_000, true));

        let keys = Some(MasterKey::from_bytes([1; 32]).into());
        let store = Embedded::open(dir.path(), keys, Options::default(), Arc::new(Ahead(0))).unwrap();
        // What a kill leaves now: the log was begun anew on the way.
        let image = tempfile::tempdir().unwrap();
        for name in ["posthaste.db", "posthaste.db-wal"] {
            std::fs::copy(dir.path().join(name), image.path().join(name)).unwrap();
        }
        drop(store);
        assert_eq!(dated(&open(&image)), (ROWS, false));
    }

    /// Deliveries of events that wait for a time which was reckoned while the clock was ten days behind.
    fn filling() -> String {
        let numbers =
            format!("WITH RECURSIVE n(no) AS (SELECT 1 UNION ALL SELECT no + 1 FROM n WHERE no < {ROWS})");
        let send_ms = START + 1;
        format!(
            "BEGIN;
             {numbers} INSERT INTO events
                 (seq, audience, type, created_ms, send_ms, data_start, data_end, checksum, body)
                 SELECT no, 1, 'a', 0, {send_ms}, 0, 0, 0, x'' FROM n;
             {numbers} INSERT INTO deliveries (event, webhook, state, attempts, next_ms)
                 SELECT no, 1, 0, 0, {send_ms} + {DAYS_10} FROM n;
             COMMIT;"
        )
    }

    /// How many are dated anew, and whether it is known that more may have to be.
    fn dated(ledger: &Ledger) -> (i64, bool) {
        let sql = "SELECT (SELECT count(*) FROM deliveries WHERE next_ms = ?1),
                          EXISTS (SELECT 1 FROM meta WHERE key = ?2)";
        let counts = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        ledger.conn().query_row(sql, params![START + 1, DATING_ANEW], counts).unwrap()
    }
}
