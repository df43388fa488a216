//! What a time that went back would strand: deliveries due at a time that is far away again.
//!
//! A server's time does not go back. That of whoever opens a store with another clock may.

use posthaste_core::UnixMs;
use posthaste_core::delivery::reasons;
use rusqlite::{Connection, params};

use super::Ledger;
use super::deliveries::NOT_ITS_TURN_MS;
use super::trouble::Outcome;

/// The latest time the tables tell of, where none is written down.
pub(super) fn latest_told(conn: &Connection) -> Outcome<UnixMs> {
    let latest = conn.query_row(
        "SELECT max(coalesce((SELECT max(last_attempt_ms) FROM standings), 0),
                    coalesce((SELECT created_ms FROM events ORDER BY seq DESC LIMIT 1), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(UnixMs(latest))
}

impl Ledger {
    /// While time is behind what it once was: what was due at once is due now, and a retry is late by no more than
    /// its own delay. A retry that was moved is due before its last attempt was made, so it is not moved again.
    pub(super) fn unstrand(&mut self, now: UnixMs) -> Outcome<()> {
        if now >= self.latest_now {
            self.latest_now = now;
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "UPDATE deliveries SET next_ms =
                     CASE WHEN attempts = 0 OR reason = ?2 THEN ?1 ELSE ?1 + next_ms - (last_ms - ?4) END
                 WHERE (event, webhook) IN (
                     SELECT d.event, d.webhook FROM deliveries d INDEXED BY deliveries_pending
                     CROSS JOIN events e ON e.seq = d.event
                     WHERE d.next_ms IS NOT NULL AND d.next_ms > ?1 AND d.next_ms < ?3 AND CASE
                         WHEN d.attempts = 0 OR d.reason = ?2 THEN coalesce(e.send_ms - ?4, 0) <= ?1
                         ELSE d.next_ms > d.last_ms - ?4
                             AND d.last_ms - ?4 - ?1 > d.next_ms - (d.last_ms - ?4) END)",
            )?
            .execute(params![now.0, reasons::RESENT, NOT_ITS_TURN_MS, self.time.ahead_ms()])?;
        Ok(())
    }
}
