//! Deliveries that go out one after the other: those of one ordering key at one webhook are a chain.
//!
//! Of a chain's pending deliveries exactly one has a time to be due at: it is released. The others wait for their turn,
//! and the oldest gets it in the transaction that ends the released one. So a crash finds either both or neither.

use posthaste_core::{Chain, DeliveryKey, Seq, UnixMs, WebhookNo};
use rusqlite::{OptionalExtension, params};

use super::deliveries::NOT_ITS_TURN_MS;
use super::trouble::Outcome;
use super::{Ledger, events};

/// The pending deliveries of a chain, the released one first, the others by age.
const FIRST: &str = "SELECT event, next_ms FROM deliveries INDEXED BY deliveries_chained
    WHERE webhook = ?1 AND chain = ?2 AND next_ms IS NOT NULL ORDER BY next_ms, event LIMIT 1";

impl Ledger {
    /// When a delivery that joins its chain now is due: at `due_at` if nothing of the chain is pending.
    pub(super) fn turn_in_chain(&self, no: WebhookNo, chain: Option<Chain>, due_at: UnixMs) -> Outcome<i64> {
        let Some(chain) = chain else { return Ok(due_at.0) };
        let is_first = self.first_of_chain(no, chain)?.is_none();
        let may_go = is_first || posthaste_faults::bug("order-released-early");
        Ok(if may_go { due_at.0 } else { NOT_ITS_TURN_MS })
    }

    /// A pending delivery of a chain ended, or may have: if none is released, the oldest that waits is due from now on.
    pub(super) fn pass_turn_on(&self, no: WebhookNo, chain: Chain) -> Outcome<()> {
        let Some((event, next_ms)) = self.first_of_chain(no, chain)? else { return Ok(()) };
        if next_ms < NOT_ITS_TURN_MS || posthaste_faults::bug("order-not-released") {
            return Ok(());
        }
        let due_at = self.time.steady(events::created_at(&self.conn, Seq(event))?);
        self.conn
            .prepare_cached("UPDATE deliveries SET next_ms = ?3 WHERE event = ?1 AND webhook = ?2")?
            .execute([event, no.0, due_at.0])?;
        Ok(())
    }

    /// The chain of a delivery that is pending.
    pub(super) fn chain_of_pending(&self, key: DeliveryKey) -> Outcome<Option<Chain>> {
        let chain = self
            .conn
            .prepare_cached(
                "SELECT chain FROM deliveries WHERE event = ?1 AND webhook = ?2 AND next_ms IS NOT NULL",
            )?
            .query_row([key.event.0, key.webhook.0], |row| row.get::<_, Option<i64>>(0))
            .optional()?;
        Ok(chain.flatten().map(Chain))
    }

    fn first_of_chain(&self, no: WebhookNo, chain: Chain) -> Outcome<Option<(i64, i64)>> {
        let mut statement = self.conn.prepare_cached(FIRST)?;
        Ok(statement.query_row(params![no.0, chain.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }
}
