//! Events, and the keys that publishers named them by.

use std::hash::Hasher;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use posthaste_core::{AccountNo, Action, Audience, By, Event, EventBody, Reading, Seq, UnixMs, WebhookNo};
use rusqlite::{Connection, OptionalExtension, Row, params};
use siphasher::sip::SipHasher13;

use super::audit::Noted;
use super::trouble::{Outcome, Trouble};
use super::{Ledger, watched, webhooks};
use crate::change::{EventDraft, IdempotencyKey, Published};
use crate::error::Refusal;

/// The columns of an event in the order [`from_row`] reads them, from a table named `e`.
pub(super) const COLUMNS: &str =
    "e.seq, e.audience, e.audience_no, e.type, e.created_ms, e.send_ms, e.data_start,
    e.data_end, e.account_at, e.checksum, e.body, e.watched";

/// How many columns those are: what follows them in a row begins here.
pub(super) const WIDTH: usize = 12;

/// An event that has its place in the order but is not written yet.
pub(crate) struct Numbered {
    pub event: Arc<Event>,
    pub idempotency: Option<IdempotencyKey>,
    pub reading: Option<Box<Reading>>,
    pub test_by: Option<Box<By>>,
}

/// Gives drafts their places after `last` and builds their bodies. Answers the last place given.
pub(crate) fn number(
    drafts: Vec<EventDraft>,
    build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
    mut last: Seq,
    now: UnixMs,
) -> (Vec<Numbered>, Seq) {
    let mut numbered = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        last = Seq::next(last, now);
        let event = Event {
            seq: last,
            audience: draft.audience,
            event_type: draft.event_type,
            created_at: now,
            send_at: draft.send_at,
            body: build(index, last, now),
            watched: None,
        };
        numbered.push(Numbered {
            event: Arc::new(event),
            idempotency: draft.idempotency,
            reading: draft.reading,
            test_by: draft.test_by,
        });
    }
    (numbered, last)
}

pub(super) fn from_row(row: &Row<'_>) -> Outcome<Arc<Event>> {
    let seq: i64 = row.get(0)?;
    let damaged = |what| Trouble::damaged("events", seq, what);
    let audience = match (row.get(1)?, row.get::<_, Option<i64>>(2)?) {
        (0, Some(no)) => Audience::Account(AccountNo(no)),
        (1, None) => Audience::Broadcast,
        (2, Some(no)) => Audience::Webhook(WebhookNo(no)),
        _ => return Err(damaged("its audience is none")),
    };
    let body = EventBody {
        bytes: Bytes::from(row.get::<_, Vec<u8>>(10)?),
        data: row.get(6)?..row.get(7)?,
        account_at: row.get(8)?,
    };
    let watched = row.get::<_, Option<String>>(11)?;
    if row.get::<_, i64>(9)? != checksum(Seq(seq), &body, watched.as_deref()) {
        return Err(damaged("its body does not match its checksum"));
    }
    let watched = match watched {
        Some(kept) => Some(watched::read(&kept).ok_or_else(|| damaged("its watched value is none"))?),
        None => None,
    };
    Ok(Arc::new(Event {
        seq: Seq(seq),
        audience,
        event_type: row.get(3)?,
        created_at: UnixMs(row.get(4)?),
        send_at: row.get::<_, Option<i64>>(5)?.map(UnixMs),
        body,
        watched,
    }))
}

/// Tells flipped bits and swapped rows from what was accepted. It is not a defence against people.
fn checksum(seq: Seq, body: &EventBody, watched: Option<&str>) -> i64 {
    let mut hasher = SipHasher13::new();
    hasher.write_i64(seq.0);
    hasher.write_u32(body.data.start);
    hasher.write_u32(body.data.end);
    hasher.write_i64(body.account_at.map_or(-1, i64::from));
    hasher.write(&body.bytes);
    if let Some(watched) = watched {
        hasher.write(watched.as_bytes());
    }
    i64::from_le_bytes(hasher.finish().to_le_bytes())
}

pub(super) fn last(conn: &Connection) -> Outcome<Seq> {
    let last: Option<i64> = conn.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    Ok(Seq(last.unwrap_or_default()))
}

pub(crate) fn by_seq(conn: &Connection, seq: Seq) -> Outcome<Option<Arc<Event>>> {
    let sql = format!("SELECT {COLUMNS} FROM events e WHERE e.seq = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([seq.0])?;
    rows.next()?.map(from_row).transpose()
}

pub(crate) fn after(conn: &Connection, after: Seq, limit: usize) -> Outcome<Vec<Arc<Event>>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events e WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2"
    ))?;
    let mut rows = statement.query(params![after.0, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(from_row(row)?);
    }
    Ok(events)
}

pub(crate) fn by_key(
    conn: &Connection,
    account: Option<AccountNo>,
    key: &str,
    now: UnixMs,
) -> Outcome<Option<Arc<Event>>> {
    let audience = account.map_or(Audience::Broadcast, Audience::Account);
    let seq: Option<i64> = conn
        .prepare_cached("SELECT seq FROM idempotency WHERE key_hash = ?1 AND until_ms > ?2")?
        .query_row(params![key_hash(audience, key), now.0], |row| row.get(0))
        .optional()?;
    seq.map_or(Ok(None), |seq| by_seq(conn, Seq(seq)))
}

