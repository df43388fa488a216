//! What never goes back, read to tell whether a database file and the log beside it belong together.
//!
//! SQLite writes whatever log lies beside a file into it. An old log beside a newer file, or an old file beside a newer
//! log, would make one store of two that never were. So logs are numbered: each time one is begun anew its number goes
//! into `meta`, with how far the checkpoint was.

use posthaste_core::Seq;
use rusqlite::{Connection, OptionalExtension};

use super::trouble::Outcome;
use super::{Ledger, events, read_seq, write_meta};

/// The number of the log that is being written.
const LOG_NUMBER: &str = "log_number";
/// The checkpoint as it was when that log was begun: all of it is in the file.
const LOG_BASE: &str = "log_base";
/// A copy counts on from so far ahead that no log of the store it was taken from follows upon it.
const COPY_STRIDE: i64 = 1 << 32;

/// What a file says of its past; what it does not say, or not legibly, is `None`.
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    log_number: Option<i64>,
    log_base: Option<i64>,
    checkpoint: Option<i64>,
    last_event: Option<i64>,
    /// How many rows were ever made, by table.
    rows_made: Vec<(String, i64)>,
}

impl Horizon {
    pub fn of(conn: &Connection) -> Self {
        Self {
            log_number: number(conn, LOG_NUMBER),
            log_base: number(conn, LOG_BASE),
            checkpoint: place(conn, "checkpoint"),
            last_event: last_event(conn),
            rows_made: rows_made(conn).unwrap_or_default(),
        }
    }

    /// Why `seen`, which is this file with the log, cannot be what became of this file.
    pub fn contradiction(&self, seen: &Self) -> Option<&'static str> {
        const OLD_LOG: &str = "it is older than the database beside it and would take it back: move it away";
        const OLD_FILE: &str = "it follows upon a later state than that of the database beside it: put the database of the same time there";
        if let (Some(own), Some(with_log)) = (self.log_number, seen.log_number) {
            if with_log < own {
                return Some(OLD_LOG);
            }
            let is_behind = with_log == own + 1 && is_less(self.checkpoint, seen.log_base);
            if with_log > own + 1 || is_behind {
                return Some(OLD_FILE);
            }
        }
        let rows_went_back = || {
            self.rows_made.iter().any(|(table, made)| {
                seen.rows_made.iter().any(|(other, with_log)| other == table && with_log < made)
            })
        };
        let went_back = is_less(seen.last_event, self.last_event)
            || is_less(seen.checkpoint, self.checkpoint)
            || rows_went_back();
        went_back.then_some(OLD_LOG)
    }
}

fn is_less(one: Option<i64>, other: Option<i64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one < other)
}

fn number(conn: &Connection, key: &str) -> Option<i64> {
    conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional().ok().flatten()
}

fn place(conn: &Connection, key: &str) -> Option<i64> {
    read_seq(conn, key).ok().map(|seq| seq.0)
}

fn last_event(conn: &Connection) -> Option<i64> {
    let stored = events::last(conn).ok()?;
    [Some(stored.0), place(conn, "last_seq"), place(conn, "checkpoint")].into_iter().flatten().max()
}

fn rows_made(conn: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut statement = conn.prepare("SELECT name, seq FROM sqlite_sequence")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Makes a copy count on from far ahead.
pub(crate) fn set_copy_apart(copy: &Connection) -> Outcome<()> {
    let next = number(copy, LOG_NUMBER).unwrap_or_default().saturating_add(COPY_STRIDE);
    write_meta(copy, LOG_NUMBER, &next)
}

impl Ledger {
    /// The log was begun anew: the next commit says so.
    pub fn number_log(&mut self) {
        // As of now: what the commit adds to the checkpoint is in the new log alone.
        self.new_log_base = Some(self.checkpoint);
    }

    pub(super) fn write_log_number(&self) -> Outcome<()> {
        let Some(Seq(base)) = self.new_log_base else { return Ok(()) };
        let next = number(&self.conn, LOG_NUMBER).unwrap_or_default().saturating_add(1);
        write_meta(&self.conn, LOG_NUMBER, &next)?;
        write_meta(&self.conn, LOG_BASE, &base)
    }
}
