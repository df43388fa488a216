//! A webhook's history: a chain of its attempts, each naming the one before it.
//!
//! An attempt is appended without touching an index, because the place of the newest stands with the webhook. A
//! missing row ends the chain: what lies behind it is older and expired.

use std::time::Duration;

use posthaste_core::{
    Attempt, DeliveryKey, Fault, FaultKind, Outcome as Ending, Response, Seq, UnixMs, WebhookNo,
};
use rusqlite::{Connection, Row};

use super::standing::{self, Link};
use super::trouble::{Outcome, Trouble};
use super::{deliveries, encoding, events};
use crate::page::{DeliveryRow, PageCursor, Slice};

/// How many attempts one call walks past; a page may come back short with a cursor to go on from.
const WALKED_MAX: usize = 10_000;

/// The columns of an attempt in the order [`from_row`] reads them; the two that lead on come last.
const COLUMNS: &str = "started_ms, duration_us, status, fault, detail, is_cut, signatures, headers, body";

fn from_row(row: &Row<'_>, number: u32, key: DeliveryKey, at: usize) -> Outcome<Attempt> {
    let damaged =
        |what| Trouble::damaged("attempts", format!("{} number {number}", deliveries::row_name(key)), what);
    let bytes = |column: usize| row.get::<_, Option<Vec<u8>>>(column);
    let outcome = match row.get::<_, Option<u16>>(at + 2)? {
        Some(status) => Ending::Answered(Response {
            status,
            headers: encoding::read_headers(&bytes(at + 7)?.unwrap_or_default())
                .ok_or_else(|| damaged("its headers are no list"))?,
            body: bytes(at + 8)?.unwrap_or_default(),
            is_cut: row.get::<_, Option<bool>>(at + 5)?.unwrap_or_default(),
        }),
        None => Ending::Failed(Fault {
            kind: FaultKind::from_word(&row.get::<_, Option<String>>(at + 3)?.unwrap_or_default()),
            detail: row.get::<_, Option<String>>(at + 4)?.unwrap_or_default(),
        }),
    };
    Ok(Attempt {
        number,
        started_at: UnixMs(row.get(at)?),
        duration: Duration::from_micros(row.get::<_, i64>(at + 1)?.max(0).unsigned_abs()),
        outcome,
        signatures: encoding::read_texts(&bytes(at + 6)?.unwrap_or_default())
            .ok_or_else(|| damaged("its signatures are no list"))?,
    })
}

/// How many columns an attempt has.
const WIDTH: usize = 9;

fn link_at(row: &Row<'_>, at: usize) -> rusqlite::Result<Link> {
    let (event, number): (Option<i64>, Option<u32>) = (row.get(at)?, row.get(at + 1)?);
    Ok(event.map(Seq).zip(number))
}

/// The attempt with that number and the one before it in the webhook's history; `None` if it is not kept.
fn read(conn: &Connection, key: DeliveryKey, number: u32) -> Outcome<Option<(Attempt, Link)>> {
    let (sql, number_param) = if number == 1 {
        (
            format!(
                "SELECT {COLUMNS}, prev_event, prev_n FROM deliveries
                 WHERE event = ?1 AND webhook = ?2 AND started_ms IS NOT NULL AND ?3 = 1"
            ),
            1,
        )
    } else {
        (
            format!(
                "SELECT {COLUMNS}, prev_event, prev_n FROM attempts
                 WHERE event = ?1 AND webhook = ?2 AND n = ?3"
            ),
            number,
        )
    };
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query((key.event.0, key.webhook.0, number_param))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((from_row(row, number, key, 0)?, link_at(row, WIDTH)?)))
}

/// Only where the chain goes on from here.
fn previous(conn: &Connection, key: DeliveryKey, number: u32) -> Outcome<Option<Link>> {
    let sql = if number == 1 {
        "SELECT prev_event, prev_n FROM deliveries
         WHERE event = ?1 AND webhook = ?2 AND started_ms IS NOT NULL AND ?3 = 1"
    } else {
        "SELECT prev_event, prev_n FROM attempts WHERE event = ?1 AND webhook = ?2 AND n = ?3"
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query((key.event.0, key.webhook.0, number))?;
    Ok(rows.next()?.map(|row| link_at(row, 0)).transpose()?)
}

/// All attempts of one delivery in order.
pub(super) fn attempts_of(conn: &Connection, key: DeliveryKey) -> Outcome<Vec<Attempt>> {
    let mut attempts: Vec<Attempt> = read(conn, key, 1)?.into_iter().map(|(attempt, _)| attempt).collect();
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, n FROM attempts WHERE event = ?1 AND webhook = ?2 ORDER BY n"
    ))?;
    let mut rows = statement.query([key.event.0, key.webhook.0])?;
    while let Some(row) = rows.next()? {
        attempts.push(from_row(row, row.get(WIDTH)?, key, 0)?);
    }
    Ok(attempts)
}

fn place(link: Link) -> Option<PageCursor> {
    link.map(|(event, number)| PageCursor(event.0, number.into()))
}

fn beginning(conn: &Connection, no: WebhookNo, from: Option<PageCursor>) -> Outcome<Link> {
    match from {
        Some(PageCursor(event, number)) => Ok(u32::try_from(number).ok().map(|number| (Seq(event), number))),
        None => Ok(standing::read(conn, no)?.and_then(|standing| standing.head)),
    }
}

/// The rest of what a row of a list shows; `None` where the delivery or event is gone.
fn row_of(conn: &Connection, key: DeliveryKey, attempt: Option<Attempt>) -> Outcome<Option<DeliveryRow>> {
    let Some(delivery) = deliveries::by_key(conn, key)? else { return Ok(None) };
    let Some(event) = events::by_seq(conn, key.event)? else { return Ok(None) };
    let attempt = match attempt {
        Some(attempt) => Some(attempt),
        None => read(conn, key, delivery.attempts)?.map(|(attempt, _)| attempt),
    };
    Ok(Some(DeliveryRow { delivery, event, attempt }))
}

/// A webhook's attempts, newest first.
pub(crate) fn attempts(
    conn: &Connection,
    no: WebhookNo,
    from: Option<PageCursor>,
    limit: usize,
) -> Outcome<Slice<DeliveryRow>> {
    let mut items = Vec::new();
    let mut next = beginning(conn, no, from)?;
    while let Some((event, number)) = next
        && items.len() < limit
    {
        let key = DeliveryKey { event, webhook: no };
        let Some((attempt, before)) = read(conn, key, number)? else {
            return Ok(Slice { items, next: None });
        };
        items.extend(row_of(conn, key, Some(attempt))?);
        next = before;
    }
    Ok(Slice { items, next: place(next) })
}

/// A webhook's attempted deliveries from an attempt on, newest first by first attempt, each with its latest attempt; and where
/// to go on.
pub(super) fn deliveries(
    conn: &Connection,
    no: WebhookNo,
    from: (Seq, u32),
    limit: usize,
) -> Outcome<(Vec<DeliveryRow>, Link)> {
    let mut items = Vec::new();
    let mut next = Some(from);
    for _ in 0..WALKED_MAX {
        let Some((event, number)) = next.filter(|_| items.len() < limit) else { break };
        let key = DeliveryKey { event, webhook: no };
        let Some(before) = previous(conn, key, number)? else { return Ok((items, None)) };
        if number == 1 {
            items.extend(row_of(conn, key, None)?);
        }
        next = before;
    }
    Ok((items, next))
}