fn audience_columns(audience: Audience) -> (i64, Option<i64>) {
    match audience {
        Audience::Account(no) => (0, Some(no.0)),
        Audience::Broadcast => (1, None),
        Audience::Webhook(no) => (2, Some(no.0)),
    }
}

/// SHA-256 over whose key it is and the key.
fn key_hash(audience: Audience, key: &str) -> [u8; 32] {
    let (kind, no) = audience_columns(audience);
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&kind.to_le_bytes());
    context.update(&no.unwrap_or_default().to_le_bytes());
    context.update(key.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

impl Ledger {
    pub fn publish(&mut self, drafts: Vec<Numbered>) -> Outcome<Vec<Result<Published, Refusal>>> {
        drafts.into_iter().map(|draft| self.publish_one(draft)).collect()
    }

    fn publish_one(&mut self, draft: Numbered) -> Outcome<Result<Published, Refusal>> {
        let mut event = draft.event;
        if let Some(key) = &draft.idempotency {
            if let Some(first) = self.first_with_key(&event, key)? {
                return Ok(first);
            }
            self.remember_key(&event, key)?;
        }
        if let Some(reading) = draft.reading {
            let watched = self.watch(event.audience, &event.event_type, *reading)?;
            Arc::make_mut(&mut event).watched = Some(Box::new(watched));
        }
        self.insert_event(&event)?;
        if let Some(by) = &draft.test_by {
            self.note_test(&event, by)?;
        }
        self.last_event = event.seq;
        self.added += 1;
        let published = Published { seq: event.seq, created_at: event.created_at, is_duplicate: false };
        self.effects.events.push(event);
        Ok(Ok(published))
    }

    fn note_test(&self, event: &Event, by: &By) -> Outcome<()> {
        let Audience::Webhook(no) = event.audience else { return Ok(()) };
        let Some(webhook) = webhooks::by_no(&self.conn, &self.vault, no)? else { return Ok(()) };
        self.note(by, Action::WebhookTested, Noted::webhook(&webhook))
    }

    /// What an earlier event with the same key means for this one.
    fn first_with_key(
        &self,
        event: &Event,
        key: &IdempotencyKey,
    ) -> Outcome<Option<Result<Published, Refusal>>> {
        let first = self
            .conn
            .prepare_cached(
                "SELECT seq, created_ms, fingerprint FROM idempotency WHERE key_hash = ?1 AND until_ms > ?2",
            )?
            .query_row(params![key_hash(event.audience, &key.key), event.created_at.0], |row| {
                Ok((Seq(row.get(0)?), UnixMs(row.get(1)?), row.get::<_, Vec<u8>>(2)?))
            })
            .optional()?;
        Ok(first.map(|(seq, created_at, fingerprint)| {
            if fingerprint == key.fingerprint {
                Ok(Published { seq, created_at, is_duplicate: true })
            } else {
                Err(Refusal::IdempotencyConflict)
            }
        }))
    }

    fn remember_key(&self, event: &Event, key: &IdempotencyKey) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO idempotency (key_hash, seq, created_ms, fingerprint, until_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                key_hash(event.audience, &key.key),
                event.seq.0,
                event.created_at.0,
                key.fingerprint,
                event.created_at.plus(key.remembered_for).0,
            ])?;
        Ok(())
    }

    fn insert_event(&self, event: &Event) -> Outcome<()> {
        let (audience, audience_no) = audience_columns(event.audience);
        let watched = event.watched.as_deref().map(watched::pack);
        self.conn
            .prepare_cached(
                "INSERT INTO events (seq, audience, audience_no, type, created_ms, send_ms, data_start, data_end,
                     account_at, checksum, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                event.seq.0,
                audience,
                audience_no,
                &*event.event_type,
                event.created_at.0,
                event.send_at.map(|at| at.0),
                event.body.data.start,
                event.body.data.end,
                event.body.account_at,
                checksum(event.seq, &event.body, watched.as_deref()),
                &event.body.bytes[..],
            ])?;
        // A statement of its own, so that other events do not pay for it.
        if let Some(watched) = watched {
            self.conn
                .prepare_cached("UPDATE events SET watched = ?2 WHERE seq = ?1")?
                .execute(params![event.seq.0, watched])?;
        }
        Ok(())
    }

    pub fn remember_once(&mut self, token: [u8; 32], until: UnixMs, now: UnixMs) -> Outcome<bool> {
        let changed = self
            .conn
            .prepare_cached(
                "INSERT INTO once_tokens (token, until_ms) VALUES (?1, ?2)
                 ON CONFLICT (token) DO UPDATE SET until_ms = excluded.until_ms WHERE until_ms <= ?3",
            )?
            .execute(params![token, until.0, now.0])?;
        Ok(changed > 0)
    }
}
