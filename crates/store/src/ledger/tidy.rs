//! Housekeeping in small steps, so that no publisher waits long behind one.

use posthaste_core::delivery::reasons;
use posthaste_core::{DeliveryKey, DeliveryState, Seq, UnixMs, WebhookNo};
use rusqlite::params;

use super::deliveries::state_number;
use super::trouble::Outcome;
use super::{Ledger, write_meta};

/// About how many rows one step changes.
const STEP_ROWS: usize = 500;
/// How many pages one step gives back to the file system.
const STEP_PAGES: u32 = 256;
/// Free pages that stay in the file for what comes next.
const FREE_PAGES_KEPT: i64 = 1_024;
/// Beyond this share of the file, free pages are given back.
const FREE_SHARE: i64 = 8;

/// Why nothing new is sent to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It was switched off.
    Disabled,
    /// It was deleted, and this was the latest event then.
    Deleted(Seq),
    /// It was off already when it was deleted.
    DeletedWhileOff(Seq),
    /// It was deleted together with its account.
    WithAccount(Seq),
}

impl Closing {
    /// Why its pending deliveries end; `None` if they are carried to their own end.
    fn reason(self, drop_queued_of_deleted: bool) -> Option<&'static str> {
        match self {
            Self::Disabled | Self::DeletedWhileOff(_) => Some(reasons::WEBHOOK_DISABLED),
            Self::Deleted(_) => drop_queued_of_deleted.then_some(reasons::WEBHOOK_DELETED),
            Self::WithAccount(_) => Some(reasons::WEBHOOK_DELETED),
        }
    }

    fn deleted_at(self) -> Option<Seq> {
        match self {
            Self::Disabled => None,
            Self::Deleted(seq) | Self::DeletedWhileOff(seq) | Self::WithAccount(seq) => Some(seq),
        }
    }
}

impl Ledger {
    /// One step. Answers whether another would find more to do.
    pub fn tidy(
        &mut self,
        expired_before: UnixMs,
        drop_queued_of_deleted: bool,
        now: UnixMs,
    ) -> Outcome<bool> {
        let changed = std::mem::take(&mut self.effects.changed);
        self.note_closing(&changed)?;
        self.effects.changed = changed;
        if self.sweep_at == Seq(0) {
            self.unstrand(now)?;
        }
        let mut is_more = self.end_pending(drop_queued_of_deleted)?;
        self.leave_roster()?;
        is_more |= self.expire(expired_before)?;
        is_more |= self.forget_tokens(now)?;
        is_more |= self.purge_step()?;
        is_more |= self.give_back_space()?;
        Ok(is_more)
    }

    /// Ends rows of some webhooks, beginning where the step before left off.
    fn end_pending(&mut self, drop_queued_of_deleted: bool) -> Outcome<bool> {
        let mut left = STEP_ROWS;
        for (no, closing) in self.closing.range(self.close_at..) {
            let Some(reason) = closing.reason(drop_queued_of_deleted) else { continue };
            // A webhook without rows costs a look.
            left -= (self.cancel_some(*no, reason, left)? + 1).min(left);
            if left == 0 {
                self.close_at = *no;
                return Ok(true);
            }
        }
        self.close_at = WebhookNo(0);
        Ok(false)
    }

    fn cancel_some(&self, no: WebhookNo, reason: &str, limit: usize) -> Outcome<usize> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE deliveries SET state = ?2, reason = ?3, next_ms = NULL
             WHERE webhook = ?1 AND event IN (
                 SELECT event FROM deliveries INDEXED BY deliveries_pending
                 WHERE webhook = ?1 AND next_ms IS NOT NULL ORDER BY next_ms LIMIT ?4)",
        )?;
        let canceled = state_number(DeliveryState::Canceled);
        Ok(statement.execute(params![no.0, canceled, reason, i64::try_from(limit).unwrap_or(i64::MAX)])?)
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
    fn expire(&mut self, expired_before: UnixMs) -> Outcome<bool> {
        let end = Seq::first_of(expired_before).min(Seq(self.checkpoint.0.saturating_add(1)));
        let mut left = STEP_ROWS;
        while left > 0 {
            let Some(seq) = self.next_event(self.sweep_at, end)? else {
                self.sweep_at = Seq(0);
                return Ok(false);
            };
            left -= self.expire_event(seq, expired_before, left)?.min(left);
            if left > 0 {
                self.sweep_at = Seq(seq.0 + 1);
            }
        }
        Ok(true)
    }

    fn next_event(&self, from: Seq, end: Seq) -> Outcome<Option<Seq>> {
        let mut statement =
            self.conn.prepare_cached("SELECT min(seq) FROM events WHERE seq >= ?1 AND seq < ?2")?;
        Ok(statement.query_row([from.0, end.0], |row| row.get::<_, Option<i64>>(0))?.map(Seq))
    }

    /// Deletes up to `limit` ended deliveries of an event, and the event once none is left. Answers the rows looked at.
    fn expire_event(&mut self, seq: Seq, expired_before: UnixMs, limit: usize) -> Outcome<usize> {
        let ended: Vec<WebhookNo> = self
            .conn
            .prepare_cached(
                "SELECT webhook FROM deliveries
                 WHERE event = ?1 AND next_ms IS NULL AND coalesce(last_ms, 0) < ?2 LIMIT ?3",
            )?
            .query_map(params![seq.0, expired_before.0, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                row.get(0).map(WebhookNo)
            })?
            .collect::<Result<_, _>>()?;
        for webhook in &ended {
            self.delete_delivery(DeliveryKey { event: seq, webhook: *webhook })?;
        }
        if ended.len() < limit {
            self.delete_event_without_deliveries(seq)?;
        }
        Ok(ended.len() + 1)
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
    pub(super) fn delete_event_without_deliveries(&self, seq: Seq) -> Outcome<()> {
        let deleted = self
            .conn
            .prepare_cached(
                "DELETE FROM events
                 WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1)",
            )?
            .execute([seq.0])?;
        if deleted > 0 && seq == self.last_event {
            write_meta(&self.conn, "last_seq", &seq.0)?;
        }
        Ok(())
    }

    /// Idempotency keys and request tokens whose time is over.
    fn forget_tokens(&self, now: UnixMs) -> Outcome<bool> {
        let limit = i64::try_from(STEP_ROWS).unwrap_or(i64::MAX);
        let mut deleted = 0;
        for sql in [
            "DELETE FROM idempotency WHERE key_hash IN (
                 SELECT key_hash FROM idempotency WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)",
            "DELETE FROM once_tokens WHERE token IN (
                 SELECT token FROM once_tokens WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)",
        ] {
            deleted = deleted.max(self.conn.prepare_cached(sql)?.execute([now.0, limit])?);
        }
        Ok(deleted == STEP_ROWS)
    }

    fn give_back_space(&self) -> Outcome<bool> {
        let count = |name: &str| -> Outcome<i64> {
            Ok(self.conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
        };
        let kept = (count("page_count")? / FREE_SHARE).max(FREE_PAGES_KEPT);
        let is_due = || Ok(count("freelist_count")? > kept);
        if is_due()? {
            self.conn.execute_batch(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
            return is_due();
        }
        Ok(false)
    }
}
