//! Deliveries: reading them, and what is pending.

use std::sync::Arc;

use posthaste_core::{Attempt, Delivery, DeliveryKey, DeliveryState, Event, Seq, UnixMs, WebhookNo};
use rusqlite::{Connection, Row, params};

use super::accounts::one_more;
use super::trouble::{Outcome, Trouble};
use super::{events, history};
use crate::page::{DeliveryRow, PendingRow};

/// How many pending rows of one webhook are looked at in search of unattempted ones. Those due earliest come first, so
/// retries, which wait, are mostly behind them.
const UNATTEMPTED_SCANNED_MAX: i64 = 20_000;

/// The columns of a delivery in the order [`from_row`] reads them, from a table named `d`.
pub(super) const COLUMNS: &str =
    "d.event, d.webhook, d.state, d.reason, d.attempts, d.next_ms, d.delivered_ms,
    d.last_status, d.last_ms";

pub(super) fn state_number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Failed => 2,
        DeliveryState::Canceled => 3,
    }
}

pub(super) fn key_at(row: &Row<'_>, column: usize) -> rusqlite::Result<DeliveryKey> {
    Ok(DeliveryKey { event: Seq(row.get(column)?), webhook: WebhookNo(row.get(column + 1)?) })
}

/// How a delivery is named in reports of damage.
pub(super) fn row_name(key: DeliveryKey) -> String {
    format!("event {} webhook {}", key.event.0, key.webhook.0)
}

/// Reads a delivery from the columns that begin at `at`.
pub(super) fn from_row(row: &Row<'_>, at: usize) -> Outcome<Delivery> {
    let key = key_at(row, at)?;
    let state = match row.get(at + 2)? {
        0 => DeliveryState::Pending,
        1 => DeliveryState::Delivered,
        2 => DeliveryState::Failed,
        3 => DeliveryState::Canceled,
        _ => return Err(Trouble::damaged("deliveries", row_name(key), "its state is none")),
    };
    let time = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(UnixMs));
    Ok(Delivery {
        key,
        state,
        reason: row.get(at + 3)?,
        attempts: row.get(at + 4)?,
        next_attempt_at: time(at + 5)?,
        delivered_at: time(at + 6)?,
        last_status: row.get(at + 7)?,
        last_attempt_at: time(at + 8)?,
    })
}

pub(crate) fn by_key(conn: &Connection, key: DeliveryKey) -> Outcome<Option<Delivery>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM deliveries d WHERE d.event = ?1 AND d.webhook = ?2"
    ))?;
    let mut rows = statement.query([key.event.0, key.webhook.0])?;
    rows.next()?.map(|row| from_row(row, 0)).transpose()
}

/// A delivery with its event and all its attempts.
pub(crate) type Whole = (Delivery, Arc<Event>, Vec<Attempt>);

/// One delivery, if it and its event are there.
pub(crate) fn whole(conn: &Connection, key: DeliveryKey) -> Outcome<Option<Whole>> {
    let Some(delivery) = by_key(conn, key)? else { return Ok(None) };
    let Some(event) = events::by_seq(conn, key.event)? else { return Ok(None) };
    Ok(Some((delivery, event, history::attempts_of(conn, key)?)))
}

pub(crate) fn of_event(conn: &Connection, seq: Seq, limit: usize) -> Outcome<Vec<Delivery>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM deliveries d WHERE d.event = ?1 ORDER BY d.webhook LIMIT ?2"
    ))?;
    let mut rows = statement.query(params![seq.0, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        deliveries.push(from_row(row, 0)?);
    }
    Ok(deliveries)
}

pub(crate) fn written(conn: &Connection, seq: Seq) -> Outcome<Vec<WebhookNo>> {
    let mut statement =
        conn.prepare_cached("SELECT webhook FROM deliveries WHERE event = ?1 ORDER BY webhook")?;
    let rows = statement.query_map([seq.0], |row| row.get(0).map(WebhookNo))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn pending_heads(conn: &Connection) -> Outcome<Vec<(WebhookNo, UnixMs)>> {
    let mut statement = conn.prepare_cached(
        "SELECT no, due_ms FROM (
             SELECT w.no, (
                 SELECT min(d.next_ms) FROM deliveries d WHERE d.webhook = w.no AND d.next_ms IS NOT NULL
             ) AS due_ms
             FROM webhooks w
         ) WHERE due_ms IS NOT NULL ORDER BY no",
    )?;
    let rows = statement.query_map([], |row| Ok((WebhookNo(row.get(0)?), UnixMs(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn pending(
    conn: &Connection,
    no: WebhookNo,
    until: UnixMs,
    limit: usize,
) -> Outcome<(Vec<PendingRow>, Option<UnixMs>)> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, d.attempts, d.next_ms
         FROM deliveries d INDEXED BY deliveries_pending CROSS JOIN events e ON e.seq = d.event
         WHERE d.webhook = ?1 AND d.next_ms IS NOT NULL
         ORDER BY d.next_ms, d.event LIMIT ?2",
        events::COLUMNS
    ))?;
    let mut rows = statement.query(params![no.0, one_more(limit)])?;
    let mut pending = Vec::new();
    while let Some(row) = rows.next()? {
        let due_at = UnixMs(row.get(events::WIDTH + 1)?);
        if pending.len() == limit || due_at > until {
            return Ok((pending, Some(due_at)));
        }
        let event = events::from_row(row)?;
        let key = DeliveryKey { event: event.seq, webhook: no };
        pending.push(PendingRow { key, event, attempts: row.get(events::WIDTH)?, due_at });
    }
    Ok((pending, None))
}

pub(crate) fn unattempted(conn: &Connection, no: WebhookNo, limit: usize) -> Outcome<Vec<DeliveryRow>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, {COLUMNS} FROM (
             SELECT event, webhook, attempts, next_ms FROM deliveries INDEXED BY deliveries_pending
             WHERE webhook = ?1 AND next_ms IS NOT NULL ORDER BY next_ms, event LIMIT ?2
         ) p
         CROSS JOIN deliveries d ON d.event = p.event AND d.webhook = p.webhook
         CROSS JOIN events e ON e.seq = p.event
         WHERE p.attempts = 0 ORDER BY p.next_ms, p.event LIMIT ?3",
        events::COLUMNS
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![no.0, UNATTEMPTED_SCANNED_MAX, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let event = events::from_row(row)?;
        found.push(DeliveryRow { delivery: from_row(row, events::WIDTH)?, event, attempt: None });
    }
    Ok(found)
}
