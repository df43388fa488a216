//! Housekeeping in small steps, so that no publisher waits long behind one.

use std::collections::BTreeMap;

use posthaste_core::{DeliveryKey, DeliveryState, Seq, UnixMs, WebhookNo};
use rusqlite::params;

use super::deliveries::{key_at, state_number};
use super::trouble::Outcome;
use super::{Ledger, write_seq};

/// About how many rows one step changes.
const STEP_ROWS: usize = 250;
/// How many deliveries one step deletes at least and at most. Between them it deletes one for each event and each delivery
/// that was added since the step before: twice as much as came in, and little where little comes in.
const EXPIRED_MIN: usize = 60;
const EXPIRED_MAX: usize = 500;
/// One page is given back to the file system for so many of them; mostly more of them lie on a page.
const ROWS_ON_A_PAGE: usize = 8;
/// Free pages that stay in the file for what comes next.
const FREE_PAGES_KEPT: i64 = 1_024;
/// Beyond this share of the file, free pages are given back.
const FREE_SHARE: i64 = 8;

/// When a delivery that is not pending ended, by the wall clock, as SQL.
fn ended_ms() -> &'static str {
    match posthaste_faults::bug("canceled-expire-at-once") {
        true => "coalesce(last_ms, 0)",
        false => "max(coalesce(canceled_ms, 0), coalesce(last_ms, 0))",
    }
}

/// A delivery that ended long ago.
struct Ended {
    key: DeliveryKey,
    was_attempted: bool,
}

