//! A webhook's deliveries as a list: those that wait for their first attempt, then those that were attempted, then those that
//! were canceled without an attempt. Each kind is read in an order that an index or the history has.

use std::mem::discriminant;

use posthaste_core::{Seq, UnixMs, WebhookNo};
use rusqlite::{Connection, Row, Rows, params};

use super::deliveries::{COLUMNS, WIDTH, from_row};
use super::standing::Link;
use super::trouble::{Outcome, Trouble};
use super::{events, history, standing};
use crate::page::{DeliveryRow, PageCursor, Slice};

/// How many of a kind without an attempt are counted.
const COUNTED_MAX: i64 = 10_000;
/// How many damaged events a part of the list passes over.
const DAMAGED_MAX: usize = 100;

/// A place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a row that waits, by when that is due and its event.
    Waiting(UnixMs, Seq),
    /// At an attempt.
    Attempted(Seq, u32),
    /// Behind the row of an event.
    Canceled(Seq),
}

impl Place {
    const BEGINNING: Self = Self::Waiting(UnixMs(i64::MAX), Seq(i64::MAX));
    const FIRST_CANCELED: Self = Self::Canceled(Seq(i64::MAX));

    /// Events and attempts are numbered from one on, so the sign of the second number tells the kinds apart.
    fn cursor(self) -> PageCursor {
        match self {
            Self::Waiting(due_at, event) => PageCursor(due_at.0, -event.0),
            Self::Attempted(event, number) => PageCursor(event.0, number.into()),
            Self::Canceled(event) => PageCursor(event.0, 0),
        }
    }

    fn of(PageCursor(first, second): PageCursor) -> Self {
        match second {
            ..0 => Self::Waiting(UnixMs(first), Seq(second.saturating_neg())),
            0 => Self::Canceled(Seq(first)),
            _ => Self::Attempted(Seq(first), u32::try_from(second).unwrap_or(u32::MAX)),
        }
    }

    fn in_history(link: Link) -> Self {
        link.map_or(Self::FIRST_CANCELED, |(event, number)| Self::Attempted(event, number))
    }

    /// At most `limit` rows of its kind from here on, and where to go on: at the next kind, if these are all.
    fn rows(
        self,
        conn: &Connection,
        no: WebhookNo,
        limit: usize,
    ) -> Outcome<(Vec<DeliveryRow>, Option<Self>)> {
        match self {
            Self::Waiting(due_at, event) => waiting(conn, no, (due_at, event), limit),
            Self::Attempted(event, number) => {
                let (rows, next) = history::deliveries(conn, no, (event, number), limit)?;
                Ok((rows, Some(Self::in_history(next))))
            }
            Self::Canceled(event) => canceled(conn, no, event, limit),
        }
    }
}

/// A part of the list.
pub(crate) fn list(
    conn: &Connection,
    no: WebhookNo,
    from: Option<PageCursor>,
    limit: usize,
) -> Outcome<Slice<DeliveryRow>> {
    let mut items = Vec::new();
    let mut place = from.map_or(Place::BEGINNING, Place::of);
    loop {
        let (rows, next) = place.rows(conn, no, limit.saturating_sub(items.len()))?;
        items.extend(rows);
        match next {
            Some(next) if discriminant(&next) != discriminant(&place) => place = next,
            next => return Ok(Slice { items, next: next.map(Place::cursor) }),
        }
    }
}

/// Those that are due last come first: mostly the newest.
fn waiting(
    conn: &Connection,
    no: WebhookNo,
    (due_at, event): (UnixMs, Seq),
    limit: usize,
) -> Outcome<(Vec<DeliveryRow>, Option<Place>)> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, {COLUMNS}, d.next_ms FROM deliveries d INDEXED BY deliveries_unattempted
         CROSS JOIN events e ON e.seq = d.event
         WHERE d.webhook = ?1 AND d.next_ms IS NOT NULL AND d.attempts = 0 AND (d.next_ms, d.event) < (?2, ?3)
         ORDER BY d.next_ms DESC, d.event DESC LIMIT ?4",
        events::COLUMNS
    ))?;
    let mut rows = statement.query(params![no.0, due_at.0, event.0, read_for(limit)])?;
    let (found, next) = collect(&mut rows, Place::Waiting(due_at, event), limit, |row, event| {
        Ok(Place::Waiting(UnixMs(row.get(events::WIDTH + WIDTH)?), event))
    })?;
    if next.is_some() {
        return Ok((found, next));
    }
    let head = standing::read(conn, no)?.and_then(|standing| standing.head);
    Ok((found, Some(Place::in_history(head))))
}

