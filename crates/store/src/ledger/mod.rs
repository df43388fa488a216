//! The synchronous core: every verb as SQL over one connection.
//!
//! Write verbs are methods of [`Ledger`], called inside a transaction that [`Ledger::begin`] opened. Read verbs are
//! functions over a connection, so that readers beside the writer can use them. One file for each group of tables.

pub(crate) mod encoding;
pub(crate) mod trouble;

pub(crate) mod checks;
pub(crate) mod schema;

mod layout;

mod steady;

mod standing;

pub(crate) mod master_keys;

pub(crate) mod audit;

pub(crate) mod accounts;
pub(crate) mod keys;
pub(crate) mod tokens;
pub(crate) mod webhooks;

mod closing;
mod watched;

pub(crate) mod events;

pub(crate) mod deliveries;
pub(crate) mod delivery_list;
pub(crate) mod history;
pub(crate) mod horizon;
pub(crate) mod restored;

pub(crate) mod facts;
pub(crate) mod id_key;

mod chains;
pub(crate) mod record;
pub(crate) mod resend;

mod purge;
pub(crate) mod reseal;
mod set_back;
mod set_right;
mod tidy;

use std::collections::BTreeMap;
use std::sync::Arc;

use posthaste_core::{AccountNo, Event, KeyNo, Seq, UnixMs, Webhook, WebhookNo};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use crate::sealing::Vault;
use closing::Closing;
use schema::CHECKPOINT;
use standing::Standing;
use steady::Time;
use trouble::{Outcome, Trouble};
use webhooks::Recipients;

/// The one connection that writes, and what it knows beside the tables.
pub(crate) struct Ledger {
    conn: Connection,
    vault: Arc<Vault>,
    /// The latest event written, in this transaction or before.
    last_event: Seq,
    checkpoint: Seq,
    /// Standings looked up in this transaction; those changed are written before its commit.
    standings: BTreeMap<WebhookNo, Option<Standing>>,
    /// Webhooks to which nothing new is sent but which may have rows left to end: disabled or deleted.
    closing: BTreeMap<WebhookNo, Closing>,
    /// Where the next step of ending their rows begins.
    close_at: WebhookNo,
    /// Where the next step of looking for expired events begins.
    sweep_at: Seq,
    /// Up to which event housekeeping deleted what was old, in this process.
    swept_to: Seq,
    /// Events and deliveries added since the last such step.
    added: usize,
    purge: Option<purge::Purge>,
    /// The rotation of the master key that is under way.
    reseal: Option<reseal::Reseal>,
    /// The latest steady time that housekeeping ran at or that anything was done at.
    latest_now: UnixMs,
    time: Time,
    /// How the log was begun, for its number.
    log: horizon::LogBeginning,
    /// When the copy was made that this store was put back from, if nothing was to be sent at the start because of that.
    held_since: Option<UnixMs>,
    effects: Effects,
}

/// What the rest of the process has to learn once a transaction is durable.
pub(crate) struct Effects {
    /// The event before the first of `events`.
    pub after: Seq,
    /// New events in order.
    pub events: Vec<Arc<Event>>,
    /// Webhooks created or changed, as they are now.
    pub changed: Vec<Webhook>,
    /// Webhooks that nothing is owed to any more.
    pub left: Vec<WebhookNo>,
    /// Webhooks the engine should look at.
    pub nudged: Vec<WebhookNo>,
    /// API keys that no longer work as they did.
    pub revoked: Vec<KeyNo>,
    /// Accounts changed or deleted.
    pub accounts: Vec<AccountNo>,
    /// Named tokens that no longer work as they did, by their ids.
    pub tokens: Vec<String>,
}

impl Effects {
    fn none(after: Seq) -> Self {
        Self {
            after,
            events: vec![],
            changed: vec![],
            left: vec![],
            nudged: vec![],
            revoked: vec![],
            accounts: vec![],
            tokens: vec![],
        }
    }
}

/// How far a ledger is by its tables alone.
struct Places {
    checkpoint: Seq,
    last_event: Seq,
}

impl Places {
    fn read(conn: &Connection) -> Outcome<Self> {
        let checkpoint = stored_checkpoint(conn)?;
        let last_event = events::last(conn)?.max(read_seq(conn, "last_seq")?).max(checkpoint);
        Ok(Self { checkpoint, last_event })
    }
}

impl Ledger {
    /// Takes over a connection whose tables are up to date. Also answers every webhook that belongs in the roster.
    pub fn load(conn: Connection, vault: Arc<Vault>) -> Outcome<(Self, Recipients)> {
        forget_on_purpose(&conn)?;
        let Places { checkpoint, last_event } = Places::read(&conn)?;
        let owed = webhooks::all_owed(&conn, &vault, checkpoint)?;
        let time = Time::read(&conn)?;
        let latest_now = time.latest().map_or_else(|| set_back::latest_told(&conn), Ok)?;
        let mut ledger = Self {
            conn,
            vault,
            last_event,
            checkpoint,
            standings: BTreeMap::new(),
            closing: BTreeMap::new(),
            close_at: WebhookNo(0),
            sweep_at: Seq(0),
            swept_to: Seq(0),
            added: 0,
            purge: None,
            reseal: None,
            latest_now,
            time,
            log: horizon::LogBeginning::at(checkpoint),
            held_since: None,
            effects: Effects::none(last_event),
        };
        let ends = closing::ends_owed(&ledger.conn, checkpoint)?;
        ledger.note_ends(ends);
        Ok((ledger, owed))
    }

    pub fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Gives the connection back; what was not committed is gone.
    pub fn into_conn(self) -> Connection {
        self.conn
    }

    pub fn vault(&self) -> Arc<Vault> {
        self.vault.clone()
    }

    pub fn last_event(&self) -> Seq {
        self.last_event
    }

