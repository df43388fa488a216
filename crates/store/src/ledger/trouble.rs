//! What goes wrong inside the ledger, before it is put in the caller's words.

use rusqlite::ffi::SQLITE_IOERR_SHORT_READ;
use rusqlite::{ErrorCode, Row};

use crate::error::{Refusal, StoreError};

/// The file that all tables live in; damage is reported with its name.
pub(crate) const DATABASE_FILE: &str = "posthaste.db";

pub(crate) type Outcome<T> = Result<T, Trouble>;

#[derive(Debug)]
pub(crate) enum Trouble {
    /// The rules forbid it; nothing was written.
    Refused(Refusal),
    /// A row does not hold what it must.
    Damaged(String),
    /// It cannot be done now; nothing was written.
    Unavailable(String),
    /// SQLite failed. In the writer this ends everything.
    Sql(rusqlite::Error),
    /// A seal could not be made or the like. In the writer this ends everything.
    Broken(&'static str),
}

impl Trouble {
    /// Damage in the row `row` of `table`.
    pub fn damaged(table: &str, row: impl std::fmt::Display, what: &str) -> Self {
        Self::Damaged(format!("{DATABASE_FILE}: {table} row {row}: {what}"))
    }

    /// Says which row it was that did not hold what its columns must.
    pub fn in_row(self, table: &str, row: impl std::fmt::Display) -> Self {
        match self {
            Self::Sql(error) if is_damaged_value(&error) => Self::damaged(table, row, &error.to_string()),
            trouble => trouble,
        }
    }

    /// Must the writer stop, because what is stored now is unknown?
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Sql(_) | Self::Broken(_))
    }

    /// What happened, for those who watch.
    pub fn told(self) -> String {
        StoreError::from(self).to_string()
    }

    /// Was there no room? What SQLite was asked for is then not stored: it says so only of a write that did not reach its
    /// end, and no log is read beyond a frame that is not whole. A sync that fails for want of room is told otherwise.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<aws_lc_rs::error::Unspecified> for Trouble {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Broken("a secret could not be sealed")
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(refusal) => Self::Refused(refusal),
            Trouble::Damaged(what) => Self::Damaged(what),
            Trouble::Unavailable(what) => Self::Unavailable(what),
            Trouble::Broken(what) => Self::Failed(what.to_owned()),
            full if full.is_full() => Self::StorageFull,
            Trouble::Sql(error) if is_damage(&error) => Self::Damaged(format!("{DATABASE_FILE}: {error}")),
            Trouble::Sql(error) => Self::Failed(error.to_string()),
        }
    }
}

/// The number that a row begins with, as its name in reports of damage.
pub(crate) fn name_of(row: &Row<'_>) -> i64 {
    row.get(0).unwrap_or_default()
}

/// Does the error say that the file does not hold what it must?
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    // A read behind the end: the file is shorter than it says.
    let is_cut_short =
        error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHORT_READ);
    is_damaged_value(error)
        || is_cut_short
        || matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Does the error say that a value in a row is not what it must be?
fn is_damaged_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(
        error,
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..)
    )
}
