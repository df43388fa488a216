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
use crate::sealing::{MasterKeys, Place, SealKey, SealKeys};

/// How many rows one step looks at.
const STEP_ROWS: usize = 100;
/// How long the writer waits for anything else that is locked.
pub(crate) const ORDINARY_PATIENCE: Duration = Duration::from_secs(5);
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
    /// Kept until the end, because what lies in the key file by then may be something else.
    keys: MasterKeys,
    left: Left,
    /// Which of [`SEALED`] is looked at.
    column: usize,
    /// The last row looked at.
    after: i64,
    resealed: u64,
    /// Rows under the former key, or under none that they name, that open with neither.
    unopened: u64,
    /// Were those told already?
    is_told: bool,
}

/// What is left to do of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// No rotation is under way.
    Nothing,
    /// Rows are to be sealed anew.
    Rows,
    /// All rows were looked at; the former key's part is to be deleted.
    Settling,
    /// Some rows do not open. They keep the former key.
    Unopened,
    /// All rows are done; what they were lies in the log.
    Log,
    /// The former key is to be taken out of its file.
    KeyFile,
}

impl Reseal {
    fn of(keys: MasterKeys) -> Self {
        Self { keys, left: Left::Rows, column: 0, after: 0, resealed: 0, unopened: 0, is_told: false }
    }
}

impl Reseal {
    /// Nothing is lost by leaving such a row as it is. One that names a third key does not hold up the end.
    fn note_unopened(&mut self, keys: &SealKeys, sealed: &[u8], trouble: Trouble) {
        let is_of_third_key = keys.is_of_third_key(sealed);
        self.unopened += u64::from(!is_of_third_key);
        if !self.is_told {
            let error = crate::StoreError::from(trouble);
            tracing::error!(%error, is_of_third_key, "a secret opens with neither master key and is left as it is");
        }
    }
}

impl Ledger {
    /// What is left to do of a rotation.
    pub fn left_to_reseal(&self) -> Left {
        self.reseal.as_ref().map_or(Left::Nothing, |reseal| reseal.left)
    }

    /// The two keys of the rotation that is under way.
    pub fn rotation_keys(&self) -> Option<&MasterKeys> {
        self.reseal.as_ref().map(|reseal| &reseal.keys)
    }

    /// Refuses if a rotation is under way.
    pub fn refuse_second_rotation(&self) -> Outcome<()> {
        match self.reseal {
            Some(_) => Err(Refusal::RotationUnderWay.into()),
            None => Ok(()),
        }
    }

    /// From now on the first of `both` seals. They must be where the next start finds them.
    pub fn begin_rotation(&mut self, both: MasterKeys, by: &By) -> Outcome<()> {
        self.refuse_second_rotation()?;
        let part = master_keys::part_or_new(&self.conn, &both.current)?;
        let keys = self.vault.keys().succeeded_by(SealKey::new(&both.current, Some(&part))?);
        self.note_rotation(&keys, by)?;
        self.vault.turn(keys);
        self.reseal = Some(Reseal::of(both));
        Ok(())
    }

    /// A start with two keys goes on with a rotation, or begins one that was asked for from outside.
    pub fn resume_rotation(&mut self, keys: &MasterKeys, now: UnixMs) -> Outcome<()> {
        if keys.former.is_some() {
            self.note_rotation(&self.vault.keys(), &now.into())?;
            self.reseal = Some(Reseal::of(keys.clone()));
        }
        Ok(())
    }

    fn note_rotation(&self, keys: &SealKeys, by: &By) -> Outcome<()> {
        if master_keys::note_rotation(&self.conn, keys, by.at)? {
            self.note(by, Action::SecretsRotated, Noted { object: &keys.current.id(), ..Noted::default() })?;
            let former = keys.former.as_ref().map(|key| key.id());
            tracing::info!(key = keys.current.id(), former, "the master key is rotated");
        }
        Ok(())
    }

    /// Seals some rows anew, within the transaction that is open.
    pub fn reseal_step(&mut self) -> Outcome<()> {
        let Some(mut reseal) = self.reseal.take() else { return Ok(()) };
        if let (Left::Rows, Some(column)) = (reseal.left, SEALED.get(reseal.column)) {
            match self.reseal_rows(column, &mut reseal)? {
                Some(last) => reseal.after = last,
                None => (reseal.column, reseal.after) = (reseal.column + 1, 0),
            }
        }
        if reseal.left == Left::Rows && reseal.column == SEALED.len() {
            reseal.left = Left::Settling;
        }
        self.reseal = Some(reseal);
        Ok(())
    }

    /// Takes leave of the former key, within the transaction that is open, unless something is left that only it may open
    /// one day. Answers how many secrets that are.
    pub fn settle(&mut self, now: UnixMs) -> Outcome<u64> {
        let Some(mut reseal) = self.reseal.take() else { return Ok(0) };
        let keys = self.vault.keys();
        let under_former =
            keys.former.as_ref().map_or(Ok(0), |former| master_keys::under(&self.conn, former))?;
        let kept = reseal.unopened.max(under_former);
        if kept == 0 {
            self.wiping(|ledger| master_keys::note_rotated(&ledger.conn, &keys, now))?;
            reseal.left = Left::Log;
        } else {
            reseal.left = Left::Unopened;
        }
        self.reseal = Some(reseal);
        Ok(kept)
    }

    /// Looks at all rows again: those that did not open may be gone.
    pub fn look_again(&mut self) {
        if let Some(reseal) = &mut self.reseal {
            (reseal.left, reseal.column, reseal.after) = (Left::Rows, 0, 0);
            (reseal.unopened, reseal.is_told) = (0, true);
        }
    }

    /// Answers the last row looked at; `None` if there was none left.
    fn reseal_rows(&self, column: &Column, reseal: &mut Reseal) -> Outcome<Option<i64>> {
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
        let rows: Vec<(i64, _, i64, _)> =
            statement.query_map([reseal.after], row)?.collect::<Result<_, _>>()?;
        let last = rows.last().map(|row| row.0);
        for (no, id, account, sealed) in rows {
            let Some(sealed) = sealed.filter(|sealed| !sealed.starts_with(&mark)) else { continue };
            let place = Place { kind, account, id: &id };
            let Some(secret) = keys.open(place, &sealed) else {
                reseal.note_unopened(&keys, &sealed, Trouble::damaged(table, no, "its secret does not open"));
                continue;
            };
            update.execute(params![no, keys.seal(place, secret.expose())?])?;
            reseal.resealed += 1;
            if reseal.resealed.is_multiple_of(TOLD_EVERY) {
                tracing::info!(resealed = reseal.resealed, "the master key is rotated");
            }
        }
        Ok(last)
    }

    /// Takes what was sealed under the former key out of the log as well; answers whether it could be done now. Whoever
    /// reads an older state of the store is in the way, and is not waited for.
    pub fn clear_log(&mut self) -> Outcome<bool> {
        self.conn.busy_timeout(Duration::ZERO)?;
        let mut statement = self.conn.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?;
        let cleared = match statement.query_row([], |row| row.get::<_, i64>(0)) {
            Ok(busy) => Ok(busy == 0),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(error.into()),
        };
        drop(statement);
        self.conn.busy_timeout(ORDINARY_PATIENCE)?;
        if let (Ok(true), Some(reseal)) = (&cleared, &mut self.reseal) {
            reseal.left = Left::KeyFile;
        }
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
