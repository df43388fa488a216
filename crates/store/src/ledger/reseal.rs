//! Sealing everything anew under another master key, a few rows in each transaction.
//!
//! Every sealed value names its key, so nothing has to be written down of how far this came: a restart looks at the
//! rows from the first on and passes over those that are done. What is written while it runs is sealed under the new key
//! at once.

use std::time::Duration;

use posthaste_core::{Action, By, UnixMs};
use rusqlite::params;

use super::audit::Noted;
use super::trouble::{Outcome, Trouble};
use super::{Ledger, master_keys};
use crate::error::Refusal;
use crate::sealing::{MasterKey, Place, SealKey};

/// How many rows one step looks at.
const STEP_ROWS: usize = 100;
/// How long one try to clear the log waits for those who read, and with it whoever wants to write.
const LOG_PATIENCE: Duration = Duration::from_millis(20);
/// How long the writer waits for anything else that is locked.
const ORDINARY_PATIENCE: Duration = Duration::from_secs(5);
/// After how many secrets the log tells how far it is.
const TOLD_EVERY: u64 = 10_000;

/// The columns that hold sealed values, and what their places are made of.
const SEALED: [Column; 2] = [
    Column { table: "webhooks", name: "secrets", kind: super::webhooks::PLACE_KIND },
    Column { table: "keys", name: "signing_secret", kind: super::keys::PLACE_KIND },
];

struct Column {
    table: &'static str,
    name: &'static str,
    kind: &'static str,
}

/// A rotation of the master key that is under way.
pub(super) struct Reseal {
    /// Which of [`SEALED`] is looked at; beyond the last one all rows are done.
    column: usize,
    /// The last row looked at.
    after: i64,
    resealed: u64,
    is_noted: bool,
}

/// What is left to do of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// No rotation is under way.
    Nothing,
    /// Rows are to be sealed anew.
    Rows,
    /// All rows are done; what they were lies in the log.
    Log,
}

impl Reseal {
    pub fn new() -> Self {
        Self { column: 0, after: 0, resealed: 0, is_noted: false }
    }
}

impl Ledger {
    /// What is left to do of a rotation.
    pub fn left_to_reseal(&self) -> Left {
        match &self.reseal {
            None => Left::Nothing,
            Some(reseal) if reseal.column < SEALED.len() => Left::Rows,
            Some(_) => Left::Log,
        }
    }

    /// Refuses if a rotation is under way.
    pub fn refuse_second_rotation(&self) -> Outcome<()> {
        match self.reseal {
            Some(_) => Err(Refusal::RotationUnderWay.into()),
            None => Ok(()),
        }
    }

    /// From now on `new` seals. It must be where the next start finds it, beside the key so far.
    pub fn begin_rotation(&mut self, new: &MasterKey, by: &By) -> Outcome<()> {
        self.refuse_second_rotation()?;
        let part = master_keys::part_or_new(&self.conn, new)?;
        let keys = self.vault.keys().succeeded_by(SealKey::new(new, Some(&part))?);
        master_keys::note_rotation(&self.conn, &keys, Some(by.at))?;
        self.note(by, Action::SecretsRotated, Noted { object: &keys.current.id(), ..Noted::default() })?;
        self.vault.turn(keys.clone());
        self.reseal = Some(Reseal { is_noted: true, ..Reseal::new() });
        let former = keys.former.as_ref().map(|key| key.id());
        tracing::info!(key = keys.current.id(), former, "the master key is rotated");
        Ok(())
    }

    /// Seals some rows anew, within the transaction that is open.
    pub fn reseal_step(&mut self, now: UnixMs) -> Outcome<()> {
        match self.left_to_reseal() {
            Left::Rows => self.reseal_some(now),
            Left::Nothing | Left::Log => Ok(()),
        }
    }

    fn reseal_some(&mut self, now: UnixMs) -> Outcome<()> {
        let Some(mut reseal) = self.reseal.take() else { return Ok(()) };
        if !reseal.is_noted {
            // A restart goes on with a rotation, or keys were given from outside for one.
            master_keys::note_rotation(&self.conn, &self.vault.keys(), None)?;
            reseal.is_noted = true;
        }
        if let Some(column) = SEALED.get(reseal.column) {
            match self.reseal_rows(column, reseal.after, &mut reseal.resealed)? {
                Some(last) => reseal.after = last,
                None => (reseal.column, reseal.after) = (reseal.column + 1, 0),
            }
        }
        if reseal.column == SEALED.len() {
            let keys = self.vault.keys();
            self.wiping(|ledger| master_keys::note_rotated(&ledger.conn, &keys, now))?;
        }
        self.reseal = Some(reseal);
        Ok(())
    }

    /// Answers the last row looked at; `None` if there was none left.
    fn reseal_rows(&self, column: &Column, after: i64, resealed: &mut u64) -> Outcome<Option<i64>> {
        let Column { table, name, kind } = column;
        let keys = self.vault.keys();
        let mark = keys.current.mark();
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT no, id, account, {name} FROM {table} WHERE no > ?1 ORDER BY no LIMIT {STEP_ROWS}"
        ))?;
        let mut update =
            self.conn.prepare_cached(&format!("UPDATE {table} SET {name} = ?2 WHERE no = ?1"))?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get::<_, Option<Vec<u8>>>(3)?))
        };
        let rows: Vec<(i64, _, i64, _)> = statement.query_map([after], row)?.collect::<Result<_, _>>()?;
        let last = rows.last().map(|row| row.0);
        for (no, id, account, sealed) in rows {
            let Some(sealed) = sealed.filter(|sealed| !sealed.starts_with(&mark)) else { continue };
            let place = Place { kind, account, id: &id };
            let Some(secret) = keys.open(place, &sealed) else {
                // It opens with neither key: nothing is lost by leaving it as it is.
                let trouble = Trouble::damaged(table, no, "its secret does not open");
                tracing::error!(error = %crate::StoreError::from(trouble), "a secret is not sealed anew");
                continue;
            };
            update.execute(params![no, keys.seal(place, secret.expose())?])?;
            *resealed += 1;
            if resealed.is_multiple_of(TOLD_EVERY) {
                tracing::info!(resealed, "the master key is rotated");
            }
        }
        Ok(last)
    }

    /// Takes what was sealed under the former key out of the log as well; answers whether it could be done now. Whoever
    /// reads an older state of the store is in the way.
    pub fn clear_log(&self) -> Outcome<bool> {
        self.conn.busy_timeout(LOG_PATIENCE)?;
        let mut statement = self.conn.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let cleared = match statement.query_row([], |row| row.get::<_, i64>(0)) {
            Ok(busy) => Ok(busy == 0),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(error.into()),
        };
        self.conn.busy_timeout(ORDINARY_PATIENCE)?;
        cleared
    }

    /// The former key is of no use any more.
    pub fn end_rotation(&mut self) {
        let keys = self.vault.keys();
        self.vault.forget_former();
        let resealed = self.reseal.take().map_or(0, |reseal| reseal.resealed);
        let former = keys.former.map(|key| key.id());
        tracing::info!(key = keys.current.id(), former, resealed, "the master key was rotated");
    }

    /// What a verb takes out of the file is overwritten there.
    fn wiping<T>(&mut self, verb: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        // Not from the cache: SQLite does what this says when it reads it.
        let set = |conn: &rusqlite::Connection, is_on: u8| {
            conn.query_row(&format!("PRAGMA secure_delete = {is_on}"), [], |_| Ok(()))
        };
        set(&self.conn, 1)?;
        let outcome = verb(self);
        set(&self.conn, 0)?;
        outcome
    }
}