    pub fn begin(&self) -> Outcome<()> {
        self.run("BEGIN IMMEDIATE")
    }

    /// Takes back everything since `begin`, in the file and in memory. What the transaction did to a rotation of the
    /// master key it leaves.
    pub fn roll_back(&mut self) -> Outcome<()> {
        if !self.conn.is_autocommit() {
            self.run("ROLLBACK")?;
        }
        let Places { checkpoint, last_event } = Places::read(&self.conn)?;
        (self.checkpoint, self.last_event) = (checkpoint, last_event);
        self.time = Time::read(&self.conn)?;
        self.standings.clear();
        self.closing.clear();
        (self.close_at, self.sweep_at, self.purge) = (WebhookNo(0), Seq(0), None);
        self.effects = Effects::none(self.last_event);
        let ends = closing::ends_owed(&self.conn, checkpoint)?;
        self.note_ends(ends);
        Ok(())
    }

    /// Makes everything since `begin` durable.
    pub fn commit(&mut self) -> Outcome<Effects> {
        self.write_standings()?;
        self.write_log_number()?;
        posthaste_faults::point("store.before-commit");
        self.run("COMMIT")?;
        self.log_was_numbered();
        let effects = std::mem::replace(&mut self.effects, Effects::none(self.last_event));
        self.note_closing(&effects.changed);
        Ok(effects)
    }

    /// Runs a verb that may refuse after it has written: then nothing of it stays.
    pub fn whole<T>(&mut self, verb: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.write_standings()?;
        self.run("SAVEPOINT verb")?;
        let effects = self.effects_so_far();
        let outcome = verb(self);
        match &outcome {
            Ok(_) => self.write_standings()?,
            Err(trouble) if trouble.is_fatal() => return outcome,
            Err(_) => {
                self.standings.clear();
                self.take_back_effects(effects);
                self.run("ROLLBACK TO verb")?;
            }
        }
        posthaste_faults::point("store.before-release");
        self.run("RELEASE verb")?;
        outcome
    }

    fn run(&self, sql: &str) -> Outcome<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Remembers a changed webhook for the roster.
    fn note_changed(&mut self, webhook: Webhook) {
        self.effects.nudged.push(webhook.no);
        self.effects.changed.push(webhook);
    }

    /// How much there is to tell so far, for taking back what a refused verb added.
    fn effects_so_far(&self) -> [usize; 7] {
        let Effects { events, changed, left, nudged, revoked, accounts, tokens, .. } = &self.effects;
        [events.len(), changed.len(), left.len(), nudged.len(), revoked.len(), accounts.len(), tokens.len()]
    }

    fn take_back_effects(&mut self, [events, changed, left, nudged, revoked, accounts, tokens]: [usize; 7]) {
        self.effects.events.truncate(events);
        self.effects.changed.truncate(changed);
        self.effects.left.truncate(left);
        self.effects.nudged.truncate(nudged);
        self.effects.revoked.truncate(revoked);
        self.effects.accounts.truncate(accounts);
        self.effects.tokens.truncate(tokens);
    }
}

/// A place in `meta`; 0 if it was never written.
pub(crate) fn read_seq(conn: &Connection, key: &str) -> Outcome<Seq> {
    Ok(seq_if_kept(conn, key)?.unwrap_or(Seq(0)))
}

fn seq_if_kept(conn: &Connection, key: &str) -> Outcome<Option<Seq>> {
    let mut statement = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let mut rows = statement.query([key])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    match row.get_ref(0)? {
        // As stores before version 6 have it.
        ValueRef::Integer(seq) => Ok(Some(Seq(seq))),
        ValueRef::Blob(kept) => checks::opened(key, kept)
            .map(|seq| Some(Seq(i64::from_le_bytes(seq))))
            .ok_or_else(|| Trouble::damaged("meta", key, "it does not match its checksum")),
        _ => Err(Trouble::damaged("meta", key, "it is no number")),
    }
}

/// Writes a place, with a checksum: one that jumped ahead would leave events out.
fn write_seq(conn: &Connection, key: &str, Seq(seq): Seq) -> Outcome<()> {
    write_meta(conn, key, &checks::closed(key, &seq.to_le_bytes()))
}

/// The last event for which, and for all before it, every owed delivery has a row.
pub(crate) fn stored_checkpoint(conn: &Connection) -> Outcome<Seq> {
    let checkpoint = seq_if_kept(conn, CHECKPOINT)?;
    checkpoint.ok_or_else(|| Trouble::damaged("meta", CHECKPOINT, "it is missing"))
}

/// Bytes of a known length in `meta`.
pub(crate) fn read_bytes<const N: usize>(conn: &Connection, key: &str) -> Outcome<Option<[u8; N]>> {
    let value = conn
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    value
        .map(|bytes| bytes.try_into().map_err(|_| Trouble::damaged("meta", key, "has the wrong length")))
        .transpose()
}

/// Writes a fact of the store itself; one of the same size is changed where it lies (see [`horizon`]).
pub(crate) fn write_meta(conn: &Connection, key: &str, value: &dyn rusqlite::ToSql) -> Outcome<()> {
    const SQL: &str = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(SQL)?.execute(params![key, value])?;
    Ok(())
}

/// What a start must not forget, if a test wants to know whether it would be missed.
fn forget_on_purpose(conn: &Connection) -> Outcome<()> {
    if posthaste_faults::bug("retry-due-forgotten") {
        conn.execute_batch(
            "UPDATE deliveries SET next_ms = last_ms WHERE next_ms > last_ms AND attempts > 0",
        )?;
    }
    if posthaste_faults::bug("idempotency-forgotten-on-restart") {
        conn.execute_batch("DELETE FROM idempotency")?;
    }
    Ok(())
}
