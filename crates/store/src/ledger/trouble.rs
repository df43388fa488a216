//! What goes wrong inside the ledger, before it is put in the caller's words.

use rusqlite::ErrorCode;

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

    /// Must the writer stop, because what is stored now is unknown?
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Sql(_) | Self::Broken(_))
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
            Trouble::Sql(error) if is_damage(&error) => Self::Damaged(format!("{DATABASE_FILE}: {error}")),
            Trouble::Sql(error) => Self::Failed(error.to_string()),
        }
    }
}

/// Does the error say that the file does not hold what it must?
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    match error {
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) => true,
        error => {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
    }
}
