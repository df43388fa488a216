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
            Self::Sql(error) if is_damaged_value(&error) => Self::damaged(table, row, &told_of(&error)),
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
            Trouble::Sql(error) if is_damage(&error) => {
                Self::Damaged(format!("{DATABASE_FILE}: {}", told_of(&error)))
            }
            Trouble::Sql(error) => Self::Failed(told_of(&error)),
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
        || is_damaged_layout(error)
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

/// What SQLite says of tables, columns and indexes that it does not find, or finds otherwise.
const OF_LAYOUT: [&str; 9] = [
    "no such column",
    "no such table",
    "no such index",
    "no query solution",
    "has no column named",
    "malformed database schema",
    "unsupported file format",
    "ON CONFLICT clause does not match",
    "values were supplied",
];

/// Does the error say that a table is not what our statements take it for? They never change, so the table did.
fn is_damaged_layout(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqlInputError { error, .. } => {
            matches!(error.code, ErrorCode::Unknown | ErrorCode::DatabaseCorrupt)
        }
        rusqlite::Error::SqliteFailure(error, Some(said)) => {
            error.code == ErrorCode::Unknown && OF_LAYOUT.iter().any(|part| said.contains(part))
        }
        _ => false,
    }
}

/// What SQLite said, without our statement.
pub(crate) fn told_of(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn a_table_that_is_not_what_a_statement_takes_it_for_is_damage() {
        let conn = Connection::open_in_memory().unwrap();
        let tables = "CREATE TABLE t (a, b); CREATE INDEX t_b ON t (b) WHERE b IS NOT NULL";
        conn.execute_batch(tables).unwrap();
        for (sql, says) in [
            ("SELECT t.c FROM t", "no such column: t.c"),
            ("SELECT 1 FROM u", "no such table: u"),
            ("SELECT 1 FROM t INDEXED BY t_c", "no such index: t_c"),
            ("SELECT 1 FROM t INDEXED BY t_b", "no query solution"),
            ("INSERT INTO t (c) VALUES (1)", "table t has no column named c"),
            ("INSERT INTO t VALUES (1)", "table t has 2 columns but 1 values were supplied"),
            (
                "INSERT INTO t VALUES (1, 2) ON CONFLICT (a) DO NOTHING",
                "ON CONFLICT clause does not match any PRIMARY KEY or UNIQUE constraint",
            ),
        ] {
            let error = StoreError::from(Trouble::from(conn.prepare(sql).map(drop).unwrap_err()));
            assert_eq!(error.to_string(), format!("the store is damaged: posthaste.db: {says}"), "{sql}");
        }
        let state = Trouble::from(conn.execute_batch("COMMIT").unwrap_err());
        assert!(matches!(StoreError::from(state), StoreError::Failed(_)));
    }
}
