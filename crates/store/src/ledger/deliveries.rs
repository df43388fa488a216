//! Deliveries: reading them, and what is pending.

use std::sync::Arc;

use posthaste_core::delivery::reasons;
use posthaste_core::{
    AccountNo, Attempt, Audience, Delivery, DeliveryKey, DeliveryState, Event, Seq, UnixMs, WebhookNo,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::checks::WEBHOOKS;
use super::trouble::{DATABASE_FILE, Outcome, Trouble, name_of};
use super::{events, history};
use crate::change::RecordBatch;
use crate::page::{PendingQuery, PendingRead, PendingRow};

/// When a delivery is due that waits for its turn in its chain: never, until it gets a time of its own.
pub(crate) const NOT_ITS_TURN_MS: i64 = 1 << 60;

/// The columns of a delivery in the order [`from_row`] reads them, from a table named `d`. It is due by steady time, and
/// people are told when that is by the wall clock.
pub(super) const COLUMNS: &str = "d.event, d.webhook, d.state, d.reason, d.attempts,
    d.next_ms + coalesce((SELECT value FROM meta WHERE key = 'ahead_ms'), 0), d.delivered_ms,
    d.last_status, d.last_ms";

/// How many columns a delivery has.
pub(super) const WIDTH: usize = 9;

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
    let next_attempt_at = time(at + 5)?.filter(|at| at.0 < NOT_ITS_TURN_MS / 2);
    let is_waiting = state == DeliveryState::Pending && next_attempt_at.is_none();
    let reason = if is_waiting { Some(reasons::WAITING_FOR_ORDER.to_owned()) } else { row.get(at + 3)? };
    Ok(Delivery {
        key,
        state,
        reason,
        attempts: row.get(at + 4)?,
        next_attempt_at,
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
        "SELECT no, CAST(due_ms AS INTEGER) FROM (
             SELECT w.no, (
                 SELECT min(d.next_ms) FROM deliveries d WHERE d.webhook = w.no AND d.next_ms IS NOT NULL
             ) AS due_ms
             FROM webhooks w
         ) WHERE due_ms < ?1 ORDER BY no",
    )?;
    let rows =
        statement.query_map([NOT_ITS_TURN_MS], |row| Ok((WebhookNo(row.get(0)?), UnixMs(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many damaged events of pending deliveries one read tells of.
const DAMAGED_AT_ONCE: usize = 100;

/// Pending rows of a webhook.
#[derive(Default)]
pub(crate) struct Pending {
    pub read: PendingRead,
    /// Those whose event is not as it was accepted, or not for this webhook, and what is to be said of them.
    pub damaged: Vec<(DeliveryKey, String)>,
    /// Why no more are handed out though some are due: the webhook's own row is damaged, or many of theirs. They wait.
    pub held: Option<String>,
    /// What is to be said of those whose row and whose entries in indexes differ. They are not sent: which of them is right
    /// nobody knows, and their attempts could not be recorded.
    pub contradicted: Vec<String>,
}

impl Pending {
    /// What ends the deliveries that cannot be made.
    pub fn calling_off(&self) -> RecordBatch {
        let cancels = self.damaged.iter().map(|(key, _)| (*key, reasons::EVENT_DAMAGED)).collect();
        RecordBatch { cancels, ..RecordBatch::default() }
    }

    /// Leaves one out. Answers whether to go on: where there are many, the webhook's others wait with them.
    fn contradict(&mut self, what: String) -> bool {
        if self.contradicted.len() == DAMAGED_AT_ONCE {
            self.held = Some(what);
            return false;
        }
        self.contradicted.push(what);
        true
    }
}

/// A pending delivery as an index has it. SQLite takes what an index says for what its row says.
struct Entry {
    seq: Seq,
    due_at: UnixMs,
    attempts: u32,
}

impl Entry {
    fn of(row: &Row<'_>) -> Outcome<Self> {
        let read = || Ok(Self { seq: Seq(row.get(0)?), due_at: UnixMs(row.get(1)?), attempts: row.get(2)? });
        read().map_err(|error: rusqlite::Error| {
            Trouble::from(error).in_row("deliveries", format!("event {}", name_of(row)))
        })
    }

    /// Do the row itself, and every other index that has it, say so too? A change of the row would fail otherwise.
    fn is_that_of(&self, conn: &Connection, key: DeliveryKey) -> Outcome<bool> {
        let mut statement = conn.prepare_cached(
            "SELECT d.state, d.next_ms, d.attempts,
                 EXISTS (SELECT 1 FROM deliveries p INDEXED BY deliveries_pending
                         WHERE p.webhook = ?2 AND p.next_ms = ?3 AND p.event = ?1 AND p.attempts = ?4
                           AND p.next_ms IS NOT NULL)
                 AND (?4 > 0
                      OR EXISTS (SELECT 1 FROM deliveries u INDEXED BY deliveries_unattempted
                                 WHERE u.webhook = ?2 AND u.next_ms = ?3 AND u.event = ?1
                                   AND u.next_ms IS NOT NULL AND u.attempts = 0))
                 AND (d.chain IS NULL
                      OR EXISTS (SELECT 1 FROM deliveries c INDEXED BY deliveries_chained
                                 WHERE c.webhook = ?2 AND c.chain = d.chain AND c.next_ms = ?3 AND c.event = ?1
                                   AND c.chain IS NOT NULL AND c.next_ms IS NOT NULL))
             FROM deliveries d WHERE d.event = ?1 AND d.webhook = ?2",
        )?;
        let mut rows = statement.query([key.event.0, key.webhook.0, self.due_at.0, self.attempts.into()])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let pending = state_number(DeliveryState::Pending);
        let expected = [pending, self.due_at.0, self.attempts.into(), 1].map(ValueRef::Integer);
        Ok([row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?] == expected)
    }
}

fn differs(key: DeliveryKey) -> String {
    let what = "it and an index differ, so it is not sent";
    format!("{DATABASE_FILE}: deliveries row {}: {what}", row_name(key))
}

/// A webhook's pending rows from the earliest on.
const OLDEST: &str = "SELECT event, next_ms, attempts FROM deliveries INDEXED BY deliveries_pending
    WHERE webhook = ?1 AND next_ms IS NOT NULL AND next_ms <= ?2 ORDER BY next_ms, event";
/// Those without an attempt, from the latest on.
const NEWEST: &str = "SELECT event, next_ms, 0 FROM deliveries INDEXED BY deliveries_unattempted
    WHERE webhook = ?1 AND next_ms IS NOT NULL AND attempts = 0 AND next_ms <= ?2 ORDER BY next_ms DESC, event DESC";

pub(crate) fn pending(conn: &Connection, query: &PendingQuery) -> Outcome<Pending> {
    let account = match account_of(conn, query.webhook) {
        Err(Trouble::Damaged(what)) => Err(what),
        found => Ok(found?),
    };
    // From the latest on those not yet due are passed over; from the earliest on the first of them is looked at.
    let never = UnixMs(NOT_ITS_TURN_MS - 1);
    let (sql, looked_at) = if query.newest { (NEWEST, query.until.min(never)) } else { (OLDEST, never) };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([query.webhook.0, looked_at.0])?;
    let (mut pending, mut body_bytes) = (Pending::default(), 0);
    while let Some(row) = rows.next()? {
        let entry = match Entry::of(row) {
            Err(Trouble::Damaged(what)) => {
                if !pending.contradict(what) {
                    break;
                }
                continue;
            }
            entry => entry?,
        };
        let Entry { seq, due_at, attempts } = entry;
        if due_at <= query.until && query.known.contains(&seq) {
            pending.read.passed_over.push((seq, due_at));
            continue;
        }
        let is_full = query.room.is_used_up(pending.read.rows.len(), body_bytes)
            || pending.damaged.len() == DAMAGED_AT_ONCE;
        if is_full || due_at > query.until {
            pending.read.next = Some(due_at);
            break;
        }
        let account = match &account {
            Ok(account) => *account,
            Err(what) => {
                pending.held = Some(what.clone());
                break;
            }
        };
        let key = DeliveryKey { event: seq, webhook: query.webhook };
        if !entry.is_that_of(conn, key)? {
            if !pending.contradict(differs(key)) {
                break;
            }
            continue;
        }
        match event_of(conn, key).and_then(|event| meant_for(event, account, key)) {
            Ok(event) => {
                body_bytes += event.body.bytes.len();
                pending.read.rows.push(PendingRow { key, event, attempts, due_at });
            }
            Err(Trouble::Damaged(what)) => pending.damaged.push((key, what)),
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(pending)
}

/// Whose a webhook is, by a row that is sound.
fn account_of(conn: &Connection, no: WebhookNo) -> Outcome<AccountNo> {
    let sql = format!("SELECT w.account, {} FROM webhooks w WHERE w.no = ?1", WEBHOOKS.is_sound());
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([no.0])?;
    let row = rows.next()?.ok_or_else(|| Trouble::damaged("webhooks", no.0, "it is missing"))?;
    WEBHOOKS.refuse_unless(row.get(1)?, no.0)?;
    Ok(AccountNo(row.get(0)?))
}

/// The event of a pending delivery. Its body is read only here, for a delivery that is taken up.
fn event_of(conn: &Connection, key: DeliveryKey) -> Outcome<Arc<Event>> {
    let missing = || Trouble::damaged("events", key.event.0, "it is missing");
    events::by_seq(conn, key.event)?.ok_or_else(missing)
}

/// Refuses an event that its own row does not say is for this webhook: the row of the delivery is damaged.
fn meant_for(event: Arc<Event>, account: AccountNo, key: DeliveryKey) -> Outcome<Arc<Event>> {
    let is_meant = match event.audience {
        Audience::Account(no) => account == no,
        Audience::Broadcast => true,
        Audience::Webhook(no) => no == key.webhook,
    };
    if is_meant {
        return Ok(event);
    }
    Err(Trouble::damaged("deliveries", row_name(key), "its event is not for this webhook"))
}
