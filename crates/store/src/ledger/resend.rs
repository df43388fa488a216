//! Ended deliveries made pending again.

use posthaste_core::delivery::reasons;
use posthaste_core::{
    Action, By, Delivery, DeliveryKey, DeliveryState, Details, Seq, UnixMs, WebhookNo, WebhookState,
};
use rusqlite::{Connection, params};

use super::audit::Noted;
use super::deliveries::{self, NOT_ITS_TURN_MS, state_number};
use super::trouble::Outcome;
use super::{Ledger, events, steady, webhooks};
use crate::change::{Recovered, Window};
use crate::error::Refusal;

impl Ledger {
    pub fn retry_delivery(&mut self, key: DeliveryKey, by: &By) -> Outcome<Delivery> {
        let delivery = deliveries::by_key(&self.conn, key)?.ok_or(Refusal::NotFound)?;
        let webhook = webhooks::by_no(&self.conn, &self.vault, key.webhook)?.ok_or(Refusal::NotFound)?;
        let takes_deliveries = webhook.deleted.is_none() && webhook.state != WebhookState::Disabled;
        if delivery.state == DeliveryState::Pending || !takes_deliveries {
            return Err(Refusal::WrongState.into());
        }
        let due_at = self.make_pending(key, self.time.steady(by.at))?.map(|at| self.time.wall_at(at));
        let id =
            by.object.as_deref().map_or_else(|| format!("{}/{}", key.event.0, webhook.id), str::to_owned);
        self.note(by, Action::DeliveryRetried, Noted::of(&webhook.account_id, &id))?;
        self.effects.nudged.push(key.webhook);
        Ok(Delivery {
            state: DeliveryState::Pending,
            reason: Some(
                if due_at.is_some() { reasons::RESENT } else { reasons::WAITING_FOR_ORDER }.to_owned(),
            ),
            next_attempt_at: due_at,
            delivered_at: None,
            ..delivery
        })
    }

    /// With `by` makes deliveries pending then; without only counts.
    pub fn recover(
        &mut self,
        no: WebhookNo,
        window: Window,
        limit: usize,
        by: Option<&By>,
    ) -> Outcome<Recovered> {
        let webhook = webhooks::by_no(&self.conn, &self.vault, no)?
            .filter(|webhook| webhook.deleted.is_none())
            .ok_or(Refusal::NotFound)?;
        if webhook.state == WebhookState::Disabled {
            return Err(Refusal::WrongState.into());
        }
        let found = recoverable(&self.conn, no, window, limit)?;
        if let Some(by) = by.filter(|_| !found.is_empty()) {
            for event in &found {
                self.make_pending(DeliveryKey { event: *event, webhook: no }, self.time.steady(by.at))?;
            }
            self.effects.nudged.push(no);
            let details = Details { count: Some(found.len() as u64), ..Details::default() };
            self.note(by, Action::WebhookRecovered, Noted { details, ..Noted::webhook(&webhook) })?;
        }
        Ok(Recovered { count: found.len() as u64, last: found.last().copied() })
    }

    /// Makes an ended delivery due now, or when its event is due if that is later and it was never tried, both in steady
    /// time. One with an ordering key takes its place in the order again: it waits for the one that is being tried, and
    /// goes before all later ones.
    fn make_pending(&self, key: DeliveryKey, now: UnixMs) -> Outcome<Option<UnixMs>> {
        let chain = events::chain_of(&self.conn, key.event)?;
        let from_ms =
            self.turn_in_chain(key.webhook, chain, self.send_time(key)?.map_or(now, |at| at.max(now)))?;
        let due_ms = self
            .conn
            .prepare_cached(
                "UPDATE deliveries SET state = ?3, reason = ?4, delivered_ms = NULL, canceled_ms = NULL,
                     chain = ?6, next_ms = ?5
                 WHERE event = ?1 AND webhook = ?2 RETURNING next_ms",
            )?
            .query_row(
                params![
                    key.event.0,
                    key.webhook.0,
                    state_number(DeliveryState::Pending),
                    reasons::RESENT,
                    from_ms,
                    chain.map(|chain| chain.0),
                ],
                |row| row.get(0),
            )?;
        Ok(Some(UnixMs(due_ms)).filter(|due_at| due_at.0 < NOT_ITS_TURN_MS))
    }
}

/// The events of a webhook's deliveries that `recover` would send again, oldest first.
pub(crate) fn recoverable(
    conn: &Connection,
    no: WebhookNo,
    window: Window,
    limit: usize,
) -> Outcome<Vec<Seq>> {
    // A place is never before the steady second its event was accepted in, but may be after it.
    let since = steady::earliest(conn, window.since)?;
    let mut statement = conn.prepare_cached(
        "SELECT d.event FROM deliveries d INDEXED BY deliveries_not_made CROSS JOIN events e ON e.seq = d.event
         WHERE d.webhook = ?1 AND d.state >= 2 AND d.event >= ?2 AND e.created_ms >= ?3 AND e.created_ms < ?4
           AND (d.state = ?5 OR d.reason = ?6)
         ORDER BY d.event LIMIT ?7",
    )?;
    let rows = statement.query_map(
        params![
            no.0,
            Seq::first_of(since).max(Seq(window.after.0.saturating_add(1))).0,
            window.since.0,
            window.until.0,
            state_number(DeliveryState::Failed),
            reasons::WEBHOOK_DISABLED,
            i64::try_from(limit).unwrap_or(i64::MAX),
        ],
        |row| row.get(0).map(Seq),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}
