//! Events, and the keys that publishers named them by.

use std::hash::Hasher;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use posthaste_core::{
    AccountNo, Action, Audience, By, Chain, Event, EventBody, OrderingKey, Reading, Seq, UnixMs, Webhook,
    WebhookNo,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use siphasher::sip::SipHasher13;

use super::audit::Noted;
use super::trouble::{Outcome, Trouble, name_of};
use super::{Ledger, watched, webhooks};
use crate::change::{EventDraft, IdempotencyKey, Published};
use crate::error::Refusal;
use crate::page::{EventsRead, ReadRoom};

/// The columns of an event in the order [`from_row`] reads them, from a table named `e`.
pub(super) const COLUMNS: &str =
    "e.seq, e.audience, e.audience_no, e.type, e.created_ms, e.send_ms, e.data_start,
    e.data_end, e.account_at, e.checksum, e.body, e.watched, e.ordering_key";

/// How many columns those are: what follows them in a row begins here.
pub(super) const WIDTH: usize = 13;

/// An event that has its place in the order but is not written yet.
pub(crate) struct Numbered {
    pub event: Arc<Event>,
    pub idempotency: Option<IdempotencyKey>,
    pub reading: Option<Box<Reading>>,
    pub test_by: Option<Box<By>>,
}

/// Gives drafts their places after `last` and builds their bodies. Answers the last place given. The wall clock shows
/// `now`; places go by `steady` time.
pub(crate) fn number(
    drafts: Vec<EventDraft>,
    build: &(dyn Fn(usize, Seq, UnixMs) -> EventBody + Sync),
    mut last: Seq,
    now: UnixMs,
    steady: UnixMs,
) -> (Vec<Numbered>, Seq) {
    let mut numbered = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        last = Seq::next(last, steady);
        let event = Event {
            seq: last,
            audience: draft.audience,
            event_type: draft.event_type,
            created_at: now,
            send_at: draft.send_at,
            body: build(index, last, now),
            watched: None,
            ordering_key: draft.ordering_key,
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
    read_row(row).map_err(|trouble| trouble.in_row("events", name_of(row)))
}

fn read_row(row: &Row<'_>) -> Outcome<Arc<Event>> {
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
    let ordering_key = row.get::<_, Option<String>>(12)?;
    let kept: i64 = row.get(9)?;
    let words = Words { watched: watched.as_deref(), ordering_key: ordering_key.as_deref() };
    let event_type: Arc<str> = row.get(3)?;
    let send_at = row.get::<_, Option<i64>>(5)?.map(UnixMs);
    let created_at = UnixMs(row.get(4)?);
    let sums = Checksums::of(Seq(seq), &body, words, (audience, &event_type, created_at, send_at));
    if !sums.holds(kept) && !posthaste_faults::bug("body-checksum-ignored") {
        return Err(damaged("it does not match its checksum"));
    }
    let watched = match watched {
        Some(kept) => Some(watched::read(&kept).ok_or_else(|| damaged("its watched value is none"))?),
        None => None,
    };
    let ordering_key = match ordering_key {
        Some(kept) => Some(OrderingKey::new(&kept).ok_or_else(|| damaged("its ordering key is none"))?),
        None => None,
    };
    Ok(Arc::new(Event {
        seq: Seq(seq),
        audience,
        event_type,
        created_at,
        send_at,
        body,
        watched,
        ordering_key,
    }))
}

/// What some events have besides.
#[derive(Clone, Copy)]
struct Words<'a> {
    watched: Option<&'a str>,
    ordering_key: Option<&'a str>,
}

/// For whom an event is, its type, when it was accepted and when it is to be sent.
type Head<'a> = (Audience, &'a str, UnixMs, Option<UnixMs>);

/// They tell flipped bits and swapped rows from what was accepted. They are no defence against people.
struct Checksums {
    /// Of the body and what was given with it, as stores before version 6 have it.
    former: u64,
    /// Of all of it.
    whole: u64,
}

impl Checksums {
    fn of(
        seq: Seq,
        body: &EventBody,
        words: Words<'_>,
        (audience, event_type, at, send_at): Head<'_>,
    ) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write_i64(seq.0);
        hasher.write_u32(body.data.start);
        hasher.write_u32(body.data.end);
        hasher.write_i64(body.account_at.map_or(-1, i64::from));
        hasher.write(&body.bytes);
        if let Some(watched) = words.watched {
            hasher.write(watched.as_bytes());
        }
        if let Some(key) = words.ordering_key {
            // Told from the end of a body or of a watched value by a byte that is in neither.
            hasher.write_u8(0xff);
            hasher.write(key.as_bytes());
        }
        let former = hasher.finish();
        let (kind, no) = audience_columns(audience);
        hasher.write_i64(kind);
        hasher.write_i64(no.unwrap_or_default());
        hasher.write_i64(at.0);
        hasher.write_i64(send_at.map_or(i64::MIN, |at| at.0));
        hasher.write(event_type.as_bytes());
        Self { former, whole: hasher.finish() }
    }

    /// As it is kept.
    fn kept(&self) -> i64 {
        self.whole.cast_signed()
    }

    fn holds(&self, kept: i64) -> bool {
        kept == self.whole.cast_signed() || kept == self.former.cast_signed()
    }
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