/// Those of the latest events come first.
fn canceled(
    conn: &Connection,
    no: WebhookNo,
    from: Seq,
    limit: usize,
) -> Outcome<(Vec<DeliveryRow>, Option<Place>)> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {}, {COLUMNS} FROM deliveries d INDEXED BY deliveries_called_off
         CROSS JOIN events e ON e.seq = d.event
         WHERE d.webhook = ?1 AND d.event < ?2 AND d.state = 3 AND d.attempts = 0
         ORDER BY d.event DESC LIMIT ?3",
        events::COLUMNS
    ))?;
    let mut rows = statement.query(params![no.0, from.0, read_for(limit)])?;
    collect(&mut rows, Place::Canceled(from), limit, |_, event| Ok(Place::Canceled(event)))
}

/// At most `limit` rows without an attempt, and where to go on if there are more. One whose event is damaged is passed over: it
/// is canceled for that, or will be, and would stand in the way of all others.
fn collect(
    rows: &mut Rows<'_>,
    from: Place,
    limit: usize,
    place: impl Fn(&Row<'_>, Seq) -> rusqlite::Result<Place>,
) -> Outcome<(Vec<DeliveryRow>, Option<Place>)> {
    let (mut found, mut damaged, mut last) = (Vec::new(), 0, from);
    while let Some(row) = rows.next()? {
        if found.len() == limit || damaged == DAMAGED_MAX {
            return Ok((found, Some(last)));
        }
        let delivery = from_row(row, events::WIDTH)?;
        last = place(row, delivery.key.event)?;
        match events::from_row(row) {
            Ok(event) => found.push(DeliveryRow { delivery, event, attempt: None }),
            Err(Trouble::Damaged(_)) => damaged += 1,
            Err(trouble) => return Err(trouble),
        }
    }
    Ok((found, None))
}

/// So many rows are read at most for so many shown: damaged ones, and one more that shows whether there are more.
fn read_for(limit: usize) -> i64 {
    i64::try_from(limit.saturating_add(DAMAGED_MAX)).unwrap_or(i64::MAX).saturating_add(1)
}

/// How many the list has. Of each kind without an attempt no more than [`COUNTED_MAX`] are counted.
pub(crate) fn count(conn: &Connection, no: WebhookNo) -> Outcome<u64> {
    let attempted = standing::read(conn, no)?.map_or(0, |standing| standing.attempted);
    let mut statement = conn.prepare_cached(
        "SELECT (SELECT count(*) FROM (
                     SELECT 1 FROM deliveries INDEXED BY deliveries_unattempted
                     WHERE webhook = ?1 AND next_ms IS NOT NULL AND attempts = 0 LIMIT ?2))
              + (SELECT count(*) FROM (
                     SELECT 1 FROM deliveries INDEXED BY deliveries_called_off
                     WHERE webhook = ?1 AND state = 3 AND attempts = 0 LIMIT ?2))",
    )?;
    let others: i64 = statement.query_row([no.0, COUNTED_MAX], |row| row.get(0))?;
    Ok(attempted + others.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_as_they_went() {
        for place in [
            Place::BEGINNING,
            Place::Waiting(UnixMs(-5), Seq(1)),
            Place::Attempted(Seq(7), 1),
            Place::Attempted(Seq(7), u32::MAX),
            Place::FIRST_CANCELED,
            Place::Canceled(Seq(1)),
        ] {
            assert_eq!(Place::of(place.cursor()), place);
        }
    }
}
