//! What never goes back, read to tell whether a database file and the log beside it belong together.
//!
//! SQLite writes whatever log lies beside a file into it. An old log beside a newer file, or an old file beside a newer
//! log, would make one store of two that never were. So logs are numbered: each time one is begun anew its number goes
//! into `meta`, with how far the checkpoint was.
//!
//! What a crash leaves must never be refused. SQLite begins a log anew only when all of the one before is in the file and
//! the file is synced, and takes into the file only what is synced in the log. So each page of the file is as it was when
//! its log was begun or as a later commit of it left it, or torn: some sectors as of one and some as of another of these.
//! Three rules make what is read of such a file lie between that beginning and the log's end:
//! - Only `meta` is read, which is one page. Other tables may lead from a new page to one that is not theirs yet.
//! - Each number has a checksum with its name, so a number that is put together of two is none.
//! - A number is changed where it lies and never taken out, so no older one is left on the page for a torn one to point at.
//!
//! A log has at most one number of its own, and the checkpoint written with it is not beyond the one it was begun at.

use posthaste_core::Seq;
use rusqlite::{Connection, OptionalExtension};

use super::trouble::Outcome;
use super::{Ledger, checks, write_seq};

/// The number of the log that is being written.
pub(super) const LOG_NUMBER: &str = "log_number";
/// A checkpoint that was in the file when that log was begun.
pub(super) const LOG_BASE: &str = "log_base";
/// A copy counts on from so far ahead that no log of the store it was taken from follows upon it.
const COPY_STRIDE: i64 = 1 << 32;

/// What a file says of its past; what it does not say, or not legibly, is `None`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Horizon {
    log_number: Option<i64>,
    log_base: Option<i64>,
    checkpoint: Option<i64>,
    last_seq: Option<i64>,
}

impl Horizon {
    pub fn of(conn: &Connection) -> Self {
        let number = |key| number(conn, key);
        Self {
            log_number: number(LOG_NUMBER),
            log_base: number(LOG_BASE),
            checkpoint: number("checkpoint"),
            last_seq: number("last_seq"),
        }
    }

    /// Why `seen`, which is this file with the log, cannot be what became of this file.
    pub fn contradiction(&self, seen: &Self) -> Option<&'static str> {
        const OLD_LOG: &str = "it is older than the database beside it and would take it back: move it away";
        const OLD_FILE: &str = "it follows upon a later state than that of the database beside it: put the database of the same time there";
        let went_back = is_less(seen.log_number, self.log_number)
            || is_less(seen.checkpoint, self.checkpoint)
            || is_less(seen.last_seq, self.last_seq);
        if went_back {
            return Some(OLD_LOG);
        }
        let (own, with_log) = self.log_number.zip(seen.log_number)?;
        let logs = with_log.saturating_sub(own);
        let is_behind = logs > 1 || (logs == 1 && is_less(self.checkpoint, seen.log_base));
        is_behind.then_some(OLD_FILE)
    }
}

fn is_less(one: Option<i64>, other: Option<i64>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one < other)
}

fn number(conn: &Connection, key: &str) -> Option<i64> {
    let kept = conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, Vec<u8>>(0));
    checks::opened(key, &kept.optional().ok()??).map(i64::from_le_bytes)
}

fn write_next(conn: &Connection, ahead: i64) -> Outcome<()> {
    let next = number(conn, LOG_NUMBER).unwrap_or_default().saturating_add(ahead);
    write_seq(conn, LOG_NUMBER, Seq(next))
}

/// Makes a copy count on from far ahead.
pub(crate) fn set_copy_apart(copy: &Connection) -> Outcome<()> {
    write_next(copy, COPY_STRIDE)
}

/// What the writer knows of its log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogBeginning {
    /// A checkpoint that the file had when the log was begun anew, until the log is numbered.
    unnumbered: Option<Seq>,
    /// The checkpoint at the latest look at the log.
    looked_at: Seq,
    /// Was a log numbered since then?
    is_numbered: bool,
}

impl LogBeginning {
    pub fn at(checkpoint: Seq) -> Self {
        Self { unnumbered: None, looked_at: checkpoint, is_numbered: false }
    }
}

impl Ledger {
    /// The log is empty and the file has all of it: the next commit begins it anew and says so.
    pub fn number_log(&mut self) {
        // As of now: what the commit adds to the checkpoint is in the new log alone.
        self.log = LogBeginning { unnumbered: Some(self.checkpoint), ..LogBeginning::at(self.checkpoint) };
    }

    /// The log was looked at after a commit. If it was begun anew since the last look, the next commit says so: the file
    /// has what there was at that look, and the commit that began the log, with what it adds, is in the log alone.
    pub fn look_at_log(&mut self, is_anew: bool) {
        let LogBeginning { unnumbered, looked_at, is_numbered } = self.log;
        // One that was numbered since may be this one, and has no second number.
        let is_due = is_anew && !is_numbered;
        self.log = LogBeginning {
            unnumbered: if is_due { Some(looked_at) } else { unnumbered },
            ..LogBeginning::at(self.checkpoint)
        };
    }

    pub(super) fn write_log_number(&self) -> Outcome<()> {
        let Some(base) = self.log.unnumbered else { return Ok(()) };
        write_next(&self.conn, 1)?;
        write_seq(&self.conn, LOG_BASE, base)
    }

    /// The transaction that numbered the log is durable.
    pub(super) fn log_was_numbered(&mut self) {
        if self.log.unnumbered.take().is_some() {
            self.log.is_numbered = true;
        }
    }
}

#[cfg(test)]
mod tests;