pub(crate) fn next_after(conn: &Connection, after: Seq, room: ReadRoom) -> Outcome<Sound> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events e WHERE e.seq > ?1 ORDER BY e.seq"))?;
    let mut rows = statement.query([after.0])?;
    let (mut sound, mut body_bytes) = (Sound::default(), 0);
    while !room.is_used_up(sound.read.events.len(), body_bytes) {
        let Some(row) = rows.next()? else {
            sound.read.is_end = true;
            break;
        };
        match from_row(row) {
            Ok(event) => {
                body_bytes += event.body.bytes.len();
                sound.read.events.push(event);
            }
            Err(Trouble::Damaged(what)) => sound.damaged.push(what),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(sound)
}

/// Events that are as they were accepted, and what is to be said of those between them that are not.
#[derive(Default)]
pub(crate) struct Sound {
    pub read: EventsRead,
    pub damaged: Vec<String>,
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

/// Is an event still there?
pub(super) fn is_kept(conn: &Connection, seq: Seq) -> Outcome<bool> {
    let mut statement = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE seq = ?1)")?;
    Ok(statement.query_row([seq.0], |row| row.get(0))?)
}

/// When an event was accepted; the beginning of time if it is gone.
pub(super) fn created_at(conn: &Connection, seq: Seq) -> Outcome<UnixMs> {
    let mut statement = conn.prepare_cached("SELECT created_ms FROM events WHERE seq = ?1")?;
    Ok(UnixMs(statement.query_row([seq.0], |row| row.get(0)).optional()?.unwrap_or_default()))
}

/// The chain of an event's deliveries, if it has an ordering key.
pub(super) fn chain_of(conn: &Connection, seq: Seq) -> Outcome<Option<Chain>> {
    let key: Option<String> = conn
        .prepare_cached("SELECT ordering_key FROM events WHERE seq = ?1")?
        .query_row([seq.0], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(key.and_then(|key| OrderingKey::new(&key)).map(|key| key.chain()))
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
        let mut published = Vec::with_capacity(drafts.len());
        for draft in drafts {
            if !published.is_empty() {
                posthaste_faults::point("store.between-events");
            }
            published.push(self.publish_one(draft)?);
        }
        Ok(published)
    }

    fn publish_one(&mut self, draft: Numbered) -> Outcome<Result<Published, Refusal>> {
        let mut event = draft.event;
        // Read before anything is written: a damaged row refuses it.
        let test = draft.test_by.map(|by| Ok::<_, Trouble>((by, self.tested(&event)?))).transpose()?;
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
        if let Some((by, Some(webhook))) = &test {
            self.note(by, Action::WebhookTested, Noted::webhook(webhook))?;
        }
        self.last_event = event.seq;
        self.added += 1;
        let published = Published { seq: event.seq, created_at: event.created_at, is_duplicate: false };
        self.effects.events.push(event);
        Ok(Ok(published))
    }

    /// The webhook that an event is to test.
    fn tested(&self, event: &Event) -> Outcome<Option<Webhook>> {
        let Audience::Webhook(no) = event.audience else { return Ok(None) };
        webhooks::by_no(&self.conn, &self.vault, no)
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
            .query_row(
                params![key_hash(event.audience, &key.key), self.time.steady(event.created_at).0],
                |row| Ok((Seq(row.get(0)?), UnixMs(row.get(1)?), row.get::<_, Vec<u8>>(2)?)),
            )
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
                self.time.steady(event.created_at).plus(key.remembered_for).0,
            ])?;
        Ok(())
    }

    fn insert_event(&self, event: &Event) -> Outcome<()> {
        let (audience, audience_no) = audience_columns(event.audience);
        let watched = event.watched.as_deref().map(watched::pack);
        let ordering_key = event.ordering_key.as_ref().map(OrderingKey::as_str);
        let words = Words { watched: watched.as_deref(), ordering_key };
        let head = (event.audience, &*event.event_type, event.created_at, event.send_at);
        let sums = Checksums::of(event.seq, &event.body, words, head);
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
                sums.kept(),
                &event.body.bytes[..],
            ])?;
        // Statements of their own, so that other events do not pay for them.
        if let Some(watched) = watched {
            self.conn
                .prepare_cached("UPDATE events SET watched = ?2 WHERE seq = ?1")?
                .execute(params![event.seq.0, watched])?;
        }
        if let Some(key) = ordering_key {
            self.conn
                .prepare_cached("UPDATE events SET ordering_key = ?2 WHERE seq = ?1")?
                .execute(params![event.seq.0, key])?;
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