/// A number of rows as SQL has it.
fn bound(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

impl Ledger {
    /// One step; where the disk is short of room it gives back what it can. Answers whether another would find more to do.
    pub fn tidy(
        &mut self,
        expired_before: UnixMs,
        drop_queued_of_deleted: bool,
        now: UnixMs,
        is_disk_short: bool,
    ) -> Outcome<bool> {
        let changed = std::mem::take(&mut self.effects.changed);
        self.note_closing(&changed);
        self.effects.changed = changed;
        if self.sweep_at == Seq(0) {
            self.unstrand(now)?;
        }
        let rows = std::mem::take(&mut self.added).clamp(EXPIRED_MIN, EXPIRED_MAX);
        let mut is_more = self.date_anew()?;
        is_more |= self.end_pending(drop_queued_of_deleted, now)?;
        self.leave_roster()?;
        is_more |= self.expire(expired_before, rows)?;
        is_more |= self.forget_tokens(now)?;
        is_more |= self.purge_step()?;
        is_more |= self.give_back_space(rows / ROWS_ON_A_PAGE, is_disk_short)?;
        posthaste_faults::point("store.tidy-step");
        Ok(is_more)
    }

    /// One step for the audit log and the tokens. Answers whether another would find more to do.
    pub fn tidy_audit(&mut self, used: &BTreeMap<String, UnixMs>, expired_before: UnixMs) -> Outcome<bool> {
        self.note_uses(used)?;
        // Rows tell the wall clock. While it is ahead it does not say that they are old; while it is behind it does not
        // say that those from before are young.
        let expired_before = self.time.wall_at(expired_before).min(expired_before);
        let is_more = self.forget_changes(expired_before, STEP_ROWS)?;
        Ok(self.forget_tokens_ended(expired_before, STEP_ROWS)? || is_more)
    }

    /// Ends rows of some webhooks, beginning where the step before left off.
    fn end_pending(&mut self, drop_queued_of_deleted: bool, now: UnixMs) -> Outcome<bool> {
        let at = self.time.wall_at(now);
        let mut left = STEP_ROWS;
        for (no, closing) in self.closing.range(self.close_at..) {
            let Some(reason) = closing.reason(drop_queued_of_deleted) else { continue };
            // A webhook without rows costs a look.
            left -= (self.cancel_some(*no, reason, at, left)? + 1).min(left);
            if left == 0 {
                self.close_at = *no;
                return Ok(true);
            }
        }
        self.close_at = WebhookNo(0);
        Ok(false)
    }

    /// Those due last come first: of a chain, what waits for its turn goes before what has it.
    fn cancel_some(&self, no: WebhookNo, reason: &str, at: UnixMs, limit: usize) -> Outcome<usize> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE deliveries SET state = ?2, reason = ?3, next_ms = NULL, canceled_ms = ?5
             WHERE webhook = ?1 AND event IN (
                 SELECT event FROM deliveries INDEXED BY deliveries_pending
                 WHERE webhook = ?1 AND next_ms IS NOT NULL ORDER BY next_ms DESC LIMIT ?4)",
        )?;
        let canceled = state_number(DeliveryState::Canceled);
        Ok(statement.execute(params![no.0, canceled, reason, bound(limit), at.0])?)
    }

    /// Deleted webhooks leave the roster once nothing can be owed to them any more.
    fn leave_roster(&mut self) -> Outcome<()> {
        let mut left = Vec::new();
        for (no, closing) in &self.closing {
            let is_dispatched = closing.deleted_at().is_some_and(|seq| seq <= self.checkpoint);
            if is_dispatched && !self.has_pending(*no)? {
                left.push(*no);
            }
        }
        left.iter().for_each(|no| _ = self.closing.remove(no));
        self.effects.left.extend(left);
        Ok(())
    }

    fn has_pending(&self, no: WebhookNo) -> Outcome<bool> {
        let mut statement = self.conn.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM deliveries WHERE webhook = ?1 AND next_ms IS NOT NULL)",
        )?;
        Ok(statement.query_row([no.0], |row| row.get(0))?)
    }

    /// Deletes what ended long ago, beginning where the step before left off.
    fn expire(&mut self, expired_before: UnixMs, rows: usize) -> Outcome<bool> {
        let end = Seq::first_of(expired_before).min(Seq(self.checkpoint.0.saturating_add(1)));
        if posthaste_faults::bug("retention-takes-pending") {
            let sql = "DELETE FROM deliveries WHERE next_ms IS NOT NULL AND event < ?1";
            self.conn.prepare_cached(sql)?.execute([end.0])?;
        }
        let (events, last) = self.events_between(self.sweep_at, end, rows)?;
        // Places are by steady time, ends by the wall clock. Both must be old: one alone may be wrong.
        let expired_before = self.time.wall_at(expired_before);
        let ended = self.ended_between(self.sweep_at, last, expired_before, rows)?;
        let is_cut = ended.len() == rows;
        // Where rows are left out, the last event may have more of them.
        let last = if is_cut { ended.last().map_or(last, |row| row.key.event) } else { last };
        if let (Some(first), Some(last)) = (ended.first(), ended.last()) {
            self.delete_ended(first.key, last.key, expired_before)?;
        }
        self.delete_events_without_deliveries(self.sweep_at, last)?;
        self.count_as_deleted(&ended)?;
        self.swept_to = self.swept_to.max(last);
        let is_more = is_cut || events == rows;
        self.sweep_at = match (is_more, is_cut) {
            (false, _) => Seq(0),
            (true, true) => last,
            (true, false) => Seq(last.0 + 1),
        };
        Ok(is_more)
    }

    /// How many events there are, at most `limit`, and the last of them.
    fn events_between(&self, from: Seq, end: Seq, limit: usize) -> Outcome<(usize, Seq)> {
        let mut statement = self.conn.prepare_cached(
            "SELECT count(*), coalesce(max(seq), 0) FROM (
                 SELECT seq FROM events WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)",
        )?;
        Ok(statement.query_row(params![from.0, end.0, bound(limit)], |row| {
            Ok((usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default(), Seq(row.get(1)?)))
        })?)
    }

    /// The oldest deliveries of these events that ended long ago, at most `limit`.
    fn ended_between(
        &self,
        from: Seq,
        last: Seq,
        expired_before: UnixMs,
        limit: usize,
    ) -> Outcome<Vec<Ended>> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT event, webhook, started_ms IS NOT NULL FROM deliveries
             WHERE event >= ?1 AND event <= ?2 AND next_ms IS NULL AND {} < ?3
             ORDER BY event, webhook LIMIT ?4",
            ended_ms()
        ))?;
        let rows = statement.query_map(params![from.0, last.0, expired_before.0, bound(limit)], |row| {
            Ok(Ended { key: key_at(row, 0)?, was_attempted: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Deletes the deliveries from one to another that ended long ago, with their attempts.
    fn delete_ended(&self, first: DeliveryKey, last: DeliveryKey, expired_before: UnixMs) -> Outcome<()> {
        let range = [first.event.0, first.webhook.0, last.event.0, last.webhook.0];
        self.conn
            .prepare_cached(&format!(
                "DELETE FROM deliveries
                 WHERE (event, webhook) >= (?1, ?2) AND (event, webhook) <= (?3, ?4)
                   AND next_ms IS NULL AND {} < ?5",
                ended_ms()
            ))?
            .execute(params![range[0], range[1], range[2], range[3], expired_before.0])?;
        self.conn
            .prepare_cached(
                "DELETE FROM attempts
                 WHERE (event, webhook) >= (?1, ?2) AND (event, webhook) <= (?3, ?4) AND NOT EXISTS (
                     SELECT 1 FROM deliveries d WHERE d.event = attempts.event AND d.webhook = attempts.webhook)",
            )?
            .execute(range)?;
        Ok(())
    }

    fn count_as_deleted(&mut self, ended: &[Ended]) -> Outcome<()> {
        for row in ended.iter().filter(|row| row.was_attempted) {
            self.change_standing(row.key.webhook, |standing| {
                standing.attempted = standing.attempted.saturating_sub(1);
            })?;
        }
        Ok(())
    }

    pub(super) fn delete_delivery(&mut self, key: DeliveryKey) -> Outcome<()> {
        let ids = [key.event.0, key.webhook.0];
        let mut statement = self.conn.prepare_cached(
            "DELETE FROM deliveries WHERE event = ?1 AND webhook = ?2 RETURNING started_ms IS NOT NULL",
        )?;
        let mut rows = statement.query(ids)?;
        let was_attempted = rows.next()?.map(|row| row.get::<_, bool>(0)).transpose()?;
        drop(rows);
        drop(statement);
        self.conn.prepare_cached("DELETE FROM attempts WHERE event = ?1 AND webhook = ?2")?.execute(ids)?;
        if was_attempted == Some(true) {
            self.change_standing(key.webhook, |standing| {
                standing.attempted = standing.attempted.saturating_sub(1);
            })?;
        }
        Ok(())
    }

    /// The latest place stays known even if its event goes, so that no place is given twice.
    pub(super) fn delete_events_without_deliveries(&self, from: Seq, last: Seq) -> Outcome<()> {
        let deleted = self
            .conn
            .prepare_cached(
                "DELETE FROM events WHERE seq >= ?1 AND seq <= ?2
                     AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = seq)",
            )?
            .execute([from.0, last.0])?;
        if deleted > 0 && (from..=last).contains(&self.last_event) {
            write_seq(&self.conn, "last_seq", self.last_event)?;
        }
        Ok(())
    }

    /// Idempotency keys and request tokens whose time is over.
    fn forget_tokens(&self, now: UnixMs) -> Outcome<bool> {
        let mut deleted = 0;
        for sql in [
            "DELETE FROM idempotency WHERE key_hash IN (
                 SELECT key_hash FROM idempotency WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)",
            "DELETE FROM once_tokens WHERE token IN (
                 SELECT token FROM once_tokens WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)",
        ] {
            deleted = deleted.max(self.conn.prepare_cached(sql)?.execute([now.0, bound(STEP_ROWS)])?);
        }
        Ok(deleted == STEP_ROWS)
    }

    fn give_back_space(&self, pages: usize, is_disk_short: bool) -> Outcome<bool> {
        let count = |name: &str| -> Outcome<i64> {
            Ok(self.conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
        };
        let kept = match is_disk_short {
            true => 0,
            false => (count("page_count")? / FREE_SHARE).max(FREE_PAGES_KEPT),
        };
        let is_due = || Ok(count("freelist_count")? > kept);
        if is_due()? {
            let mut freeing = self.conn.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut freed = freeing.query([])?;
            // Each row is a page.
            while freed.next()?.is_some() {}
            return is_due();
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {

    use crate::embedded::opening;
    use crate::folder::Folder;
    use crate::sealing::MasterKey;

    #[test]
    fn a_step_gives_back_as_many_pages_as_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let ledger =
            opening::open(&folder, &MasterKey::from_bytes([1; 32]).into(), posthaste_core::UnixMs(0))
                .unwrap()
                .ledger;
        let free =
            || -> i64 { ledger.conn.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap() };
        let fill = "CREATE TABLE filling (bytes BLOB); INSERT INTO filling VALUES (zeroblob(40000000)); \
                    DELETE FROM filling;";
        ledger.conn.execute_batch(fill).unwrap();
        let before = free();
        assert!(ledger.give_back_space(100, false).unwrap(), "there is more to give back");
        assert!((100..=102).contains(&(before - free())), "{before} then {}", free());
    }
}
