//! What changes with every attempt of a webhook: read once and written once in a transaction.

use posthaste_core::{Health, Seq, UnixMs, WebhookNo};
use rusqlite::{Connection, OptionalExtension, params};

use super::Ledger;
use super::trouble::Outcome;

/// An attempt, as the chain of a webhook's history refers to it.
pub(crate) type Link = Option<(Seq, u32)>;

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub health: Health,
    /// The newest attempt.
    pub head: Link,
    /// Deliveries kept that were ever attempted.
    pub attempted: u64,
    is_changed: bool,
}

/// The standing as last made durable; `None` if the webhook is forgotten.
pub(crate) fn read(conn: &Connection, no: WebhookNo) -> Outcome<Option<Standing>> {
    let mut statement = conn.prepare_cached(
        "SELECT fails, last_attempt_ms, last_success_ms, head_event, head_n, attempted
         FROM standings WHERE webhook = ?1",
    )?;
    let standing = statement.query_row([no.0], |row| {
        let head: (Option<i64>, Option<u32>) = (row.get(3)?, row.get(4)?);
        Ok(Standing {
            health: Health {
                consecutive_failures: row.get(0)?,
                last_attempt_at: row.get::<_, Option<i64>>(1)?.map(UnixMs),
                last_success_at: row.get::<_, Option<i64>>(2)?.map(UnixMs),
            },
            head: head.0.map(Seq).zip(head.1),
            attempted: row.get::<_, i64>(5)?.max(0).unsigned_abs(),
            is_changed: false,
        })
    });
    Ok(standing.optional()?)
}

impl Ledger {
    /// The standing as this transaction left it.
    pub(super) fn standing(&mut self, no: WebhookNo) -> Outcome<Option<Standing>> {
        if let Some(known) = self.standings.get(&no) {
            return Ok(*known);
        }
        let standing = read(&self.conn, no)?;
        self.standings.insert(no, standing);
        Ok(standing)
    }

    /// Changes a standing; nothing happens where there is none.
    pub(super) fn change_standing(
        &mut self,
        no: WebhookNo,
        change: impl FnOnce(&mut Standing),
    ) -> Outcome<()> {
        if let Some(mut standing) = self.standing(no)? {
            change(&mut standing);
            standing.is_changed = true;
            self.standings.insert(no, Some(standing));
        }
        Ok(())
    }

    /// Writes what was changed and forgets the rest, so that memory stays bounded by one transaction.
    pub(super) fn write_standings(&mut self) -> Outcome<()> {
        // No attempt is recorded where an event is accepted: such commits do not pay for the statement.
        if self.standings.is_empty() {
            return Ok(());
        }
        let mut statement = self.conn.prepare_cached(
            "UPDATE standings SET fails = ?2, last_attempt_ms = ?3, last_success_ms = ?4, head_event = ?5,
                 head_n = ?6, attempted = ?7
             WHERE webhook = ?1",
        )?;
        for (no, standing) in std::mem::take(&mut self.standings) {
            let Some(standing) = standing.filter(|standing| standing.is_changed) else { continue };
            statement.execute(params![
                no.0,
                standing.health.consecutive_failures,
                standing.health.last_attempt_at.map(|at| at.0),
                standing.health.last_success_at.map(|at| at.0),
                standing.head.map(|(event, _)| event.0),
                standing.head.map(|(_, number)| number),
                i64::try_from(standing.attempted).unwrap_or(i64::MAX),
            ])?;
        }
        Ok(())
    }
}
